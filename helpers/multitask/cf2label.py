"""CF2Label: labels from the CF vector alone, without the image (Bibas et al. 2022, section 4.2)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from helpers.errors import BadInput
from helpers.learn.again import remembered
from helpers.learn.examples import Vectors
from helpers.learn.train import Recipe, fit

Predict = Callable[[np.ndarray], np.ndarray]  # CF vectors float (m, f) -> logits float32 (m, N)


@remembered
def perceptron(factors: int, labels: int) -> nn.Module:
    """CF vectors (B, f) to logits (B, N), by 64 rectified units, each of which is dropped with probability
    0.3 in training. The paper names neither number."""
    first, last = nn.Linear(factors, 64), nn.Linear(64, labels)
    return nn.Sequential(first, nn.ReLU(), nn.Dropout(0.3), last)


def learn(
    Q: np.ndarray, labels: np.ndarray, recipe: Recipe, *, device: torch.device, seed: int = 0,
    validate: Callable[[Predict], float] | None = None,
) -> Predict:  # fmt: skip
    """Train "a two-layered MLP", with a ReLU between, by binary cross-entropy per class.

    CF vectors are float (n, f), here centred and divided by their deviation in each dimension, labels bool
    (n, N); BadInput for different lengths. `validate` takes what is returned and gives an error; the weights
    of the epoch with the smallest are kept."""
    if len(Q) != len(labels):
        found = f"{len(Q)} CF vectors for {len(labels)} rows of labels"
        raise BadInput(f"cf2label: {found}; there must be one each")
    mean, scale = Q.mean(axis=0), np.maximum(Q.std(axis=0), 1e-8)
    torch.manual_seed(seed)
    network = perceptron(Q.shape[1], labels.shape[1]).to(device)

    def scaled(vectors: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(((vectors - mean) / scale).astype(np.float32))

    @torch.inference_mode()
    def predict(vectors: np.ndarray) -> np.ndarray:
        return network.eval()(scaled(vectors).to(device)).float().cpu().numpy()

    watch = None if validate is None else lambda _: validate(predict)
    how = {"device": device, "seed": seed, "validate": watch, "log": None}
    examples = Vectors(scaled(Q), torch.from_numpy(labels.astype(np.float32)))
    fit(network, examples, F.binary_cross_entropy_with_logits, recipe, **how)
    return predict


def out_of_fold(
    Q: np.ndarray, labels: np.ndarray, recipe: Recipe, rng: np.random.Generator, folds: int = 5, **options
) -> np.ndarray:
    """Logits of each item from a CF2Label (with `options` of `learn`) that was not trained on it: (n, N).

    A network's loss on what it was trained with tells how well it memorised, not how much the vector knows.
    """
    fold = rng.permutation(len(Q)) % folds
    found = np.empty(labels.shape, np.float32)
    for k in range(folds):
        found[fold == k] = learn(Q[fold != k], labels[fold != k], recipe, **options)(Q[fold == k])
    return found


def positive_loss(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean −log ŷ over the labels of an item, ℓ_WEIGHT of section 3.4, whose print lacks the minus sign:
    float64 (n,); NaN where it has none."""
    labels = np.asarray(labels, bool)
    count = labels.sum(axis=1)
    total = (np.logaddexp(0, -logits.astype(np.float64)) * labels).sum(axis=1)
    return np.divide(total, count, out=np.full(len(labels), np.nan), where=count > 0)


def confidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """ω = 1 / ℓ_WEIGHT: float64 (n,); an item without a label gets the median of the others."""
    omega = 1 / np.maximum(positive_loss(logits, labels), 1e-6)
    return np.where(np.isnan(omega), np.nanmedian(omega), omega)

"""Softmax over very many classes: the classes of the batch, or a shared sample, instead of all K.

Joulin et al. 2016, section 3, "Large dictionary": "we only update the weights that correspond to classes
present in a training batch". `SampledOutput` is an output layer that reads and writes nothing else.
"""

import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.errors import BadInput


class SampledOutput:
    """The output layer W^T e + b of a network with very many classes, trained on a few of them at a time.

    `step` computes the softmax loss over the classes of the batch and `samples` others, drawn uniformly and
    shared by the whole batch, and moves only the rows of W that took part, by AdaGrad: a row that takes part
    rarely keeps a large step. Sampled scores are raised by −log of the chance to be drawn, so that the sum
    over the sample estimates the sum over all classes (Bengio and Senécal 2003).

    Args:
        K, d: classes and size of the embedding e.
        samples: classes drawn besides those of the batch; 0 is Joulin et al.'s choice, without correction.
        lr: step size of AdaGrad.
        seed: decides W and every draw.

    Raises:
        BadInput: more samples than classes.
    """

    def __init__(self, K: int, d: int, samples: int, lr: float = 0.1, seed: int = 0, device="cpu"):
        if not 0 <= samples <= K:
            raise BadInput(f"SampledOutput: {samples} samples of {K} classes; give 0 to {K}")
        self.K, self.samples, self.lr = K, samples, lr
        self.generator = torch.Generator(device).manual_seed(seed)
        self.weight = torch.randn(K, d, generator=self.generator, device=device) * 0.01
        self.bias = torch.zeros(K, device=device)
        self._squares = torch.full((K,), 1e-8, device=device), torch.full((K,), 1e-8, device=device)

    def classes(self, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The classes that take part: ids int64 (C,) in ascending order, places of the targets int64 (B,),
        and the correction float (C,) that is added to the scores."""
        own = torch.unique(targets)
        if not self.samples:
            return own, torch.searchsorted(own, targets), torch.zeros(len(own), device=own.device)
        drawn = torch.randint(self.K, (self.samples,), generator=self.generator, device=targets.device)
        ids = torch.unique(torch.cat([own, drawn]))
        others = len(ids) - len(own)
        correction = torch.full((len(ids),), np.log(max(self.K - len(own), 1) / max(others, 1)))
        correction = correction.to(targets.device)
        place = torch.searchsorted(ids, targets)
        correction[place] = 0.0  # classes of the batch always take part
        return ids, place, correction

    def step(self, e: Tensor, targets: Tensor) -> Tensor:
        """One gradient step of the rows that take part; also fills `e.grad` where e needs a gradient.

        Args:
            e: float (B, d), the network's embeddings of the batch.
            targets: int64 (B,), a class each.

        Returns:
            The mean loss, before the step.
        """
        ids, place, correction = self.classes(targets)
        weight = self.weight[ids].requires_grad_()
        bias = self.bias[ids].requires_grad_()
        loss = F.cross_entropy(torch.addmm(bias + correction, e, weight.T), place)
        loss.backward()
        with torch.no_grad():
            for values, squares, gradient in [
                (self.weight, self._squares[0], weight.grad),
                (self.bias, self._squares[1], bias.grad),
            ]:
                # one step size a row: half the memory traffic of one a number, and as accurate
                size = gradient.square() if gradient.ndim == 1 else gradient.square().mean(1)
                total = squares[ids] + size
                squares[ids] = total
                rate = self.lr * total.rsqrt()
                values[ids] -= gradient * (rate if gradient.ndim == 1 else rate[:, None])
        return loss.detach()

    @torch.no_grad()
    def scores(self, e: Tensor) -> Tensor:
        """Scores of all classes, float (B, K)."""
        return torch.addmm(self.bias, e, self.weight.T)


def log_sum_over_samples(
    scores: np.ndarray, size: int, rng: np.random.Generator, draws: int = 200
) -> np.ndarray:
    """log Σ_{c in C} s_c for random sets C of `size` classes, with s_c = exp(score): float64 (draws,).

    Args:
        scores: float (K,), the scores of all classes for one picture.
        size: |C|, drawn without replacement.
    """
    scores = np.asarray(scores, np.float64)
    if not 1 <= size <= len(scores):
        raise BadInput(f"sample of {size} classes of {len(scores)}; give 1 to {len(scores)}")
    sets = rng.random((draws, len(scores))).argpartition(size - 1, axis=1)[:, :size]
    return log_sum(scores[sets])


def log_sum(scores: np.ndarray) -> np.ndarray:
    """log Σ exp(scores) over the last axis, without overflow."""
    top = scores.max(axis=-1, keepdims=True)
    return np.log(np.exp(scores - top).sum(axis=-1)) + top[..., 0]


def bounds(approximate: np.ndarray, size: int, scores: np.ndarray) -> tuple[float, float, float]:
    """The bounds of Joulin et al. 2016, section 3, for one picture: lower, expected, upper.

    upper = log Z ≥ E[log Σ_C s_c] ≥ P(mean of s over C ≥ Z / K) · (log(|C| / K) + log Z) = lower.

    Both hold for any way to draw sets of |C| classes. The lower one needs s_k ≥ 1 for all k: a constant is
    added to all scores, which changes no softmax, so that the smallest is 0.

    Args:
        approximate: float (draws,), log Σ_C exp(score) of each set drawn, without that constant.
        size: |C|.
        scores: float (K,), all scores of the picture.

    Returns:
        lower bound, expected value, upper bound, all with the constant added.
    """
    scores = np.asarray(scores, np.float64)
    constant = -scores.min()
    upper = float(log_sum(scores) + constant)
    approximate = np.asarray(approximate, np.float64) + constant
    threshold = np.log(size / len(scores)) + upper
    lower = float((approximate >= threshold).mean() * threshold)
    return lower, float(approximate.mean()), upper


def seconds_per_step(
    K: int, d: int = 128, batch: int = 128, samples: int = 4096, steps: int = 3, seed: int = 0
) -> dict[str, float]:
    """How long one step of the output layer takes: all K classes, those of the batch, or a shared sample.

    Forward and backward pass and the update of the weights, on this machine and the current threads; the
    first step is not counted.

    Returns:
        name -> seconds.
    """
    generator = torch.Generator().manual_seed(seed)
    e = torch.randn(batch, d, generator=generator, requires_grad=True)
    targets = torch.randint(K, (batch,), generator=generator)
    dense = torch.nn.Linear(d, K)
    optimiser = torch.optim.Adagrad(dense.parameters(), lr=0.1)

    def full() -> None:
        optimiser.zero_grad()
        F.cross_entropy(dense(e), targets).backward()
        optimiser.step()

    layers = {"all classes": None, "classes of the batch": 0, "shared sample": min(samples, K // 2)}
    found = {}
    for name, size in layers.items():
        step = full
        if size is not None:
            output = SampledOutput(K, d, size)
            step = lambda output=output: output.step(e, targets)  # noqa: E731
        step()
        before = time.perf_counter()
        for _ in range(steps):
            step()
        found[name] = (time.perf_counter() - before) / steps
    return found

"""Predicting tags: floors, logistic regression on frozen features, scores of embeddings, and retrieval."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from helpers.errors import BadInput
from helpers.learn.losses import multiclass
from helpers.measures.metrics import Score, hits, mean_of_known, top_k
from helpers.words.bags import Bags


class Linear(NamedTuple):
    """A linear classifier: scores of all tags are x @ weight + bias; float32 (d, K) and (K,)."""

    weight: np.ndarray
    bias: np.ndarray

    def scores(self, X: np.ndarray) -> np.ndarray:
        return X @ self.weight + self.bias


def logistic_path(
    X: np.ndarray, targets: np.ndarray, strengths: Sequence[float], iterations: int = 40, device="cpu"
) -> list[Linear]:
    """Multi-class logistic regressions by L-BFGS, with so many iterations at most, one per strength λ of the
    penalty λ/2 ‖W‖² beside the mean loss; the bias is not penalised. Each starts from the solution of the
    next stronger one, so the whole path costs little more than one.

    X is float32 (n, d), scaled features; `targets` float32 (n, K), not negative: bags, or bags divided by
    their sums, or sums of them over pictures with the same features. BadInput for a strength not above 0."""
    if min(strengths) <= 0:
        raise BadInput(f"logistic_path: strengths {list(strengths)}; each must be above 0")
    X, T = torch.from_numpy(X).to(device), torch.from_numpy(targets).to(device)
    W = torch.zeros(X.shape[1], T.shape[1], device=device, requires_grad=True)
    # log frequencies: without any feature this bias is the answer already
    b = torch.log(T.sum(0) + 1e-3).sub_(np.log(float(T.sum()))).requires_grad_()
    found, how = {}, {"max_iter": iterations, "tolerance_change": 1e-6, "line_search_fn": "strong_wolfe"}
    for strength in sorted(strengths, reverse=True):
        solver = torch.optim.LBFGS([W, b], history_size=10, **how)

        def value(solver=solver, strength=strength):
            solver.zero_grad()
            loss = multiclass(X @ W + b, T) + strength / 2 * W.square().sum()
            loss.backward()
            return loss

        solver.step(value)
        found[strength] = Linear(W.detach().cpu().numpy().copy(), b.detach().cpu().numpy().copy())
    return [found[strength] for strength in strengths]


def standardised(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and variance 1 over the given rows (the training pictures): float32."""
    mean, std = X[rows].mean(axis=0), X[rows].std(axis=0)
    return ((X - mean) / np.where(std > 0, std, 1)).astype(np.float32)


def centred(vectors: np.ndarray) -> np.ndarray:
    """Vectors minus their mean; a tag without a vector (all zeros) keeps none. Float32 (K, D).

    Skip-gram vectors share a large common part, which every sum h̄ then points along: a network that always
    says that part has nearly the best cosine there is and tells no picture from another."""
    known = vectors.any(axis=1)
    mean = vectors[known].mean(axis=0) if known.any() else 0
    return np.where(known[:, None], vectors - mean, 0).astype(np.float32)


def product_scores(outputs: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Scores of an NCSL network, h_iᵀ f_j as in eq. 1 of Veit et al. 2018: float32 (n, K), for `outputs` f
    (n, D) and `vectors` h (K, D). A tag without a vector (all zeros) comes last: nothing is known about it.
    """
    scores = (outputs @ vectors.T).astype(np.float32)
    scores[:, ~vectors.any(axis=1)] = -np.inf
    return scores


def nearest(vectors: np.ndarray, tag: int, n: int = 3) -> np.ndarray:
    """The n other tags with the highest cosine to one tag, int (n,)."""
    size = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    cosine = vectors @ vectors[tag] / size
    cosine[tag] = -np.inf
    return np.argsort(-cosine, kind="stable")[:n]


def frequency_scores(counts: np.ndarray, n: int) -> np.ndarray:
    """The floor that answers every picture with the most frequent training tags: float32 (n, K)."""
    return np.broadcast_to(counts.astype(np.float32), (n, len(counts)))


def random_scores(n: int, K: int, rng: np.random.Generator) -> np.ndarray:
    """The floor that knows nothing: float32 (n, K)."""
    return rng.random((n, K), np.float32)


def retrieval(scores: np.ndarray, bags: Bags, k: int = 10) -> Score:
    """P@k of each tag as a query: the share of the k highest-scoring pictures that have the tag, for scores
    float (n, K) and the tags of the n pictures (Veit et al. 2018, equation 8). Tags that none of the pictures
    has are left out and counted. One on fewer than k pictures cannot reach 1 (`retrieval_ceiling`)."""
    pictures = bags.turned(scores.shape[1])
    k = min(k, len(scores))
    found = hits(top_k(np.ascontiguousarray(scores.T), k), pictures).sum(axis=1) / k
    return mean_of_known(np.where(np.diff(pictures.indptr) > 0, found, np.nan), f"P@{k}")


def retrieval_ceiling(bags: Bags, K: int, k: int = 10) -> Score:
    """The P@k of a perfect ranking of the same pictures, for the same tags."""
    size = bags.counts(K)
    return mean_of_known(np.where(size > 0, np.minimum(size, k) / k, np.nan), "ceiling of P@k")

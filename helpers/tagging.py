"""Pictures and their bags of tags: targets, sampling, floors, the logistic baseline, and retrieval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from helpers.data.errors import BadInput
from helpers.examples import Pictures, Vectors
from helpers.filtering import to_csr
from helpers.losses import multiclass
from helpers.metrics import Score, hits, mean_of_known, top_k
from helpers.negatives import sample_rows

SAMPLING = ("natural", "class-uniform")


class Bags(NamedTuple):
    """The tags of n pictures, in the form of a sparse matrix; also the `truth` of `helpers.metrics`.

    Attributes:
        indptr: int64 (n + 1,).
        indices: int32; the tags of picture i are indices[indptr[i]:indptr[i + 1]], without repeats.
    """

    indptr: np.ndarray
    indices: np.ndarray

    @classmethod
    def of(cls, picture: np.ndarray, tag: np.ndarray, n: int) -> "Bags":
        """From distinct pairs (picture 0..n−1, tag), both int (pairs,)."""
        return cls(*to_csr(picture, tag, n))

    def rows(self, chosen: np.ndarray) -> "Bags":
        """The bags of some pictures, in the given order."""
        size = np.diff(self.indptr)[chosen]
        start = np.repeat(self.indptr[:-1][chosen], size)
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        return Bags(np.concatenate([[0], np.cumsum(size)]).astype(np.int64), self.indices[start + within])

    def turned(self, K: int) -> "Bags":
        """The pictures of each of K tags."""
        picture = np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))
        return Bags(*to_csr(self.indices, picture, K))

    def counts(self, K: int) -> np.ndarray:
        """N_k: in how many pictures each tag is, int64 (K,)."""
        return np.bincount(self.indices, minlength=K)

    def dense(self, K: int, share: bool = False) -> np.ndarray:
        """float32 (n, K): 1 where a picture has a tag; with `share`, each row divided by its sum."""
        size = np.diff(self.indptr)
        out = np.zeros((len(size), K), np.float32)
        picture = np.repeat(np.arange(len(size)), size)
        out[picture, self.indices] = (1 / np.maximum(size, 1))[picture] if share else 1
        return out

    def sums(self, vectors: np.ndarray) -> np.ndarray:
        """h̄: the sum of the vectors of each picture's tags, float32 (n, D) for vectors (K, D)."""
        out = np.zeros((len(self.indptr) - 1, vectors.shape[1]), np.float32)
        picture = np.repeat(np.arange(len(out)), np.diff(self.indptr))
        np.add.at(out, picture, vectors[self.indices].astype(np.float32))
        return out


@dataclass(frozen=True)
class Drawn:
    """Training examples whose one target is drawn anew in each pass.

    Attributes:
        inputs: pictures or rows of a tensor; their own targets are not used.
        bags: the tags of each of them, in the same order; none is empty.
        K: number of tags.
        sampling: "natural" visits each picture once a pass and draws one of its tags uniformly (Veit et al.
            2018, section 3.1); "class-uniform" draws a tag uniformly, then one of its pictures, as often as
            there are pictures (Joulin et al. 2016, section 3, "Class balancing").
    """

    inputs: Pictures | Vectors
    bags: Bags
    K: int
    sampling: str = "natural"

    def __post_init__(self):
        if self.sampling not in SAMPLING:
            raise BadInput(f"sampling is {self.sampling!r}; choose one of {', '.join(SAMPLING)}")
        if len(self.inputs) != len(self.bags.indptr) - 1:
            raise BadInput(f"{len(self.inputs)} pictures but {len(self.bags.indptr) - 1} bags of tags")
        if self.sampling == "natural" and not np.diff(self.bags.indptr).all():
            raise BadInput("a picture has no tag to draw; leave such pictures out of training")

    def __len__(self) -> int:
        return len(self.inputs)

    def draw(self, order: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(picture, tag) of each step of a pass that would visit the pictures in the given order."""
        if self.sampling == "class-uniform":
            tag, picture = sample_rows(*self.bags.turned(self.K), len(order), rng)
            return picture, tag.astype(np.int64)
        size = np.diff(self.bags.indptr)[order]
        return order, self.bags.indices[self.bags.indptr[order] + rng.integers(0, size)].astype(np.int64)

    def batches(
        self, order: list[np.ndarray], generator: torch.Generator, device
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and the tag drawn for each, int64 (B,), on the device."""
        seed = int(torch.randint(2**62, (1,), generator=generator))
        picture, tag = self.draw(np.concatenate(order), np.random.default_rng(seed))
        ends = np.cumsum([len(part) for part in order])[:-1]
        tags = np.split(tag, ends)
        read = self.inputs.batches(np.split(picture, ends), generator, device)
        for (inputs, _), some in zip(read, tags, strict=True):
            yield inputs, torch.from_numpy(some).to(device)


class Linear(NamedTuple):
    """A linear classifier: scores of all tags are x @ weight + bias; float32 (d, K) and (K,)."""

    weight: np.ndarray
    bias: np.ndarray

    def scores(self, X: np.ndarray) -> np.ndarray:
        return X @ self.weight + self.bias


def logistic_path(
    X: np.ndarray, targets: np.ndarray, strengths: Sequence[float], iterations: int = 40, device="cpu"
) -> list[Linear]:
    """Multi-class logistic regressions, one per strength of the L2 penalty, by L-BFGS.

    Each starts from the solution of the next stronger one, so the whole path costs little more than one.

    Args:
        X: float32 (n, d), scaled features.
        targets: float32 (n, K), not negative: bags, or bags divided by their sums, or sums of them over
            pictures with the same features.
        strengths: λ of the penalty λ/2 ‖W‖² beside the mean loss; the bias is not penalised.
        iterations: L-BFGS steps at most for each strength.

    Returns:
        A classifier per strength, in the order given.

    Raises:
        BadInput: a strength is not above 0.
    """
    if min(strengths) <= 0:
        raise BadInput(f"logistic_path: strengths {list(strengths)}; each must be above 0")
    X, T = torch.from_numpy(X).to(device), torch.from_numpy(targets).to(device)
    W = torch.zeros(X.shape[1], T.shape[1], device=device, requires_grad=True)
    # log frequencies: without any feature this bias is the answer already
    b = torch.log(T.sum(0) + 1e-3).sub_(np.log(float(T.sum()))).requires_grad_()
    found = {}
    for strength in sorted(strengths, reverse=True):
        solver = torch.optim.LBFGS(
            [W, b], max_iter=iterations, history_size=10, tolerance_change=1e-6,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

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


def cosines(outputs: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Scores of an NCSL network: cosine of each output with each tag's vector, float32 (n, K).

    A tag without a vector (all zeros) gets −1, the lowest score: nothing is known about it.
    """
    size = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(size > 0, size, 1)[:, None]
    scores = outputs / np.maximum(np.linalg.norm(outputs, axis=1, keepdims=True), 1e-12) @ unit.T
    scores[:, size == 0] = -1
    return scores.astype(np.float32)


def frequency_scores(counts: np.ndarray, n: int) -> np.ndarray:
    """The floor that answers every picture with the most frequent training tags: float32 (n, K)."""
    return np.broadcast_to(counts.astype(np.float32), (n, len(counts)))


def random_scores(n: int, K: int, rng: np.random.Generator) -> np.ndarray:
    """The floor that knows nothing: float32 (n, K)."""
    return rng.random((n, K), np.float32)


def retrieval(scores: np.ndarray, bags: Bags, k: int = 10) -> Score:
    """P@k of each tag as a query: the share of the k highest-scoring pictures that have the tag.

    Args:
        scores: float (n, K), a score of each picture for each tag.
        bags: the tags of the n pictures.

    Returns:
        Score over the tags that at least one of the pictures has; the others are left out and counted. A tag
        on fewer than k pictures cannot reach 1 (`retrieval_ceiling`).

    Source: Veit et al. 2018, equation 8.
    """
    pictures = bags.turned(scores.shape[1])
    k = min(k, len(scores))
    found = hits(top_k(np.ascontiguousarray(scores.T), k), pictures).sum(axis=1) / k
    return mean_of_known(np.where(np.diff(pictures.indptr) > 0, found, np.nan), f"P@{k}")


def retrieval_ceiling(bags: Bags, K: int, k: int = 10) -> Score:
    """The P@k of a perfect ranking of the same pictures, for the same tags."""
    size = bags.counts(K)
    return mean_of_known(np.where(size > 0, np.minimum(size, k) / k, np.nan), "ceiling of P@k")

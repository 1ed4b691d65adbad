"""A classifier of images whose second task is to guess the crowd's item vectors (Bibas et al. 2022)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.errors import BadInput
from helpers.learn.examples import Pictures, Vectors

LIMIT = 5.0  # beyond this exponent, exp is continued by its tangent: exp(5) is 148


class TwoHeads(nn.Module):
    """A trainable layer that both tasks share, and a linear head for each.

    With a frozen backbone the shared layer is all through which the second task can reach the first: two
    linear heads on fixed features would not know of each other. The head of the vectors starts at zero, that
    is at the mean vector; from a random start `exp` of the distance would drown the main task for epochs.

    Args:
        inputs: width of the features that enter.
        labels: N, the number of classes.
        factors: f, the width of a CF vector.
        hidden: units of the shared layer.
        dropout: share of the shared units dropped while training.
        backbone: images -> (B, inputs), trained too; None where the inputs are features.
    """

    def __init__(
        self,
        inputs: int,
        labels: int,
        factors: int,
        hidden: int = 256,
        dropout: float = 0.5,
        backbone: nn.Module | None = None,
    ):
        super().__init__()
        self.backbone = nn.Identity() if backbone is None else backbone
        self.layer = nn.Linear(inputs, hidden)
        self.drop = nn.Dropout(dropout)
        self.to_labels = nn.Linear(hidden, labels)
        self.to_vector = nn.Linear(hidden, factors)
        # not exactly zero: there the distances of a triplet have no gradient
        nn.init.normal_(self.to_vector.weight, std=0.01)
        nn.init.zeros_(self.to_vector.bias)

    def shared(self, x: Tensor) -> Tensor:
        """What both heads read: float (B, hidden)."""
        return torch.relu(self.layer(self.backbone(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the labels and the guessed CF vector, side by side: float (B, N + f)."""
        h = self.drop(self.shared(x))
        return torch.cat([self.to_labels(h), self.to_vector(h)], 1)


def class_weights(labels: np.ndarray) -> np.ndarray:
    """1/η_n with mean 1 over the classes that occur; a class without an example gets 0: float32 (N,).

    Args:
        labels: bool (n, N), the labelled training items only.

    Raises:
        BadInput: no item has a label.

    Source: Bibas et al. 2022, section 3.4.
    """
    count = np.asarray(labels).sum(axis=0)
    if not count.any():
        raise BadInput("class_weights: no training item has a label")
    raw = np.where(count > 0, 1 / np.maximum(count, 1), 0.0)
    return (raw / raw[count > 0].mean()).astype(np.float32)


def balanced_bce(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Class-balanced binary cross-entropy of each item: float (B,).

    −Σ_n [w_n y_n log ŷ_n + (1 − y_n) log(1 − ŷ_n)]: equation 1 with the minus sign that its print lacks, the
    weight on the positive term, where the print has it.

    Args:
        logits, labels: float (B, N).
        weights: float (N,), from `class_weights`.
    """
    return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights, reduction="none").sum(1)


def distance(guess: Tensor, vector: Tensor) -> Tensor:
    """L1 + L2, the Manhattan plus the Euclidean distance, of each row: float (B,)."""
    difference = guess - vector
    # the tiny number keeps the gradient of the root finite where both are equal
    return difference.abs().sum(1) + (difference.square().sum(1) + 1e-12).sqrt()


def tame_exp(x: Tensor, limit: float = LIMIT) -> Tensor:
    """exp(x) up to `limit`, its tangent beyond: finite, convex, increasing, smooth.

    Where the minimum of a convex objective lies at exponents below `limit`, both have the same minimum.
    """
    return torch.where(x < limit, x.clamp(max=limit).exp(), np.exp(limit) * (1 + x - limit))


def reconstruction(guess: Tensor, vector: Tensor, unit: float) -> Tensor:
    """exp((L1 + L2) / unit) of each row: float (B,); see `tame_exp` and `Targets.unit`.

    Source: Bibas et al. 2022, section 3.4, ℓ_CF_R.
    """
    return tame_exp(distance(guess, vector) / unit)


def capped(omega: np.ndarray, quantile: float) -> np.ndarray:
    """min(ω, Ω) with Ω the given quantile of ω, divided by its mean, so that α means the same for every ω."""
    bounded = np.minimum(omega, np.quantile(omega, quantile))
    return (bounded / bounded.mean()).astype(np.float32)


@dataclass(frozen=True)
class Targets:
    """What the training items should give, packed so that `train.fit` can deal it out in batches.

    Attributes:
        labels: bool (n, N).
        vectors: float32 (n, f), CF vectors, centred and divided by one number (their overall deviation).
        labelled: bool (n,), whose labels may be used.
    """

    labels: np.ndarray
    vectors: np.ndarray
    labelled: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, Q: np.ndarray, labelled: np.ndarray | None = None) -> "Targets":
        """From raw CF vectors float (n, f).

        Raises:
            BadInput: different lengths, or vectors that are all the same or not finite.
        """
        centred = np.asarray(Q, np.float64) - np.mean(Q, axis=0)
        if len(Q) != len(labels) or not np.isfinite(centred).all() or not centred.any():
            raise BadInput(
                f"multitask: {len(Q)} CF vectors for {len(labels)} items; there must be a finite one each,"
                " not all the same"
            )
        known = np.ones(len(labels), bool) if labelled is None else labelled
        return cls(np.asarray(labels, bool), (centred / centred.std()).astype(np.float32), known)

    @property
    def unit(self) -> float:
        """What guessing the mean vector costs, L1 + L2 on average: the unit of distances."""
        return float(np.mean(np.abs(self.vectors).sum(1) + np.linalg.norm(self.vectors, axis=1)))

    @property
    def weights(self) -> Tensor:
        return torch.from_numpy(class_weights(self.labels[self.labelled]))

    def packed(self, omega: np.ndarray | None = None) -> Tensor:
        """float32 (n, N + 2 + f): labels, whether they are known, min(ω, Ω), CF vector."""
        ones = np.ones(len(self.labels), np.float32)
        columns = [self.labels, self.labelled, ones if omega is None else omega, self.vectors]
        return torch.from_numpy(np.column_stack(columns).astype(np.float32))


def objective(targets: Targets, alpha: float, main: bool = True) -> Callable[[Tensor, Tensor], Tensor]:
    """Equation 3 as a loss for `train.fit`: ℓ_MAIN + α · min(ω, Ω) · exp(L1 + L2), mean of the batch.

    Args:
        alpha: 0 leaves the second task out: Image-only.
        main: False leaves the labels out: the first phase of Sequential.

    The labels' mean is over the batch's labelled items, the vectors' over all of the batch.
    """
    N, unit, weights = targets.labels.shape[1], targets.unit, targets.weights

    def loss(outputs: Tensor, packed: Tensor) -> Tensor:
        labels, known, omega, vectors = packed.split([N, 1, 1, packed.shape[1] - N - 2], 1)
        total = outputs.new_zeros(())
        if main:
            each = balanced_bce(outputs[:, :N], labels, weights.to(outputs.device))
            total = (each * known[:, 0]).sum() / known.sum().clamp(min=1)
        if alpha:
            total = total + alpha * (omega[:, 0] * reconstruction(outputs[:, N:], vectors, unit)).mean()
        return total

    return loss


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, tau: float) -> Tensor:
    """max{L2(a, p) − L2(a, n) + τ, 0} of each row: float (B,). Source: section 4.3.1."""

    def far(a: Tensor, b: Tensor) -> Tensor:
        return ((a - b).square().sum(1) + 1e-12).sqrt()

    return (far(anchor, positive) - far(anchor, negative) + tau).clamp(min=0)


def contrastive(targets: Targets, alpha: float, tau: float) -> Callable[[Tensor, Tensor], Tensor]:
    """ℓ_MAIN + α · triplet loss of the guessed vectors, for the batches of `Triplets`."""
    N, main = targets.labels.shape[1], objective(targets, 0.0)

    def loss(outputs: Tensor, packed: Tensor) -> Tensor:
        anchor, positive, negative = outputs.split(len(packed))
        far = triplet(anchor[:, N:], positive[:, N:], negative[:, N:], tau)
        return main(anchor, packed) + alpha * far.mean()

    return loss


def nearest_other(vectors: np.ndarray) -> np.ndarray:
    """For each row the other row at the smallest Euclidean distance: int64 (n,)."""
    found = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), 1024):
        block = cdist(vectors[start : start + 1024], vectors)
        block[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        found[start : start + len(block)] = block.argmin(axis=1)
    return found


@dataclass(frozen=True)
class Triplets:
    """Each item once as an anchor, with the item of the nearest CF vector and a random other one.

    Attributes:
        examples: `Vectors` or `Pictures`.
        nearest: int64 (n,), from `nearest_other`.

    A batch of B anchors has the inputs of the anchors, the positives and the negatives, 3 B in all, and the
    targets of the B anchors.
    """

    examples: Pictures | Vectors
    nearest: np.ndarray

    def __len__(self) -> int:
        return len(self.examples)

    def batches(self, order: list[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        triples = []
        for rows in order:
            draw = torch.randint(0, len(self) - 2, (len(rows),), generator=generator).numpy()
            low, high = np.sort([rows, self.nearest[rows]], axis=0)
            draw += draw >= low  # never the anchor, nor its positive
            draw += draw >= high
            triples.append(np.concatenate([rows, self.nearest[rows], draw]))
        for inputs, targets in self.examples.batches(triples, generator, device):
            yield inputs, targets[: len(targets) // 3]

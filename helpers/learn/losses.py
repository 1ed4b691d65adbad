"""Losses for pictures with several tags. Outputs are (B, K) scores, or (B, D) vectors for `negative_cosine`.

Each returns the mean over the batch, which `helpers.learn.train.fit` makes small.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.errors import BadInput

Loss = Callable[[Tensor, Tensor], Tensor]


def multiclass(outputs: Tensor, targets: Tensor) -> Tensor:
    """Multi-class logistic loss, summed over all positives of a picture: −Σ_k y_k log softmax(outputs)_k.

    Args:
        outputs: float (B, K).
        targets: (B, K), 0 or 1; or weights, for example each row divided by its sum, which is what
            `one_drawn` is on average.

    Source: Joulin et al. 2016, section 3, second loss.
    """
    return -(targets * F.log_softmax(outputs, 1)).sum(1).mean()


def one_drawn(outputs: Tensor, tags: Tensor) -> Tensor:
    """MCLL: multi-class logistic loss of one tag per picture, drawn uniformly from its tags.

    Args:
        outputs: float (B, K), h_iᵀ f_j for all tags i.
        tags: int64 (B,), the tag drawn for each picture (`bags.Drawn`).

    Source: Veit et al. 2018, equation 1.
    """
    return F.cross_entropy(outputs, tags)


def one_versus_all(counts: np.ndarray, n: int) -> Loss:
    """One logistic loss per class, positives weighted 1 / N_k and negatives 1 / (N − N_k).

    The weights make positives and negatives of each class count alike however rare it is. The paper prints a
    sum over the training set without its minus sign; here it is multiplied by −N / K, so that the mean of a
    batch estimates the average over classes of (mean loss of positives + mean loss of negatives): 2 log 2
    for a network that knows nothing, whatever K and N are.

    Args:
        counts: int (K,), N_k, the number of training pictures with class k.
        n: N, the number of training pictures.

    Returns:
        (outputs float (B, K), targets 0 or 1 (B, K)) -> mean loss.

    Raises:
        BadInput: a count is outside 0..N.

    Source: Joulin et al. 2016, section 3, first loss.
    """
    counts = torch.as_tensor(np.asarray(counts), dtype=torch.float32)
    if len(counts) == 0 or counts.min() < 0 or counts.max() > n:
        raise BadInput(f"one_versus_all: counts must lie between 0 and N = {n}, one for each class")
    # a class without positives (or without negatives) has nothing to weigh there: any finite number will do
    positive, negative = n / counts.clamp(min=1), n / (n - counts).clamp(min=1)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        up, down = positive.to(outputs.device), negative.to(outputs.device)
        each = targets * up * F.logsigmoid(outputs) + (1 - targets) * down * F.logsigmoid(-outputs)
        return -each.mean()

    return loss


def negative_cosine(outputs: Tensor, targets: Tensor) -> Tensor:
    """NCSL: minus the cosine between a picture's vector and the sum of its tags' vectors.

    Args:
        outputs: float (B, D), f_j.
        targets: float (B, D), h̄_j; a picture whose sum is zero (no tag of its has a vector) adds 0.

    Source: Veit et al. 2018, equation 2 (after Chollet 2016).
    """
    return -F.cosine_similarity(outputs, targets, 1, 1e-8).mean()


def with_auxiliary(loss: Loss, weight: float = 0.3) -> Loss:
    """The same loss for a network that returns further outputs while training, each counted `weight` times.

    Source: Szegedy et al. 2015, section 5 (GoogLeNet's auxiliary classifiers, weight 0.3).
    """

    def total(outputs, targets: Tensor) -> Tensor:
        if isinstance(outputs, Tensor):
            return loss(outputs, targets)
        main, *others = outputs
        return loss(main, targets) + weight * sum(loss(other, targets) for other in others)

    return total


def in_batch(scores: Tensor, targets: Tensor) -> Tensor:
    """Softmax loss over the classes that occur in the batch only.

    The sum in the denominator runs over the distinct classes among `targets` instead of all K.

    Args:
        scores: float (B, K).
        targets: int64 (B,), one class per picture.

    Source: Joulin et al. 2016, section 3, "Large dictionary". `softmax` never computes the scores
    that this function drops; here they are computed and dropped, to compare.
    """
    classes, place = torch.unique(targets, return_inverse=True)
    return F.cross_entropy(scores[:, classes], place)

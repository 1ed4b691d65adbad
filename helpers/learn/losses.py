"""Losses for pictures with several tags, and softmax over very many classes.

Outputs are (B, K) scores, or (B, D) vectors for `negative_cosine`. Each loss is the mean over the batch.
"""

from collections.abc import Callable
from functools import cache, partial
from timeit import repeat

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.errors import BadInput
from helpers.learn.again import known, remembered

Loss = Callable[[Tensor, Tensor], Tensor]


@known
def multiclass(outputs: Tensor, targets: Tensor) -> Tensor:
    """Multi-class logistic loss, summed over all positives of a picture: −Σ_k y_k log softmax(outputs)_k.

    Targets (B, K) are 0 or 1; or weights, for example each row divided by its sum, which is what `one_drawn`
    is on average. Source: Joulin et al. 2016, section 3, second loss."""
    return -(targets * F.log_softmax(outputs, 1)).sum(1).mean()


@known
def one_drawn(outputs: Tensor, tags: Tensor) -> Tensor:
    """MCLL: multi-class logistic loss of one tag per picture, int64 (B,), drawn uniformly by `bags.Drawn`.

    Outputs are h_iᵀ f_j for all tags i. Source: Veit et al. 2018, equation 1."""
    return F.cross_entropy(outputs, tags)


@remembered
def one_versus_all(counts: np.ndarray, n: int, power: float = 1.0) -> Loss:
    """One logistic loss per class, positives weighted 1 / N_k and negatives 1 / (N − N_k).

    `power` is an exponent of these weights: 1 is the paper's choice, 0 weighs all alike, one half lies
    between; the paper tried "various schemes" that it does not name. The weights make positives and negatives
    of each class count alike however rare it is. The paper prints a sum over the training set without its
    minus sign; here it is multiplied by −N / K, so that (for power 1) the mean of a batch estimates the
    average over classes of (mean loss of positives + mean loss of negatives): 2 log 2 for a network that
    knows nothing, whatever K and N are. Targets (B, K) are 0 or 1, or they are the one class of each picture,
    int64 (B,), all others being wrong; `counts` (K,) are N_k, the pictures with class k, of n = N (BadInput
    outside 0..N). Source: Joulin et al. 2016, section 3, first loss."""
    counts = torch.as_tensor(np.asarray(counts), dtype=torch.float32)
    if len(counts) == 0 or counts.min() < 0 or counts.max() > n:
        raise BadInput(f"one_versus_all: counts must lie between 0 and N = {n}, one for each class")
    # a class without positives (or without negatives) has nothing to weigh there: any finite number will do
    weights = torch.stack([n / counts.clamp(min=1), n / (n - counts).clamp(min=1)]) ** power
    on = cache(weights.to)  # a device: copied once, not in each step

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        if targets.ndim < outputs.ndim:
            targets = torch.zeros_like(outputs).scatter(1, targets[:, None], 1.0)
        up, down = on(outputs.device)
        each = targets * up * F.logsigmoid(outputs) + (1 - targets) * down * F.logsigmoid(-outputs)
        return -each.mean()

    return loss


@known
def pairwise_ranking(outputs: Tensor, tags: Tensor) -> Tensor:
    """Pairwise ranking: the score of a picture's drawn tag, int64 (B,), should be 1 above that of the tag
    drawn for the next picture of the batch. So a picture moves two columns of the output layer and no other:
    the alternative that Joulin et al. 2016, section 3, leave out, after Weston et al. 2011."""
    own, other = (outputs.gather(1, each[:, None])[:, 0] for each in (tags, tags.roll(1)))
    return F.relu(1 - own + other).mean()


@known
def sigmoid_pairs(outputs: Tensor, targets: Tensor) -> Tensor:
    """Each pair of a picture and a tag is judged alone, right or wrong: the sum over all tags, for targets
    (B, K) of 0 or 1. Source: Zhai et al. 2023 (SigLIP), equation 1, where the texts are those of the batch;
    here all tags are, so a tag that a picture has is never taken for a wrong one."""
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="sum") / len(outputs)


@known
def negative_cosine(outputs: Tensor, targets: Tensor) -> Tensor:
    """NCSL: minus the cosine between a picture's vector f_j and the sum h̄_j of its tags' vectors; 0 where
    that is zero, because no tag has a vector. Source: Veit et al. 2018, equation 2 (after Chollet 2016)."""
    return -F.cosine_similarity(outputs, targets, 1, 1e-8).mean()


@remembered
def with_auxiliary(loss: Loss) -> Loss:
    """The same loss for a network that returns further outputs while training, each counted 0.3 times: the
    auxiliary classifiers of Szegedy et al. 2015, section 5."""

    def total(outputs, targets: Tensor) -> Tensor:
        main, *others = (outputs,) if isinstance(outputs, Tensor) else outputs
        return loss(main, targets) + 0.3 * sum(loss(other, targets) for other in others)

    return total


@known
def in_batch(scores: Tensor, targets: Tensor) -> Tensor:
    """Softmax loss over the distinct classes among `targets`, int64 (B,), instead of all K: to compare with
    `SampledOutput`, which never computes the scores that are dropped here. Source: as there."""
    present = torch.zeros_like(scores[0]).scatter(0, targets, 1.0) > 0
    return F.cross_entropy(scores.masked_fill(~present, -torch.inf), targets)


class SampledOutput:
    """The output layer W^T e + b of a network with K classes, very many, trained on a few of them at a time.

    Joulin et al. 2016, section 3, "Large dictionary": "we only update the weights that correspond to classes
    present in a training batch". Nothing else is read or written.

    `step` computes the softmax loss over the classes of the batch and `samples` others, drawn uniformly and
    shared by the whole batch, and moves only the rows of W that took part, by AdaGrad: a row that takes part
    rarely keeps a large step. Sampled scores are raised by −log of the chance to be drawn, so that the sum
    over the sample estimates the sum over all classes (Bengio and Senécal 2003). No samples are Joulin et
    al.'s choice; more than K are BadInput. d is the size of e; the seed decides W and every draw."""

    def __init__(self, K: int, d: int, samples: int, lr: float = 0.1, seed: int = 0, device="cpu"):
        if not 0 <= samples <= K:
            raise BadInput(f"SampledOutput: {samples} samples of {K} classes; give 0 to {K}")
        self.K, self.samples, self.lr = K, samples, lr
        self.generator = torch.Generator(device).manual_seed(seed)
        self.weight = torch.randn(K, d, generator=self.generator, device=device) * 0.01
        self.bias = torch.zeros(K, device=device)
        self._squares = torch.full((2, K), 1e-8, device=device)

    def classes(self, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The classes that take part: ids int64 (C,) in ascending order, places of the targets int64 (B,),
        and the correction float (C,) that is added to the scores."""
        own = torch.unique(targets)
        drawn = torch.randint(self.K, (self.samples,), generator=self.generator, device=targets.device)
        ids = torch.unique(torch.cat([own, drawn]))
        chance = max(self.K - len(own), 1) / max(len(ids) - len(own), 1)
        correction = torch.full((len(ids),), np.log(chance), device=targets.device)
        place = torch.searchsorted(ids, targets)
        correction[place] = 0.0  # classes of the batch always take part
        return ids, place, correction

    def step(self, e: Tensor, targets: Tensor) -> Tensor:
        """One gradient step of the rows that take part, and the mean loss before it, for embeddings e (B, d)
        with a class each, int64 (B,); also fills `e.grad` where e needs a gradient."""
        ids, place, correction = self.classes(targets)
        weight, bias = self.weight[ids].requires_grad_(), self.bias[ids].requires_grad_()
        loss = F.cross_entropy(torch.addmm(bias + correction, e, weight.T), place)
        loss.backward()
        with torch.no_grad():
            gradients = weight.grad, bias.grad[:, None]
            tables = self.weight, self.bias[:, None]
            for values, squares, gradient in zip(tables, self._squares, gradients, strict=True):
                # one step size a row: half the memory traffic of one a number, and as accurate
                total = squares[ids] + gradient.square().mean(1)
                squares[ids] = total
                values[ids] -= gradient * (self.lr * total.rsqrt())[:, None]
        return loss.detach()

    @torch.no_grad()
    def scores(self, e: Tensor) -> Tensor:
        """Scores of all classes, float (B, K)."""
        return torch.addmm(self.bias, e, self.weight.T)


def log_sum_over_samples(
    scores: np.ndarray, size: int, rng: np.random.Generator, draws: int = 200
) -> np.ndarray:
    """log Σ_{c in C} exp(score_c) for random sets C of `size` classes without repeats: float64 (draws,), from
    the scores (K,) of one picture."""
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
    added to all scores (K,), and so to the results, which changes no softmax, so that the smallest is 0. It
    is not in `approximate` (draws,), the log Σ_C exp(score) of each set drawn; `size` is |C|."""
    scores = np.asarray(scores, np.float64)
    constant = -scores.min()
    upper = float(log_sum(scores) + constant)
    approximate = np.asarray(approximate, np.float64) + constant
    threshold = np.log(size / len(scores)) + upper
    lower = float((approximate >= threshold - 1e-9).mean() * threshold)  # all K reach it, however rounded
    return lower, float(approximate.mean()), upper


def seconds_per_step(K: int, d: int, batch: int, steps: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Seconds of each step of the output layer (forward, backward, update; a first one is not counted), by
    name: all K classes, those of the batch, or a shared sample. On this machine and the current threads."""
    generator = torch.Generator().manual_seed(seed)
    e = torch.randn(batch, d, generator=generator, requires_grad=True)
    targets = torch.randint(K, (batch,), generator=generator)
    dense = torch.nn.Linear(d, K)
    optimiser = torch.optim.Adagrad(dense.parameters(), lr=0.1)

    def full(e: Tensor, targets: Tensor) -> None:
        optimiser.zero_grad()
        F.cross_entropy(dense(e), targets).backward()
        optimiser.step()

    def seconds(step: Callable) -> np.ndarray:
        return np.array(repeat(partial(step, e, targets), number=1, repeat=steps + 1))[1:]

    sampled = {"classes of the batch": 0, "shared sample": min(4096, K // 2)}
    found = {name: seconds(SampledOutput(K, d, samples).step) for name, samples in sampled.items()}
    return {"all classes": seconds(full)} | found

"""Embeddings of tags from which tags are together on images: PPMI with SVD, skip-gram, multi-sense skip-gram.

Veit et al. 2018, section 3.1, learn an image network against such vectors: once the principal singular
vectors of the PPMI matrix (Levy and Goldberg 2014), once the global vectors of multi-sense skip-gram (Li and
Jurafsky 2015). The tags of one image take the place of a sentence; the context of a tag is all the others.
"""

from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from helpers.crowd.filtering import to_csr
from helpers.crowd.negatives import GOLDEN, alias_table
from helpers.errors import BadInput
from helpers.randomness import mix
from helpers.words.bags import Bags

FAST = {"reassoc", "contract", "nsz"}
NEGATIVE = 5  # draws per pair: Mikolov et al. 2013, section 2.2, have 5 to 20 for small collections


class TagSets(NamedTuple):
    """Which tags are together; `tag_sets` makes it."""

    indptr: np.ndarray  # int64 (B + 1,); image b has tags[indptr[b]:indptr[b + 1]]
    tags: np.ndarray  # int32 (T,), codes from 0 to n_tags − 1; each occurs once in a set
    n_tags: int  # size K of the vocabulary


class Senses(NamedTuple):
    """What `multi_sense` and `skip_gram` learn; after `skip_gram` there are S = 0 senses."""

    vectors: np.ndarray  # float32 (K, D), global: "hashtag embedding" of Veit et al., or word2vec's vectors
    contexts: np.ndarray  # float32 (K, D), the vectors of a tag as context of others
    senses: np.ndarray  # float32 (K, S, D); the vector of a sense without occurrences is not defined
    counts: np.ndarray  # int64 (K, S), occurrences of each sense at the end
    seats: np.ndarray  # int32 (T,), parallel to the sets' `tags`: the sense of each; −1 if it is alone


def tag_sets(image: np.ndarray, tag: np.ndarray, n_tags: int) -> TagSets:
    """Group rows into sets, from image int (n,), any ids of what is tagged in one go (a user's item), and tag
    int (n,); repeated rows count once. Raises BadInput for different lengths, or a tag outside 0..K−1."""
    image, tag = np.asarray(image), np.asarray(tag)
    if image.shape != tag.shape or image.ndim != 1:
        raise BadInput(f"tag_sets: {image.shape} images and {tag.shape} tags; give one image per tag")
    if len(tag) and not 0 <= tag.min() <= tag.max() < n_tags:
        raise BadInput(f"tag_sets: tags {tag.min()} to {tag.max()}; expected codes from 0 to {n_tags - 1}")
    names, row = np.unique(image, return_inverse=True)
    pairs = np.unique(row.astype(np.int64) * max(n_tags, 1) + tag)
    return TagSets(*to_csr(*np.divmod(pairs, max(n_tags, 1)), len(names)), n_tags)


def cooccurrence(sets: TagSets) -> sp.csr_matrix:
    """float64 (K, K): on how many images two tags are together; the diagonal is empty."""
    B = Bags(sets.indptr, sets.tags).matrix(sets.n_tags).astype(np.float64)
    C = (B.T @ B).tocsr()
    C.setdiag(0)
    C.eliminate_zeros()
    return C


def ppmi(C: sp.csr_matrix) -> sp.csr_matrix:
    """Positive pointwise mutual information of pairs of tags, from symmetric counts C, float (K, K).
    max(0, log P(i, j) / (P(i) P(j))) with P(i, j) = C_ij / ΣC and P(i) = Σ_j C_ij / ΣC (Levy and Goldberg
    2014, section 3; used in Veit et al. 2018, section 3.1)."""
    C = sp.coo_matrix(C)
    total, margin = C.sum(), np.asarray(C.sum(axis=1)).ravel()
    value = np.log(C.data * total / (margin[C.row] * margin[C.col]))
    kept = value > 0
    return sp.csr_matrix((value[kept], (C.row[kept], C.col[kept])), C.shape)


def ppmi_svd(sets: TagSets, d: int, power: float = 0.5, seed: int = 0) -> np.ndarray:
    """Tag embeddings, float32 (K, d): the d principal singular vectors of the PPMI matrix, multiplied by
    singular values to the given power. BadInput where d is not in 1..K.

    0.5 is the symmetric split U √Σ of Levy and Goldberg, section 3.3; 0 gives the singular vectors as they
    are. Veit et al. do not say which; with D near K, 0 would make all tags orthogonal. Dimensions beyond the
    rank of the matrix are 0, as is the vector of a tag that is never with another. The seed is the start of
    the iteration; the result does not depend on it but for rounding."""
    if not 1 <= d <= sets.n_tags:
        raise BadInput(f"ppmi_svd: d is {d}; with {sets.n_tags} tags it is from 1 to {sets.n_tags}")
    M = ppmi(cooccurrence(sets))
    if d == sets.n_tags or M.nnz == 0:
        U, s, _ = np.linalg.svd(M.toarray())
    else:
        U, s, _ = svds(M, d, v0=np.random.default_rng(seed).normal(size=sets.n_tags))
    order = np.argsort(-s, kind="stable")[:d]
    U, s = U[:, order], s[order]
    # a singular vector is known up to its sign: the largest entry of each is made positive
    sign = np.sign(U[np.abs(U).argmax(axis=0), np.arange(d)])
    kept = s > 1e-10 * max(s[0], 1e-300)
    return (U * sign * np.where(kept, np.where(kept, s, 1) ** power, 0)).astype(np.float32)


def skip_gram(sets: TagSets, d: int, epochs: int = 20, lr: float = 0.05, seed: int = 0) -> Senses:
    """Word2vec on sets of tags (Mikolov et al. 2013): skip-gram with negative sampling, one vector a tag. It
    is `multi_sense` without senses."""
    return _fit(sets, d, 0, 1.0, epochs, lr, seed)


def multi_sense(
    sets: TagSets, d: int, max_senses: int = 4, gamma: float = 0.1, epochs: int = 20, lr: float = 0.05,
    seed: int = 0,
) -> Senses:  # fmt: skip
    """Multi-sense skip-gram: a Chinese-restaurant process adds senses to a tag, `max_senses` at most.

    For each occurrence of a tag w with the other tags of its image as context: (1) the global vector of w
    takes a step of skip-gram; (2) the occurrence leaves its old table, if it has one, and sits down at table
    s with probability ∝ n_s · P(context | sense s), or at a free one ∝ γ · P(context | global vector), P
    being the product of σ(v · c) over the context; (3) the vector of its sense takes a step of skip-gram too.
    A new sense starts as the global vector. Each epoch visits all images, in an order drawn anew; negatives
    are drawn ∝ frequency^0.75; the step size `lr` falls linearly to a ten-thousandth at the end. There is one
    thread, so a seed repeats exactly. Raises BadInput for a number out of its range, vectors that diverge, or
    where no image has two tags.

    Source: Li and Jurafsky 2015, section 3.1 (seats ∝ n · P(w | table), a new one ∝ γ · P(w | new table)) and
    3.2; the global vectors are used in Veit et al. 2018, section 3.1. The authors' own program
    (github.com/jiweil/mutli-sense-embedding, `joint_training`) takes shortcuts that this does not: P is one σ
    of the mean context with a second vector per sense, a new table has the weight γ whatever the context, and
    the global vectors of the neighbours are also the context vectors."""
    if max_senses < 1 or gamma <= 0:
        raise BadInput(f"multi_sense: max_senses {max_senses} and gamma {gamma}; at least 1 and above 0")
    return _fit(sets, d, max_senses, gamma, epochs, lr, seed)


def _fit(sets, d, max_senses, gamma, epochs, lr, seed) -> Senses:
    indptr, tags, K = sets
    if d < 1 or epochs < 1 or not lr > 0:
        raise BadInput(f"skip-gram: d {d}, epochs {epochs}, lr {lr}; all above 0")
    if not len(tags) or np.diff(indptr).max() < 2:
        raise BadInput("skip-gram: no image has two tags, so no tag has a context")
    rng = np.random.default_rng(seed)
    vectors = ((rng.random((K, d)) - 0.5) / d).astype(np.float32)
    senses, counts = np.zeros((K, max_senses, d), np.float32), np.zeros((K, max_senses), np.int64)
    found = Senses(vectors, np.zeros_like(vectors), senses, counts, np.full(len(tags), -1, np.int32))
    table = alias_table(np.bincount(tags, minlength=K) ** 0.75)
    for rates in pairwise(np.linspace(lr, lr * 1e-4, epochs + 1)):
        order, key = rng.permutation(len(indptr) - 1), np.uint64(rng.integers(2**63))
        epoch(indptr, tags, order, *found, table, NEGATIVE, gamma, *rates, key)
    if not (np.isfinite(vectors).all() and np.isfinite(found.contexts).all()):
        raise BadInput(f"skip-gram: the vectors diverged (lr {lr}); halve lr")
    return found


@numba.njit(cache=True, fastmath=FAST)
def log_sigmoid_sum(v, tags, start, end, skip, contexts):
    """Σ log σ(v · c) over the context vectors c of tags[start:end], without position `skip`."""
    total = 0.0
    for p in range(start, end):
        if p != skip:
            c, dot = contexts[tags[p]], np.float32(0)
            for k in range(len(v)):
                dot += v[k] * c[k]
            total -= np.log1p(np.exp(-np.float64(dot)))
    return total


@numba.njit(cache=True, fastmath=FAST)
def pull(v, error, tags, start, end, skip, contexts, table, negative, lr, state):
    """One step for v and each of its context tags, one pair after the other: it ascends log σ(v · c₊) + Σ log
    σ(−v · c₋) (Mikolov et al. 2013, eq. 4) with `negative` draws c₋ from `table`; a draw of the context tag
    itself is left out. Returns the state of the random numbers."""
    d, cells = len(v), np.uint64(len(table))
    for p in range(start, end):
        if p == skip:
            continue
        error[:] = 0
        for n in range(negative + 1):
            target, label = tags[p], np.float32(1)
            if n:
                state += GOLDEN
                bits = mix(state)
                # the upper half chooses a cell, the lower half is the coin of the alias method
                cell = np.int64(((bits >> np.uint64(32)) * cells) >> np.uint64(32))
                entry = table[cell]
                kept = (bits & np.uint64(0xFFFFFFFF)) < (entry >> np.uint64(32))
                target = np.int32(cell if kept else entry & np.uint64(0xFFFFFFFF))
                if target == tags[p]:
                    continue
                label = np.float32(0)
            c, dot = contexts[target], np.float32(0)
            for k in range(d):
                dot += v[k] * c[k]
            g = lr * (label - np.float32(1) / (np.float32(1) + np.exp(-dot)))
            for k in range(d):
                error[k] += g * c[k]
                c[k] += g * v[k]
        for k in range(d):
            v[k] += error[k]
    return state


@numba.njit(cache=True)
def seat_weights(w, tags, start, end, position, vectors, contexts, senses, count, gamma, weight):
    """The Chinese restaurant of tag w at one place (Li and Jurafsky 2015, eq. 5). It fills `weight` up to a
    common factor: a taken table s with count_s · P(context | sense s), the first free one, which is returned
    (−1: none is free), with γ · P(context | global vector), other free ones with 0. P is the product of σ(v ·
    c) over the context."""
    most, free = senses.shape[1], -1
    for s in range(most):
        weight[s] = -np.inf
        if count[w, s] > 0:
            fit = log_sigmoid_sum(senses[w, s], tags, start, end, position, contexts)
            weight[s] = np.log(count[w, s]) + fit
        elif free < 0:
            free, fit = s, log_sigmoid_sum(vectors[w], tags, start, end, position, contexts)
            weight[s] = np.log(gamma) + fit
    weight[:most] = np.exp(weight[:most] - weight[:most].max())
    return free


@numba.njit(cache=True)
def epoch(indptr, tags, order, vectors, contexts, senses, count, seat, table, negative, gamma, lr_first,
          lr_last, key):  # fmt: skip
    """Visit every tag of every set once. With senses.shape[1] of 0 it is the plain skip-gram."""
    most, done, state = senses.shape[1], 0, np.uint64(key)
    error, weight = np.empty(vectors.shape[1], np.float32), np.empty(most, np.float64)
    for row in order:
        start, end = indptr[row], indptr[row + 1]
        lr = np.float32(lr_first + (lr_last - lr_first) * done / len(tags))
        done += end - start
        if end - start < 2:
            continue
        for position in range(start, end):
            w, here = tags[position], (tags, start, end, position)
            state = pull(vectors[w], error, *here, contexts, table, negative, lr, state)
            if most == 0:
                continue
            if seat[position] >= 0:
                count[w, seat[position]] -= 1
            free = seat_weights(w, *here, vectors, contexts, senses, count, gamma, weight)
            state += GOLDEN
            # 53 random bits give a number from [0, 1)
            x = np.float64(mix(state) >> np.uint64(11)) * 2.0**-53 * weight[:most].sum()
            s = 0
            while s < most - 1 and x >= weight[s]:
                x -= weight[s]
                s += 1
            while weight[s] == 0.0:  # rounding can carry x past the last table
                s -= 1
            if s == free:
                senses[w, s] = vectors[w]
            count[w, s] += 1
            seat[position] = s
            state = pull(senses[w, s], error, *here, contexts, table, negative, lr, state)

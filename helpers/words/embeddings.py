"""Embeddings of tags from which tags are together on images: PPMI with SVD, skip-gram, multi-sense skip-gram.

Veit et al. 2018, section 3.1, learn an image network against such vectors: once the principal singular
vectors of the PPMI matrix (Levy and Goldberg 2014), once the global vectors of multi-sense skip-gram (Li and
Jurafsky 2015). The set of tags of one image takes the place of a sentence; the context of a tag is all the
others.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from helpers.crowd.negatives import alias_table
from helpers.errors import BadInput
from helpers.words.embeddings_kernels import epoch, probabilities


class TagSets(NamedTuple):
    """Which tags are together; `tag_sets` makes it.

    Attributes:
        indptr: int64[B+1]; image b has tags[indptr[b]:indptr[b+1]].
        tags: int32[T], codes from 0 to n_tags − 1; each occurs once in a set.
        n_tags: size K of the vocabulary.
    """

    indptr: np.ndarray
    tags: np.ndarray
    n_tags: int

    @property
    def matrix(self) -> sp.csr_matrix:
        """float64 (B, K), 1 where the image has the tag."""
        shape = (len(self.indptr) - 1, self.n_tags)
        return sp.csr_matrix((np.ones(len(self.tags)), self.tags, self.indptr), shape)


class Senses(NamedTuple):
    """What `multi_sense` and `skip_gram` learn.

    Attributes:
        vectors: float32 (K, D), the global vectors: "hashtag embedding" of Veit et al.; with `skip_gram`,
            the word2vec vectors.
        contexts: float32 (K, D), the vectors of a tag as context of others.
        senses: float32 (K, S, D), a vector per sense; a sense without occurrences is not defined.
        counts: int64 (K, S), occurrences of each sense at the end. S is 0 after `skip_gram`.
        seats: int32[T], the sense of each occurrence, parallel to the sets' `tags`; −1 if it is alone.
        gamma: γ of the Chinese restaurant.
    """

    vectors: np.ndarray
    contexts: np.ndarray
    senses: np.ndarray
    counts: np.ndarray
    seats: np.ndarray
    gamma: float


def tag_sets(image: np.ndarray, tag: np.ndarray, n_tags: int) -> TagSets:
    """Group rows (image, tag) into sets; repeated rows count once.

    Args:
        image: int[n], any ids; an image here is what is tagged in one go (a user's item).
        tag: int[n], codes of the vocabulary.
        n_tags: K.

    Raises:
        BadInput: lengths differ, or a code outside 0..K−1.
    """
    image, tag = np.asarray(image), np.asarray(tag)
    if image.shape != tag.shape or image.ndim != 1:
        raise BadInput(f"tag_sets: {image.shape} images and {tag.shape} tags; give one image per tag")
    if len(tag) and not 0 <= tag.min() <= tag.max() < n_tags:
        raise BadInput(f"tag_sets: tags {tag.min()} to {tag.max()}; expected codes from 0 to {n_tags - 1}")
    names, row = np.unique(image, return_inverse=True)
    pairs = np.unique(row.astype(np.int64) * max(n_tags, 1) + tag)
    row, tag = np.divmod(pairs, max(n_tags, 1))
    indptr = np.searchsorted(row, np.arange(len(names) + 1))
    return TagSets(indptr.astype(np.int64), tag.astype(np.int32), n_tags)


def cooccurrence(sets: TagSets) -> sp.csr_matrix:
    """float64 (K, K): on how many images two tags are together; the diagonal is empty."""
    B = sets.matrix
    C = (B.T @ B).tocsr()
    C.setdiag(0)
    C.eliminate_zeros()
    return C


def ppmi(C: sp.csr_matrix) -> sp.csr_matrix:
    """Positive pointwise mutual information of pairs of tags.

    max(0, log P(i, j) / (P(i) P(j))) with P(i, j) = C_ij / ΣC and P(i) = Σ_j C_ij / ΣC.

    Args:
        C: float (K, K), symmetric counts.

    Source: Levy and Goldberg 2014, section 3; used in Veit et al. 2018, section 3.1.
    """
    C = sp.coo_matrix(C)
    total, margin = C.sum(), np.asarray(C.sum(axis=1)).ravel()
    value = np.log(C.data * total / (margin[C.row] * margin[C.col]))
    kept = value > 0
    return sp.csr_matrix((value[kept], (C.row[kept], C.col[kept])), C.shape)


def ppmi_svd(sets: TagSets, d: int, power: float = 0.5, seed: int = 0) -> np.ndarray:
    """Tag embeddings: the d principal singular vectors of the PPMI matrix.

    Args:
        d: D, the size of a vector; at most K. Dimensions beyond the rank of the matrix are 0.
        seed: the start of the iteration; the result does not depend on it but for rounding.
        power: singular vectors are multiplied by singular values to this power. 0.5 is the symmetric split
            U √Σ of Levy and Goldberg, section 3.3; 0 gives the singular vectors as they are. Veit et al. do
            not say which; with D near K, 0 would make all tags orthogonal.

    Returns:
        float32 (K, d); a tag that is never with another has the zero vector.

    Raises:
        BadInput: d above K.
    """
    if not 1 <= d <= sets.n_tags:
        raise BadInput(f"ppmi_svd: d is {d}; with {sets.n_tags} tags it is from 1 to {sets.n_tags}")
    M = ppmi(cooccurrence(sets))
    if d == sets.n_tags or M.nnz == 0:
        U, s, _ = np.linalg.svd(M.toarray())
    else:
        v0 = np.random.default_rng(seed).normal(size=sets.n_tags)
        U, s, _ = svds(M, d, v0=v0)
    order = np.argsort(-s, kind="stable")[:d]
    U, s = U[:, order], s[order]
    # a singular vector is known up to its sign: the largest entry of each is made positive
    sign = np.sign(U[np.abs(U).argmax(axis=0), np.arange(d)])
    kept = s > 1e-10 * max(s[0], 1e-300)
    return (U * sign * np.where(kept, np.where(kept, s, 1) ** power, 0)).astype(np.float32)


def skip_gram(
    sets: TagSets, d: int, epochs: int = 20, negative: int = 5, lr: float = 0.05, seed: int = 0
) -> Senses:
    """Word2vec on sets of tags: skip-gram with negative sampling, one vector a tag.

    Arguments as for `multi_sense`, of which it is the case without senses.

    Source: Mikolov et al. 2013.
    """
    return _fit(sets, d, 0, 1.0, epochs, negative, lr, seed)


def multi_sense(
    sets: TagSets,
    d: int,
    max_senses: int = 4,
    gamma: float = 0.1,
    epochs: int = 20,
    negative: int = 5,
    lr: float = 0.05,
    seed: int = 0,
) -> Senses:
    """Multi-sense skip-gram: a Chinese-restaurant process adds senses to a tag.

    For each occurrence of a tag w with the other tags of its image as context: (1) the global vector of w
    takes a step of skip-gram; (2) the occurrence leaves its old table, if it has one, and sits down at table
    s with probability ∝ n_s · P(context | sense s), or at a free one ∝ γ · P(context | global vector), P
    being the product of σ(v · c) over the context; (3) the vector of its sense takes a step of skip-gram too.
    A new sense starts as the global vector.

    Args:
        d: D.
        max_senses: tables of each tag, at most.
        gamma: γ > 0: how easily a new sense is opened.
        epochs: passes over all images, in an order drawn anew each time.
        negative: drawn tags per pair, ∝ frequency^0.75.
        lr: step size at the start; it falls linearly to a ten-thousandth at the end.
        seed: decides initial vectors, order, negatives and seats. One thread, so it repeats exactly.

    Raises:
        BadInput: a number out of its range, or no image with two tags.

    Source: Li and Jurafsky 2015, section 3.1 (seats ∝ n · P(w | table), a new one ∝ γ · P(w | new table)) and
    3.2; the global vectors are used in Veit et al. 2018, section 3.1. The authors' own program
    (github.com/jiweil/mutli-sense-embedding, `joint_training`) takes shortcuts that this does not: P is one σ
    of the mean context with a second vector per sense, and a new table has the weight γ whatever the context.
    As here, a new sense starts as the global vector and learns by skip-gram with negative sampling; there,
    the global vectors of the neighbours are also the context vectors.
    """
    if max_senses < 1 or gamma <= 0:
        raise BadInput(f"multi_sense: max_senses {max_senses} and gamma {gamma}; at least 1 and above 0")
    return _fit(sets, d, max_senses, gamma, epochs, negative, lr, seed)


def sense_probabilities(found: Senses, sets: TagSets) -> np.ndarray:
    """Which sense each occurrence has, also on images that were not learnt from.

    Returns:
        float64 (T, S), parallel to `sets.tags`: count of the sense times P(context | sense), normalised. The
        largest is the greedy choice of Li and Jurafsky, section 4; a tag without any sense has zeros.
    """
    out = np.zeros((len(sets.tags), found.senses.shape[1]))
    probabilities(sets.indptr, sets.tags, found.vectors, found.contexts, found.senses, found.counts, out)
    return out


def _fit(sets, d, max_senses, gamma, epochs, negative, lr, seed) -> Senses:
    indptr, tags, K = sets
    if d < 1 or epochs < 1 or negative < 1 or not lr > 0:
        raise BadInput(f"skip-gram: d {d}, epochs {epochs}, negative {negative}, lr {lr}; all above 0")
    if not len(tags) or np.diff(indptr).max() < 2:
        raise BadInput("skip-gram: no image has two tags, so no tag has a context")
    rng = np.random.default_rng(seed)
    vectors = ((rng.random((K, d)) - 0.5) / d).astype(np.float32)
    contexts = np.zeros((K, d), np.float32)
    senses = np.zeros((K, max_senses, d), np.float32)
    counts, seats = np.zeros((K, max_senses), np.int64), np.full(len(tags), -1, np.int32)
    table = alias_table(np.bincount(tags, minlength=K) ** 0.75)
    rates = np.linspace(lr, lr * 1e-4, epochs + 1)
    for e in range(epochs):
        epoch(
            indptr, tags, rng.permutation(len(indptr) - 1), vectors, contexts, senses, counts, seats, table,
            negative, gamma, rates[e], rates[e + 1], np.uint64(rng.integers(2**63)),
        )  # fmt: skip
    if not (np.isfinite(vectors).all() and np.isfinite(contexts).all()):
        raise BadInput(f"skip-gram: the vectors diverged (lr {lr}); halve lr")
    return Senses(vectors, contexts, senses, counts, seats, gamma)

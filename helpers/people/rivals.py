"""Retrieval for somebody as it is done today, without a core tensor: neighbours, and several vectors a user.

Neither has weights that a gradient moves; what there is to choose (how many neighbours, how sharp, how much a
user's own past counts) is searched like the settings of the models that learn.
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from helpers.crowd.neighbours import unit
from helpers.people.posts import CELLS, Posts
from helpers.words.bags import Bags

Scorer = Callable[[Posts], np.ndarray]  # n posts -> scores of all tags, float32 (n, K)


def neighbours(
    x: np.ndarray, train: Posts, n_tags: int, n_users: int, k: int, sharpness: float, own: float
) -> Scorer:
    """Tags of the nearest training posts: (1 − own) · p(tag | k nearest posts of all) + own · p(tag | all of
    this user's posts), each post weighted by exp(sharpness · cosine) of its image's features x, float (M, d).
    A user without a past has the first part alone. Memory is bounded by `posts.CELLS`."""
    x = unit(x)
    past, owners = x[train.image], Bags.of(train.user, np.arange(len(train)), n_users + 1)
    tags = Bags(*train.tags)
    shares = sparse.diags_array(1 / np.diff(tags.indptr).astype(np.float32)) @ tags.matrix(n_tags)

    def weighted(row: np.ndarray, post: np.ndarray, cosine: np.ndarray, n: int) -> np.ndarray:
        weight = np.exp(sharpness * (cosine - 1))
        sums = np.maximum(np.bincount(row, weight, n), 1e-30)
        each = sparse.csr_array(((weight / sums[row]).astype(np.float32), (row, post)), (n, len(train)))
        return (each @ shares).toarray()

    def score(asked: Posts) -> np.ndarray:
        parts, step = [], max(1, CELLS // len(train))
        for start in range(0, len(asked), step):
            rows = slice(start, start + step)
            ours, user = x[asked.image[rows]], np.where(asked.user[rows] < 0, n_users, asked.user[rows])
            cosines, n = ours @ past.T, len(ours)
            near = np.argpartition(-cosines, min(k, len(train)) - 1, axis=1)[:, :k]
            near_row = np.repeat(np.arange(n), near.shape[1])
            crowd = weighted(near_row, near.ravel(), cosines[near_row, near.ravel()], n)
            mine = owners.rows(user)
            own_part = weighted(mine.owner, mine.indices, cosines[mine.owner, mine.indices], n)
            alone = (np.diff(mine.indptr) == 0)[:, None]
            parts.append(np.where(alone, crowd, (1 - own) * crowd + own * own_part))
        return np.concatenate(parts).astype(np.float32)

    return score


def medoids(vectors: np.ndarray, user: np.ndarray, most: int) -> np.ndarray:
    """At most `most` posts of each user that stand for the others, as rows int (·,), ordered by user.

    `vectors` are float (n, D) of length 1, one a post, `user` int (n,). PinnerSage (Pal et al. 2020, arXiv
    2007.03634) clusters what a user did by Ward's method and takes a medoid of each cluster; here all users
    at once: first the post nearest to the user's mean, then again and again the one farthest from those
    chosen, and at last of each cluster the post nearest to its mean."""

    def best(value: np.ndarray, group: np.ndarray) -> np.ndarray:
        order = np.lexsort((value, group))  # the best of each group is its last one
        last = np.append(np.flatnonzero(np.diff(group[order])), len(group) - 1)
        return order[last]

    def to_mean(group: np.ndarray) -> np.ndarray:
        sums = np.zeros((group.max() + 1, vectors.shape[1]), np.float32)
        np.add.at(sums, group, vectors)
        return (vectors * sums[group]).sum(axis=1)

    _, user = np.unique(user, return_inverse=True)
    chosen = best(to_mean(user), user)  # a row a user
    near, cluster = (vectors * vectors[chosen][user]).sum(axis=1), np.zeros(len(user), np.int64)
    for number in range(1, most):
        chosen = best(-near, user)
        cosine = (vectors * vectors[chosen][user]).sum(axis=1)
        new = cosine > near + 1e-6  # users whose posts are all chosen get no more
        near, cluster = np.where(new, cosine, near), np.where(new, number, cluster)
    _, group = np.unique(user * most + cluster, return_inverse=True)
    return best(to_mean(group), group)


def several_vectors(
    image_part: Scorer, vectors: np.ndarray, train: Posts, n_users: int, most: int, weight: float
) -> Scorer:
    """Several vectors a user, as PinnerSage has them: image_part + weight · the highest cosine of a tag to
    one of the user's medoids. A post's vector is the sum of its tags' `vectors`, float (K, D), made length 1;
    image_part maps posts to log-probabilities. A user without a past has the image part alone."""
    h = unit(vectors)
    past = unit(Bags(*train.tags).sums(h))
    rows = medoids(past, train.user, most)
    of_user = Bags.of(train.user[rows], np.arange(len(rows)), n_users + 1)

    def score(asked: Posts) -> np.ndarray:
        mine = of_user.rows(np.where(asked.user < 0, n_users, asked.user))
        scores, known = np.array(image_part(asked)), np.flatnonzero(np.diff(mine.indptr))
        if len(known):
            cosines = past[rows[mine.indices]] @ h.T
            scores[known] += weight * np.maximum.reduceat(cosines, mine.indptr[known])
        return scores

    return score

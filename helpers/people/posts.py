"""Posts: who put which hashtags on which image; floors that know no image; intervals over users."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor

from helpers.crowd.filtering import to_csr
from helpers.errors import BadInput
from helpers.measures.stats import Interval, interval, resamples

UNKNOWN = -1  # a user who was not there in training


@dataclass(frozen=True)
class Posts:
    """Who put which hashtags on which image, one row a post (a pair of image and user).

    Attributes:
        image: int64 (n,), rows of the features.
        user: int64 (n,), 0..U-1, or UNKNOWN.
        tags: (indptr int64 (n + 1,), indices int32), the hashtag set of each post, at least one each.
    """

    image: np.ndarray
    user: np.ndarray
    tags: tuple[np.ndarray, np.ndarray]

    def __post_init__(self):
        indptr = self.tags[0]
        if not len(self.image) == len(self.user) == len(indptr) - 1:
            raise BadInput(
                f"posts: {len(self.image)} images, {len(self.user)} users, {len(indptr) - 1} tag sets;"
                " there must be one each"
            )
        if (np.diff(indptr) < 1).any():
            raise BadInput(f"posts: post {int(np.argmin(np.diff(indptr)))} has no hashtag; leave it out")

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: np.ndarray) -> "Posts":
        """Some of the posts, in the order of `rows` int (·)."""
        indptr, indices = self.tags
        size = np.diff(indptr)[rows]
        ends = np.cumsum(size)
        places = np.arange(size.sum()) + np.repeat(indptr[rows] - ends + size, size)
        return Posts(self.image[rows], self.user[rows], (np.concatenate([[0], ends]), indices[places]))

    def batches(self, order: list[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        """Triplets int64 (B, 3), image, tag, user, with one hashtag of each post drawn uniformly; twice.

        The second one is the target of `helpers.learn.train`: the loss needs to know who is who.
        """
        indptr, indices = (torch.from_numpy(np.asarray(x, np.int64)) for x in self.tags)
        image, user = (torch.from_numpy(np.asarray(x, np.int64)) for x in (self.image, self.user))
        for rows in order:
            rows = torch.from_numpy(rows)
            size = indptr[rows + 1] - indptr[rows]
            place = (torch.rand(len(rows), generator=generator, dtype=torch.float64) * size).long()
            tag = indices[indptr[rows] + torch.minimum(place, size - 1)]
            batch = torch.stack([image[rows], tag, user[rows]], 1).to(device)
            yield batch, batch

    def keys(self, n_tags: int, n_users: int) -> np.ndarray:
        """The observed triplets T as sorted int64 numbers, (image · U + user) · K + tag."""
        pair = np.repeat(self.image.astype(np.int64) * n_users + self.user, np.diff(self.tags[0]))
        return np.unique(pair * n_tags + self.tags[1])


def from_table(table: pd.DataFrame, vocabulary: np.ndarray, users: np.ndarray) -> Posts:
    """The posts of a table of hashtags (user, item, tag), in order of item and user.

    Args:
        table: one row a hashtag; those that are not in the vocabulary are left out.
        vocabulary: text (K,), the hashtags in the order of their codes.
        users: int (U,), ascending: the users whom a model knows. Others become UNKNOWN.
    """
    code = pd.Series(np.arange(len(vocabulary)), pd.Index(vocabulary, dtype="str"))
    of_category = code.reindex(table["tag"].cat.categories.astype("str")).fillna(-1).to_numpy(np.int64)
    tag = of_category[table["tag"].cat.codes.to_numpy()] if len(table) else np.zeros(0, np.int64)
    item, user = (table[name].to_numpy(np.int64)[tag >= 0] for name in ("item", "user"))
    size = int(user.max(initial=0)) + 1
    pair, post = np.unique(item * size + user, return_inverse=True)
    place = np.minimum(np.searchsorted(users, pair % size), max(len(users) - 1, 0))
    known = users[place] == pair % size if len(users) else np.zeros(len(pair), bool)
    tags = to_csr(post.astype(np.int32), tag[tag >= 0].astype(np.int32), len(pair))
    return Posts(pair // size, np.where(known, place, UNKNOWN), tags)


def frequency_scores(train: Posts, asked: Posts, n_tags: int, n_users: int, own: bool) -> np.ndarray:
    """The floors of Veit et al. 2018, Table 2: score a tag by how often it was used in training.

    Args:
        own: count the user's own posts; ties, and users without a past, go by the frequency among all.

    Returns:
        float32 (len(asked), K).
    """
    # below 1, so that it only breaks ties
    everybody = np.bincount(train.tags[1], minlength=n_tags) / (len(train.tags[1]) + 1)
    if not own:
        return np.broadcast_to(everybody.astype(np.float32), (len(asked), n_tags))
    user = np.repeat(train.user, np.diff(train.tags[0]))
    ones = np.ones(len(user), np.float32)
    counts = sparse.csr_matrix((ones, (user, train.tags[1])), (n_users + 1, n_tags))
    mine = np.where(asked.user < 0, n_users, asked.user)  # the last row is empty
    return counts[mine].toarray() + everybody.astype(np.float32)


def over_users(
    values: np.ndarray, user: np.ndarray, rng: np.random.Generator, repeats: int = 1000
) -> Interval:
    """Bootstrap interval of a mean over posts when users are drawn, each with all their posts.

    Posts of one user are alike, so drawing posts would make the interval too narrow.

    Args:
        values: float (n,), one a post; for a paired comparison the differences.
        user: int (n,).

    Raises:
        BadInput: fewer than two users.
    """
    _, code = np.unique(user, return_inverse=True)
    size = np.bincount(code)
    if len(size) < 2:
        raise BadInput(f"over_users: {len(size)} users; an interval needs at least two")
    total = np.bincount(code, np.asarray(values, np.float64))
    counts = resamples(len(size), rng, repeats)
    return interval(float(np.mean(values)), counts @ total / (counts @ size))

"""Posts: who put which hashtags on which image; baselines that know no image; hits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor

from helpers.errors import BadInput
from helpers.learn.again import known
from helpers.learn.examples import Planned
from helpers.measures import metrics
from helpers.words.bags import Bags

UNKNOWN = -1  # a user who was not there in training
CELLS = 2**23  # scores that are held at once, 32 MB, however many posts and hashtags there are


@known
@dataclass(frozen=True)
class Posts(Planned):
    """Who put which hashtags on which image, one row a post (a pair of image and user)."""

    image: np.ndarray  # int64 (n,), rows of the features
    user: np.ndarray  # int64 (n,), 0..U-1, or UNKNOWN
    tags: tuple[np.ndarray, np.ndarray]  # indptr int64 (n + 1,), indices int32: at least one tag each

    def __post_init__(self):
        images, users, size = len(self.image), len(self.user), np.diff(self.tags[0])
        if not images == users == len(size):
            raise BadInput(f"posts: {images} images, {users} users, {len(size)} tag sets; give one each")
        if (size < 1).any():
            raise BadInput(f"posts: post {int(np.argmin(size))} has no hashtag; leave it out")

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: np.ndarray) -> "Posts":
        """Some of the posts, in the order of `rows` int (·)."""
        return Posts(self.image[rows], self.user[rows], Bags(*self.tags).rows(rows))

    def plan(self, order: np.ndarray, generator: torch.Generator) -> Tensor:
        """An epoch's triplets int64 (n, 4), image, tag, user, with one hashtag of each post drawn uniformly,
        and a number of 31 bits that decides the random negatives of each."""
        indptr, indices = self.tags
        size = np.diff(indptr)[order]
        draw = torch.rand(len(order), generator=generator, dtype=torch.float64).numpy()
        tag = indices[indptr[order] + np.minimum((draw * size).astype(np.int64), size - 1)]
        noise = torch.randint(2**31, (len(order),), generator=generator).numpy()
        return torch.from_numpy(
            np.stack([self.image[order], tag, self.user[order], noise], 1).astype(np.int64)
        )

    def look_up(self, rows: Tensor, copies: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Rows of `plan` twice, as training has inputs and targets: the loss needs to know who is who."""
        return rows, rows

    def keys(self, n_tags: int, n_users: int) -> np.ndarray:
        """The observed triplets T as sorted int64 numbers, (image · U + user) · K + tag."""
        pair = self.image.astype(np.int64) * n_users + self.user
        return np.unique(pair[Bags(*self.tags).owner] * n_tags + self.tags[1])


def from_table(table: pd.DataFrame, vocabulary: np.ndarray, users: np.ndarray) -> Posts:
    """The posts of a table of hashtags (user, item, tag; one row a hashtag), in order of item and user.
    Hashtags that are not in the vocabulary, text (K,) in the order of their codes, are left out; users who
    are not among those whom a model knows, int (U,), ascending, become UNKNOWN."""
    tag = table["tag"].cat.set_categories(pd.Index(vocabulary, dtype="str")).cat.codes.to_numpy(np.int64)
    item, user = (table[name].to_numpy(np.int64)[tag >= 0] for name in ("item", "user"))
    size = int(user.max(initial=0)) + 1
    pair, post = np.unique(item * size + user, return_inverse=True)
    known = pd.Index(users).get_indexer(pair % size)  # −1, which is UNKNOWN, for others
    return Posts(pair // size, known, Bags.of(post, tag[tag >= 0], len(pair)))


def frequency(train: Posts, n_tags: int, n_users: int, own: bool) -> Callable[[Posts], np.ndarray]:
    """The baselines of Veit et al. 2018, Table 2: score a tag by how often it was used in training. Maps n
    posts to float32 (n, K). With `own` the user's posts count; ties, and users without a past, go by the
    frequency among all."""
    everybody = np.bincount(train.tags[1], minlength=n_tags) / (len(train.tags[1]) + 1)  # < 1: breaks ties
    everybody = everybody.astype(np.float32)
    if not own:
        return lambda asked: np.broadcast_to(everybody, (len(asked), n_tags))
    user, ones = train.user[Bags(*train.tags).owner], np.ones(len(train.tags[1]), np.float32)
    counts = sparse.csr_matrix((ones, (user, train.tags[1])), (n_users + 1, n_tags))  # the last row is empty
    return lambda asked: counts[np.where(asked.user < 0, n_users, asked.user)].toarray() + everybody


def blocks(
    score: Callable[[Posts], np.ndarray], posts: Posts, n_tags: int
) -> Iterator[tuple[slice, Posts, np.ndarray]]:
    """Where some of the posts stand, these posts, and their scores of all tags, float (·, K). `score` is
    asked for so few at once that they fill `CELLS`: memory does not grow with the posts."""
    rows = max(1, CELLS // n_tags)
    for start in range(0, len(posts), rows):
        some = posts.take(np.arange(start, min(start + rows, len(posts))))
        yield slice(start, start + len(some)), some, score(some)


def in_blocks(score: Callable[[Posts], np.ndarray], posts: Posts, n_tags: int, what: Callable) -> np.ndarray:
    """`what` of the scores of posts, by `blocks`, concatenated: it maps float (·, K) to an array (·, …)."""
    return np.concatenate([what(scores) for _, _, scores in blocks(score, posts, n_tags)])


def hits(
    score: Callable[[Posts], np.ndarray], posts: Posts, n_tags: int, at: Sequence[int] = (1, 10), bonuses=None
) -> np.ndarray:
    """Whether each of n posts has one of its tags among the k best, for each k of `at`, cut to K: float64
    (len(at), n), 1 or 0; their means are accuracy@k (Veit et al. 2018, eq. 7).

    `score` maps posts to scores of all tags, as for `blocks`. With `bonuses`, float (T, K), each is added to
    the scores in turn: (T, len(at), n)."""
    sizes = [min(k, n_tags) for k in at]
    found = np.zeros((1 if bonuses is None else len(bonuses), len(at), len(posts)))
    for rows, some, scores in blocks(score, posts, n_tags):
        for t, of_bonus in enumerate(found[:, :, rows]):
            best = metrics.top_k(scores if bonuses is None else scores + bonuses[t], max(sizes))
            right = metrics.hits(best, some.tags)
            for k, row in zip(sizes, of_bonus, strict=True):
                row[:] = right[:, :k].any(axis=1)
    return found[0] if bonuses is None else found


def items_apart(posts: Sequence[Posts], shares: Sequence[float], rng: np.random.Generator) -> list[Posts]:
    """Posts of a training, a validation and a test part such that no item is in two of them: each item goes
    to one part at random, with these shares (adding up to 1), and a part keeps the posts of its items."""
    images = np.unique(np.concatenate([some.image for some in posts]))
    part = rng.choice(len(posts), len(images), p=shares)
    kept = [part[np.searchsorted(images, some.image)] == k for k, some in enumerate(posts)]
    return [some.take(np.flatnonzero(rows)) for some, rows in zip(posts, kept, strict=True)]

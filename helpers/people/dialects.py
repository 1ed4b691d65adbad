"""A small planted crowd in which a word means one thing to some people and another to others.

With one dialect a sum of "fits the image" and "fits the user" tells the word; with several it takes a product
of image, word and user, which is what the core tensor of Veit et al. 2018, equation 4, has and pairs lack.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from helpers.people.posts import Posts
from helpers.people.user_models import standard

THINGS, PEOPLE, TAGS, POSTS = 8, 60, 16, 3000


class Crowd(NamedTuple):
    """Posts of one tag each; image n is that of post n."""

    features: Tensor  # float32 (POSTS, THINGS), `user_models.standard`
    train: Posts  # the first two thirds
    test: Posts
    shown: np.ndarray  # int64 (POSTS,), the thing on each image
    means: np.ndarray  # int64 (PEOPLE, THINGS), the thing that each of the first THINGS tags means to a user


def dialect_crowd(dialects: int, rng: np.random.Generator, favourites: float = 0.2) -> Crowd:
    """A crowd of so many dialects. All use the same words for the same things, but each deals them anew; and
    everybody has a favourite word, one of the last THINGS tags, put on a share of the posts."""
    shown, user = rng.integers(0, THINGS, POSTS), rng.integers(0, PEOPLE, POSTS)
    words = np.stack([rng.permutation(THINGS) for _ in range(dialects)])
    favourite = rng.integers(THINGS, TAGS, PEOPLE)
    own = rng.random(POSTS) < favourites
    tag = np.where(own, favourite[user], words[user % dialects, shown]).astype(np.int32)
    features = standard(np.eye(THINGS)[shown] + 0.2 * rng.normal(size=(POSTS, THINGS)))
    posts, cut = Posts(np.arange(POSTS), user, (np.arange(POSTS + 1), tag)), POSTS * 2 // 3
    means = np.argsort(words, axis=1)[np.arange(PEOPLE) % dialects]
    return Crowd(features, posts.take(np.arange(cut)), posts.take(np.arange(cut, POSTS)), shown, means)

"""Invented crowds that several tests of this folder learn from."""

import numpy as np

from helpers.crowd.filtering import to_csr


def tastes(seed=0, n_users=200, n_items=60, each=12):
    rng = np.random.default_rng(seed)
    like = np.where(rng.integers(0, 3, n_users)[:, None] == np.arange(n_items) % 3, 10.0, 1.0)
    item = np.argsort(-np.log(like) - rng.gumbel(size=like.shape), axis=1)[:, :each].ravel()
    user, held = np.repeat(np.arange(n_users), each), np.tile(np.arange(each) < 3, n_users)
    return to_csr(user[~held], item[~held], n_users), to_csr(user[held], item[held], n_users)

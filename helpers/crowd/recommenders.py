"""The recommenders of notebook 03 under one signature, so that one search can serve them all."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from helpers.crowd import bpr, least_squares, multvae
from helpers.measures.ranking import Scorer, dot_scorer


class Recommender(NamedTuple):
    """What was trained; EASE has no vectors, iALS no bias."""

    scorer: Scorer
    epoch: int  # the epoch that it is from; 0 where there are none
    vectors: np.ndarray | None = None  # float32[M, width], of the items
    bias: np.ndarray | None = None  # float32[M]


def most_epochs(name: str, limit: int) -> int:
    """The epochs that a recommender may have of `limit` that are allowed: iALS, whose epochs are dear, 16."""
    return min(16, limit) if name == "iALS" else limit


def fit(
    name: str, train: tuple[np.ndarray, np.ndarray], n_items: int, width: int, setting: dict,
    device: torch.device, max_epochs: int, seed: int = 0, validate: Callable[[Scorer], float] | None = None,
    horizon: int | None = None,
) -> Recommender:  # fmt: skip
    """Train "BPR", "iALS", "EASE", "Mult-VAE" or "Mult-VAE without biases" in a setting, its options by name.

    Where there are epochs and `validate`, the best one is kept: asked every fifth epoch, up to four times
    without a rise; for iALS, whose epochs are few and dear, every epoch up to twice, 16 epochs at most.
    Mult-VAE's β rises as in a training of `horizon` epochs; None stands for `max_epochs`.
    Raises BadInput as the method does."""
    how = {"seed": seed, "validate": validate, "max_epochs": max_epochs}
    if name == "EASE":
        return Recommender(least_squares.ease(train, n_items, **setting), 0)
    if name == "iALS":
        how["max_epochs"] = most_epochs(name, max_epochs)
        found = least_squares.fit_ials(train, n_items, width, **setting, **how)
        return Recommender(dot_scorer(found.X, found.Y), found.best_epoch, found.Y)
    if name == "BPR":
        found, bias = bpr.fit_bpr(train, n_items, width, **setting, **how)
        return Recommender(dot_scorer(found.X, found.Y, bias), found.best_epoch, found.Y, bias)
    how |= {"batch": 200, "patience": 4, "with_bias": name == "Mult-VAE", "f": width, "horizon": horizon}
    model, history = multvae.fit(train, n_items, device, **setting, **how)
    best = max(history, key=lambda row: row.get("validation", 0))
    epoch = best["epoch"] if validate else len(history)
    Q, bias = (weights.detach().cpu().numpy() for weights in (model.Q, model.decoder.bias))
    return Recommender(multvae.scorer(model, train, device), epoch, Q, bias)

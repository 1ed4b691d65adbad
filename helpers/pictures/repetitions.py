"""The repetitions of a probe: which items it learns from, chooses on, and is tested on."""

from typing import NamedTuple

import numpy as np

from helpers.data.sets.shape import LabelledSet
from helpers.errors import BadInput


class Split(NamedTuple):
    """Positions in the set, int64.

    The strength of the penalty is chosen on `validate`, by a classifier trained on `learn`; one with that
    strength is trained on `train`, which holds both, and meets `test` once.
    """

    learn: np.ndarray
    validate: np.ndarray
    train: np.ndarray
    test: np.ndarray


def splits(
    data: LabelledSet, rng: np.random.Generator, repeats: int = 10, test_share: float = 0.2,
    may_test: np.ndarray | None = None,
) -> list[Split]:  # fmt: skip
    """The repetitions of a set, by its own rule: published, by class, or drawn.

    A drawn split: half of the items that may be tested are candidates; each repetition tests a random draw of
    them and trains on all else. The strength is chosen once, on items that are no candidates (35 % to learn,
    15 % to validate), so no choice ever sees an item that is tested. Published: test as published; where
    nothing is published to validate, 20 % of the training items, drawn anew in each repetition.

    Args:
        test_share: share of all items that a drawn split tests; never more than two thirds of the candidates.
        may_test: bool (n,), items that no feature learner has seen the labels of; None for all.

    Raises:
        BadInput: too few items may be tested, or a class has too few pictures for its rule.
    """
    n = len(data)
    allowed = np.ones(n, bool) if may_test is None else np.asarray(may_test, bool)
    if data.partitions or (data.split != "").any():
        if not allowed.all():
            raise BadInput(f"{data.name}: its split is published, so no item can be kept from testing")
        return _published(data, rng, repeats)
    pool, others = np.flatnonzero(allowed), np.flatnonzero(~allowed)
    if len(pool) < 20:
        raise BadInput(f"{data.name}: {len(pool)} items may be tested; at least 20 are needed")
    pool = rng.permutation(pool)
    candidates, learn, validate = np.split(pool, [len(pool) // 2, round(0.85 * len(pool))])
    learn = np.concatenate([learn, others])
    found = []
    for _ in range(repeats):
        if data.per_class is not None:
            train, test = _by_class(data, rng, candidates)
            # the classes' quota may leave some out of training; the choice is made inside it
            found.append(Split(np.intersect1d(learn, train), np.intersect1d(validate, train), train, test))
        else:
            size = min(round(test_share * n), 2 * len(candidates) // 3)
            test = np.sort(rng.permutation(candidates)[:size])
            train = np.setdiff1d(np.arange(n), test, assume_unique=True)
            found.append(Split(learn, validate, train, test))
    return found


def _published(data: LabelledSet, rng: np.random.Generator, repeats: int) -> list[Split]:
    validate = np.flatnonzero(data.split == "validation")
    train, test = (
        np.flatnonzero(np.isin(data.split, ["train", "validation"])),
        np.flatnonzero(data.split == "test"),
    )
    found = []
    for r in range(repeats):
        if data.partitions:
            train, test = data.partitions[r % len(data.partitions)]
        if len(train) < 5 or not len(test):
            raise BadInput(
                f"{data.name}: {len(train)} pictures for training and {len(test)} for testing are there"
            )
        held = validate if len(validate) else rng.permutation(train)[: max(1, len(train) // 5)]
        found.append(Split(np.setdiff1d(train, held), np.sort(held), train, test))
    return found


def _by_class(data: LabelledSet, rng: np.random.Generator, candidates: np.ndarray) -> tuple:
    """As many of each class for training and testing as the set's rule says."""
    many, few = data.per_class
    of_class, able = data.labels.argmax(axis=1), np.zeros(len(data), bool)
    able[candidates] = True
    train, test = [], []
    for c in range(data.labels.shape[1]):
        members = rng.permutation(np.flatnonzero(of_class == c))
        if len(members) < many + few or able[members].sum() < few:
            raise BadInput(
                f"{data.name}: class {data.classes[c]} has {len(members)} pictures, its rule needs {many} for"
                f" training and {few} for testing"
            )
        chosen = members[able[members]][:few]
        test.append(chosen)
        train.append(np.setdiff1d(members, chosen, assume_unique=True)[:many])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))

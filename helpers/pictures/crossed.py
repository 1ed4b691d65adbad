"""Cross-fitting: every picture queries once, by features that know neither it nor who viewed it.

Fang et al. 2015, section 4.3, have 95,000 pictures in te. A twentieth of a few thousand is too few queries to
tell two features apart, so te grows and changes: the pictures are dealt into folds, and each fold queries all
others. Whatever a feature is learnt from, factors, pseudo classes, weights, is computed anew for each fold.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from helpers.crowd import factorize
from helpers.crowd.filtering import split_entries
from helpers.errors import BadInput
from helpers.learn.examples import Vectors
from helpers.learn.many import Loss, fit_many
from helpers.learn.networks import Adapter
from helpers.learn.train import Recipe
from helpers.measures.search import Space
from helpers.pictures import pseudo
from helpers.pictures.retrieval import Experiment, Retrieved
from helpers.randomness import hash_seed


class Fold(NamedTuple):
    """Rows of the items, int64, each in order."""

    queries: np.ndarray  # (Q,)
    base: np.ndarray  # (B,), all others: what is queried
    train: np.ndarray  # (n,), the base without the pictures that every choice is made by


def deal(
    te: np.ndarray, tr: np.ndarray, held_share: float, number: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[Fold]]:
    """Held pictures, a share of tr, and so many folds of all others; te is part of the first one's queries.

    Held pictures belong to each base and to no queries, so what is chosen by them is chosen on no test.
    Raises BadInput for fewer than two folds, or where te is larger than a fold."""
    order = rng.permutation(tr)
    held, others = np.split(order, [round(held_share * len(tr))])
    parts = np.array_split(np.concatenate([te, others]), number)
    if number < 2 or len(te) > len(parts[0]):
        raise BadInput(
            f"deal: te of {len(te)} pictures and {number} folds of {len(parts[0])}; give fewer folds"
        )
    everything = np.arange(len(te) + len(tr))
    bases = [np.setdiff1d(everything, part) for part in parts]
    folds = [
        Fold(np.sort(part), base, np.setdiff1d(base, held)) for part, base in zip(parts, bases, strict=True)
    ]
    return np.sort(held), folds


class Known(NamedTuple):
    """The known entries of V: views (1) and drawn negatives (0). Users and items are rows."""

    user: np.ndarray  # int32 (n,), as `item`
    item: np.ndarray
    value: np.ndarray  # float32 (n,)
    n_users: int
    n_items: int

    def of(self, rows: np.ndarray) -> "Known":
        """The entries of these items only."""
        some = np.isin(self.item, rows)
        return self._replace(user=self.user[some], item=self.item[some], value=self.value[some])

    def entries(self, some=slice(None)) -> factorize.Entries:
        columns = (column[some] for column in self[:3])
        return factorize.group(*columns, self.n_users, self.n_items)


def choose_factors(
    known: Known, d: int, lam_grid: Sequence[float], rng: np.random.Generator, seed: int
) -> tuple[float, int]:
    """λ and the number of epochs with the lowest RMSE on a fifth of the entries (section 4.1); of several
    such λ the smallest. Where the best is at an end of the grid, the grid is continued there."""
    train = split_entries(len(known.value), 0.8, rng)
    order, held = rng.permutation(np.flatnonzero(train)), tuple(column[~train] for column in known[:3])
    entries, space, fits = known.entries(order), Space({"λ": lam_grid}, {"λ": (1e-3, 1.0)}), {}
    for _ in range(8):  # the grid may grow seven times
        for lam in {*space.grids["λ"]} - fits.keys():
            found = factorize.fit(entries, d, lam, seed=seed, validation=held)
            fits[lam] = found.history[found.best_epoch - 1]["rmse"], lam, found.best_epoch
        _, lam, epochs = min(fits.values())
        if not space.widen({"λ": lam}):
            break
    return lam, epochs


def factors(known: Known, d: int, lam: float, epochs: int, rng: np.random.Generator, seed: int) -> np.ndarray:
    """Item factors of equation 3, float32 (M, d); rows of items without entries mean nothing."""
    entries = known.entries(rng.permutation(len(known.value)))
    return factorize.fit(entries, d, lam, max_epochs=epochs, seed=seed).Y


def classes_of(Y: np.ndarray, rows: np.ndarray, K: int, seed: int) -> np.ndarray:
    """Pseudo classes of these items by their factors Y (M, d): int64 (M,), 0 for all others."""
    classes = np.zeros(len(Y), np.int64)
    classes[rows] = pseudo.cluster(Y[rows], K, seed, starts=1).classes
    return classes


def standardised(Y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Factors centred and divided by one number, so that answering these rows' mean costs a squared error of
    1 on them: float32 (M, d)."""
    centred = Y - Y[rows].mean(axis=0)
    return (centred / centred[rows].std()).astype(np.float32)


def with_outliers(
    Y: np.ndarray, rows: np.ndarray, share: float, length: float, rng: np.random.Generator
) -> np.ndarray:
    """Factors of which a share, among these rows, has changed places and is so many times as long."""
    moved, out = rng.permutation(rows)[: round(share * len(rows))], Y.copy()
    out[moved] = length * Y[np.roll(moved, 1)]
    return out


class Lesson(NamedTuple):
    """What one adapter is taught."""

    targets: Tensor  # (M, …): a class, a vector, or a weight for each label; only those of `rows` are read
    outputs: int
    loss: Loss
    rows: np.ndarray  # int (n,), the items that it learns from
    lr: float
    epochs: int
    seed: int


def adapt(
    inputs: Tensor, lessons: Sequence[Lesson], units: int, dropout: float, batch: int, device: torch.device
) -> list[np.ndarray]:
    """A small network on frozen features for each lesson, trained side by side: the learned layer of every
    item, float32 (M, units) each. Inputs are float32 (M, n), standardised."""
    networks = []
    for lesson in lessons:
        torch.manual_seed(hash_seed(lesson.seed))
        networks.append(Adapter(inputs.shape[1], units, lesson.outputs, dropout))
    for loss in dict.fromkeys(lesson.loss for lesson in lessons):
        some = [k for k, lesson in enumerate(lessons) if lesson.loss is loss]
        recipes = [Recipe(lessons[k].epochs, batch, lessons[k].lr, optimiser="adamw") for k in some]
        examples = [Vectors(inputs, lessons[k].targets, lessons[k].rows) for k in some]
        seeds = [lessons[k].seed for k in some]
        fit_many([networks[k] for k in some], examples, loss, recipes, seeds, device=device)
    inputs = inputs.to(device)
    with torch.inference_mode():
        return [net.to(device).eval().features(inputs).float().cpu().numpy() for net in networks]


def retrieve(
    experiment: Experiment, folds: Sequence[Fold], trainings: Sequence[Sequence[np.ndarray]], k: int
) -> Retrieved:
    """Each fold queries its base with its own features: what is found, training after training.

    `trainings` holds, for each of S trainings, the features float (M, n) of each fold. All arrays have three
    axes: (S, queries of all folds one after the other, k). `owned` has only queries whose owner is known."""
    found = []
    for features in trainings:
        parts = [
            experiment.retrieve(f, fold.queries, fold.base, k)
            for f, fold in zip(features, folds, strict=True)
        ]
        found.append([np.concatenate(part) for part in zip(*parts, strict=True)])
    neighbours, common, owned = map(np.stack, zip(*found, strict=True))
    return Retrieved(neighbours, common, owned[:, experiment.with_owner(all_queries(folds))])


def random_pairs(
    experiment: Experiment, folds: Sequence[Fold], n: int, rng: np.random.Generator
) -> Retrieved:
    """Both measures where each query has n neighbours drawn from its base; axes as of `retrieve`, S = 1."""
    drawn = [rng.choice(fold.base, (len(fold.queries), n)) for fold in folds]
    queries = all_queries(folds)
    neighbours, common, owned = experiment.measure(queries, np.concatenate(drawn))
    return Retrieved(neighbours[None], common[None], owned[None, experiment.with_owner(queries)])


def all_queries(folds: Sequence[Fold]) -> np.ndarray:
    """Rows of the items that query, fold after fold."""
    return np.concatenate([fold.queries for fold in folds])

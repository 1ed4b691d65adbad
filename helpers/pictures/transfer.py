"""What earlier notebooks learnt, as features of a collection's items, and which items may test them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import stats

from helpers.data.collection import Collection
from helpers.data.sets import BROUGHT, LabelledSet, own_sets
from helpers.errors import BadInput
from helpers.learn import pretrained
from helpers.learn.networks import AlexNet
from helpers.measures.stats import Effect, Interval
from helpers.pictures import pseudo, retrieval
from helpers.pictures.probes import Probe, difference

Options = dict[str, list[np.ndarray]]  # setting -> blocks of a feature
OPPONENTS = ("ImageNet", "random weights", "pixels")
ENOUGH = 200  # items of a set: 100 of them are tested, on the others a probe learns and chooses


class Source(NamedTuple):
    """Features of one notebook, and what says which items their networks were trained on or chosen by."""

    notebook: str
    features: tuple[str, ...]
    told: str  # the name of a bool array beside the features


LEARNT = {
    "views": Source("05", ("fc6", "fc7"), "trained"),
    "words": Source("06", ("words_scratch", "words"), "trained_words"),
    "hashtags": Source("06", ("mcll", "ppmi", "ms"), "trained_hashtags"),
    "labels": Source("08", ("image_only", "mtl"), "trained"),
}


class Learnt(NamedTuple):
    """A feature from an earlier notebook. Of items that its network has seen it was told words, tags or
    labels, and may remember viewers: a test on them would be easier than one on new pictures."""

    values: np.ndarray  # float32 (M, F), by item of the collection; 0 where there is none
    there: np.ndarray  # bool (M,), items that have the feature
    seen: np.ndarray  # bool (M,), items that its network was trained on or chosen by
    source: str  # what the network learnt from


def gather(
    read_arrays: Callable[[str, str], dict[str, np.ndarray]], M: int,
    has: Callable[[str], bool] = lambda notebook: True,
) -> dict[str, Learnt]:  # fmt: skip
    """The features that notebooks 05, 06 and 08 left for M items, without those a dataset could not support.
    read_arrays is that of a run; `has` says whether the data had what a notebook ("05") needs: one that could
    not run is not asked for. BadInput, naming what to run, where one has not run or its arrays do not fit."""
    found = {}
    for source, (number, names, told_by) in LEARNT.items():
        if not has(number):
            continue
        arrays = read_arrays(number, "features")
        items = arrays["items"]
        told = arrays[told_by if told_by in arrays else "trained"]
        for name in names:
            if name not in arrays or not arrays[name].size:
                continue
            if not len(items) == len(arrays[name]) == len(told) or (len(items) and items.max() >= M):
                flags = f"{len(items)} items up to {items.max(initial=-1)}, {len(told)} flags"
                rows = f"{len(arrays[name])} rows of {name} for {M} items"
                raise BadInput(f"{number}/features: {flags}, {rows}; run notebook {number} again")
            values = np.zeros((M, arrays[name].shape[1]), np.float32)
            there, seen = np.zeros((2, M), bool)
            values[items], there[items], seen[items] = arrays[name], True, told
            found[name] = Learnt(values, there, seen, source)
    return found


def completed(learnt: Learnt, new: np.ndarray) -> Learnt:
    """The feature for all items: its network saw the others for the first time when it computed `new`, float
    (M, F), by item; rows of items that are there already are not read."""
    values = np.where(learnt.there[:, None], learnt.values, new).astype(np.float32)
    return learnt._replace(values=values, there=np.ones(len(values), bool))


def shared_items(learnt: Mapping[str, Learnt], names: Iterable[str], M: int) -> tuple[np.ndarray, np.ndarray]:
    """bool (M,) twice: items with all these features, and those of them that no network was trained on."""
    there, unseen = np.ones((2, M), bool)
    for name in names:
        there &= learnt[name].there
        unseen &= ~learnt[name].seen
    return there, there & unseen


def sets_of(
    collection: Collection, there: np.ndarray, unseen: np.ndarray, most: int, least: int,
    rng: np.random.Generator, half: bool = False,
) -> dict[str, LabelledSet]:  # fmt: skip
    """The collection's own sets over at most `most` items; a class needs `least` of them. there and unseen
    are bool (M,), from `shared_items`.

    For items that its network was trained on a learnt feature holds some of its targets, for others none: a
    probe that learns from the first and is tested on the second is misled, while ImageNet, random weights and
    pixels are the same for both. So a set has unseen items only, where `ENOUGH` of them (or `most`, if that
    is less) carry its labels. Other sets, and all with `half`, are filled with trained items, to a half where
    there are enough of both."""
    able, told = rng.permutation(np.flatnonzero(unseen)), rng.permutation(np.flatnonzero(there & ~unseen))
    first = able[: max(most // 2, most - len(told))]
    sets = own_sets(collection, np.sort(np.concatenate([first, told[: most - len(first)]])), least)
    if half:
        return sets
    alone = own_sets(collection, np.sort(able[:most]), least)
    return sets | {kind: data for kind, data in alone.items() if len(data) >= min(most, ENOUGH)}


@dataclass(frozen=True)
class Opponents:
    """What a learnt feature is compared with: a network trained on ImageNet, random weights, and pixels."""

    imagenet: pretrained.Pretrained
    collection: Collection  # its pictures are computed once and kept
    resolutions: list[int]  # sides in pixels that the ImageNet network may choose from
    untrained: AlexNet  # has learnt nothing
    crop: int  # side of its input
    device: torch.device
    _kept: dict[int, np.ndarray] = field(default_factory=dict)

    def options(self, data: LabelledSet, wanted: Sequence[str] = OPPONENTS) -> dict[str, Options]:
        """Those wanted of `OPPONENTS` -> their settings, each with a row for each picture of the set."""
        store = data.images(self.collection.images.size)
        untrained = partial(pseudo.embed, self.untrained, store, data.rows, self.crop, self.device)
        made = {
            "ImageNet": lambda: self._theirs(data, store),
            "random weights": lambda: {name: [values] for name, values in untrained().items()},
            "pixels": lambda: {"pixels": [retrieval.pixels(store, data.rows)]},
        }
        return {name: made[name]() for name in wanted}

    def _theirs(self, data: LabelledSet, store) -> Options:
        """Layers and resolutions of the ImageNet network."""
        computed, found = partial(pretrained.cached_features, self.imagenet), {}
        for pixels in self.resolutions:
            if store is not self.collection.images:
                values = computed(data.images(pixels), data.rows, pixels, self.device)
            else:
                if pixels not in self._kept:
                    self._kept[pixels] = computed(store, np.arange(len(store)), pixels, self.device)
                values = self._kept[pixels][data.rows]
            for layer in self.imagenet.widths:
                found[f"{layer} at {pixels}"] = [self.imagenet.layer(values, layer)]
        return found


def table(
    measured: Mapping[str, Mapping[str, Probe]], cited: Mapping[str, Sequence] | None = None,
    features: Sequence[str] = (),
) -> pd.DataFrame:  # fmt: skip
    """Rows are sets, columns features: per cent, mean ± standard deviation over the repetitions.
    measured is set -> feature -> probe; cited, set -> the paper's numbers of `features`, gives rows too."""
    cells = {name: {f: str(p) for f, p in probed.items()} for name, probed in measured.items()}
    order = list(dict.fromkeys(f for probed in measured.values() for f in probed))
    for name, values in (cited or {}).items():
        known = {f: str(v) for f, v in zip(features, values, strict=True) if v is not None}
        cells[f"paper: {BROUGHT[name].title}"] = known
    return pd.DataFrame(cells).T.reindex(columns=order).fillna("–")


def compare(
    measured: Mapping[str, Mapping[str, Probe]], names: Iterable[str], better: str, worse: str,
    rng: np.random.Generator,
) -> dict[str, Effect]:  # fmt: skip
    """Set -> better − worse. Sets that a user brought speak instead of the own ones."""
    able = [name for name in names if better in measured.get(name, {})]
    out = {}
    for name in [name for name in able if name in BROUGHT] or able:
        a, b = measured[name][better], measured[name][worse]
        tested = np.unique(np.concatenate([split.test for split in a.splits]))
        out[name] = Effect(*difference(a, b, rng), a.mean, b.mean, len(tested))
    return out


def share_of_gain(effect: Effect, whole: Effect | Interval) -> Effect:
    """A difference a − b as a share of a gain over chance, `whole`, which is above 0: 1 + it is what a
    reaches of b's gain. The gain is measured as well, so its interval widens that of the share: relative
    errors add in squares (both are taken as independent)."""
    more = abs(effect.mean / whole.mean) * (whole.high - whole.low) / 2
    low, high = (math.hypot(effect.mean - end, more) for end in (effect.low, effect.high))
    wide = effect._replace(low=effect.mean - low, high=effect.mean + high)
    return wide.scaled(1 / whole.mean)._replace(a=1 + effect.mean / whole.mean, b=1.0)


def widened(effect: Effect, reached: Sequence[float], mean: bool = False) -> Effect:
    """The difference of one network from something fixed, with an interval that allows for other trainings:
    reached, float (S,), is what S trainings of such a network reach. With one nothing is known of that, and
    the effect stays what it is. With `mean`, the effect is that of the mean of these S."""
    S = len(reached)
    if S < 2:
        return effect
    variance = float(np.var(reached, ddof=1))
    variance /= S if mean else 1
    far = stats.t.ppf(0.975, S - 1) * variance**0.5  # where a single other training may lie, or another mean
    low, high = (float(np.hypot(effect.mean - end, far)) for end in (effect.low, effect.high))
    units = ((effect.high - effect.low) / 2 / stats.norm.ppf(0.975)) ** 2
    share = variance / max(variance + units, 1e-300)
    return effect._replace(
        low=effect.mean - low, high=effect.mean + high, seeds=S if mean else 1, seed_share=share
    )


def label_targets(collection: Collection, least: int) -> dict[str, np.ndarray]:
    """kind of label -> targets of all M items, float32 (M, L): the labels of a picture share a weight of 1; a
    row of zeros where there is none. A class needs `least` items."""
    M, found = len(collection.items), {}
    for kind, data in own_sets(collection, np.arange(M), least).items():
        found[kind] = np.zeros((M, len(data.classes)), np.float32)
        found[kind][data.rows] = data.labels / data.labels.sum(axis=1, keepdims=True)
    return found


class Middle:
    """The central crops of an image store: who learns from them meets a picture in one place only."""

    def __init__(self, store, side: int):
        self.store, self.size = store, side

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, rows) -> np.ndarray:
        edge = (self.store.size - self.size) // 2
        return self.store[rows][:, edge : edge + self.size, edge : edge + self.size]

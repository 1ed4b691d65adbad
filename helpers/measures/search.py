"""One way to choose settings, the same for every method of a comparison.

Each method gets the same number of tries. The first are spread over its whole grid, in which everything is
crossed with everything (Bergstra and Bengio 2012: at random, since rarely all parameters matter); the others
look around the best so far, and beyond the grid where the best lies at its edge. Who chooses from few values
of one parameter at one value of another finds out about the grid and not about the methods.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from helpers.errors import BadInput

Setting = dict[str, object]


@dataclass(frozen=True)
class Found:
    """What a search found for one method."""

    best: Setting
    value: float  # of `best` on validation; with `confirm`, of trainings that chose nothing
    table: pd.DataFrame  # a row a try: the setting, "round" (0 is the spread one) and "value"
    edges: tuple[str, ...]  # parameters whose best value is the lowest or the highest that was tried
    open: tuple[str, ...]  # those of them where it is no limit of the space, so that more could be tried

    def left_open(self, method: str, *more: str) -> str:
        """What was left open, as `Run.measured` takes it: "tensor (lr, epochs)", empty for nothing; `more` is
        what ended beside the search: "epochs" where the last one allowed was the best, and the learning rate
        does not fall to nothing in as many as all had, after which best and last are one anyway."""
        left = ", ".join([*self.open, *filter(None, more)])
        return f"{method} ({left})" if left else ""


class Space:
    """A grid for each parameter. One with `limits` (lowest, highest) has numbers in ascending order and may
    be continued on both sides up to there: by the ratio of its last two values, or, if not all are above 0,
    by their difference. Raises BadInput for an empty grid, or numbers that are not in order."""

    def __init__(self, grids: Mapping[str, Sequence], limits: Mapping[str, tuple[float, float]] = {}):
        self.grids, self.limits = {name: list(grid) for name, grid in grids.items()}, limits
        for name, grid in self.grids.items():
            if not grid or (name in limits and any(a >= b for a, b in pairwise(grid))):
                raise BadInput(f"search: the grid of {name} is {grid}, expected values in ascending order")

    def spread(self, tries: int, rng: np.random.Generator) -> list[Setting]:
        """Settings in which each value of each parameter stands as often as the others, or nearly."""
        columns = {}
        for name, grid in self.grids.items():
            rounds = [rng.permutation(len(grid)) for _ in range(-(-tries // len(grid)))]
            columns[name] = [grid[k] for k in np.concatenate(rounds)[:tries]]
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _beyond(self, name: str, edge: int) -> float | None:
        """The value that continues a grid at its start (edge 0) or end (−1); None where that is too far."""
        grid, (low, high) = self.grids[name], self.limits.get(name, (0, 0))
        if name not in self.limits or len(grid) < 2:
            return None
        inner, last = grid[1 if edge == 0 else -2], grid[edge]
        value = last * last / inner if grid[0] > 0 else 2 * last - inner
        value = min(max(value, low), high)
        value = round(value) if isinstance(last, int) else float(f"{value:.3g}")
        return None if value == last else value

    def widen(self, best: Setting, most: float = np.inf) -> list[Setting]:
        """Continue the grids at whose edge the best value lies, `most` of them at most, so that none gets a
        value that is not tried: the best moved there, one a parameter."""
        moved = []
        for name, grid in self.grids.items():
            for edge, place in ((0, 0), (-1, len(grid))):
                value = self._beyond(name, edge)
                if len(moved) < most and best[name] == grid[edge] and value is not None:
                    grid.insert(place, value)
                    moved.append(best | {name: value})
        return moved

    def part(self, setting: Setting) -> Setting | None:
        """What of a setting this space has; numbers that a grid with limits lacks are added to it. None where
        a parameter is not set, or a value may not be tried."""
        if not self.grids.keys() <= setting.keys():
            return None
        new = {name: setting[name] for name, grid in self.grids.items() if setting[name] not in grid}
        for name, value in new.items():
            if name not in self.limits or not self.limits[name][0] <= value <= self.limits[name][1]:
                return None
        for name, value in new.items():
            self.grids[name] = sorted([*self.grids[name], value])
        return {name: setting[name] for name in self.grids}

    def open(self, found: "Found") -> bool:
        """Whether the best lies at an edge beyond which something could be tried."""
        grids = {name: self.grids[name] for name in found.edges}
        return any(
            self._beyond(name, edge) is not None
            for name, grid in grids.items()
            for edge in (0, -1)
            if found.best[name] == grid[edge]
        )

    def around(self, best: Setting, rng: np.random.Generator) -> Setting:
        """The best with a third of its parameters, or so, moved to a neighbouring value."""
        setting = dict(best)
        for name, grid in self.grids.items():
            step = int(rng.choice([-1, 0, 0, 0, 0, 1])) if len(grid) > 1 else 0
            setting[name] = grid[min(max(grid.index(best[name]) + step, 0), len(grid) - 1)]
        return setting


def search(
    evaluate: Callable[[list[tuple[str, Setting]]], Sequence[float]],
    spaces: Mapping[str, Space],
    tries: int,
    rng: np.random.Generator,
    rounds: int = 4,
    extra: int = 2,
    exchange: bool = False,
    weakest: str = "",
    first: Sequence[Setting] = (),
    confirm: Callable[[list[tuple[str, Setting]]], Sequence[float]] | None = None,
) -> dict[str, Found]:
    """Choose a setting for each method by its value on validation, higher is better, in the same number of
    tries: method -> `Found`. `evaluate` gets tries of all methods at once, so that they can be trained
    together; NaN is a try that failed. One round's tries are spread over the grid, with equal draws for what
    the methods have in common, so that none is luckier; those of each further round look around the best.
    While a method's best lies at an edge that can be widened, all methods get up to `extra` more rounds. With
    `exchange` each then tries what it has in common with another as it was best for that one, so that luck
    with a learning rate matters less; all get as many tries as who has most; and both once more. Where
    another lacks the parameter `weakest`, whose lowest value makes the one all but the other, that value is
    tried there, too: no method should end below one that it contains only because its own parameter was tried
    coarsely. `first` are settings that were known before: in the first round each method also tries those
    that fit it (`Space.part`), and who has fewer of them catches up in the next, so each has len(first) tries
    more, and none ends below what was known. No setting is tried twice; a method whose whole grid is smaller
    than the tries, and cannot be widened, gets fewer. The best of many single trainings is partly the
    luckiest: `confirm`, if given, values the best three of each method anew, by trainings that chose none of
    them, and the best of these is taken at its new value. The spaces are widened in place. Raises BadInput
    where all tries of a method failed."""
    tried = {method: [] for method in spaces}  # (setting, round, value)
    draws = {method: copy.deepcopy(rng) for method in spaces}

    def keep(asked: list[tuple[str, Setting]], number: int) -> None:
        for (method, setting), value in zip(asked, evaluate(asked) if asked else [], strict=True):
            tried[method].append((setting, number, float(value)))

    for number in range(rounds + extra):
        if number >= rounds and not any(
            spaces[m].open(_found(m, spaces[m], rows)) for m, rows in tried.items()
        ):
            break
        asked, upto = [], tries * (number + 1) // rounds
        for method, space in spaces.items():
            known, best = [setting for setting, _, _ in tried[method]], _best(tried[method])
            new, later = [], len(first) if number or rounds == 1 else 0
            if number == 0 and first:
                new = _new(space, [], None, upto, draws[method])
                parts = [part for part in map(space.part, first) if part is not None]
                new += [part for k, part in enumerate(parts) if part not in new + parts[:k]]
            new += _new(space, known + new, best, upto + later, draws[method])
            asked += [(method, setting) for setting in new]
        keep(asked, number)
    for again in range(2 if exchange else 0):  # twice: what was found for one may serve another
        bests, asked = {method: _best(rows) for method, rows in tried.items()}, []
        for method, best in bests.items():
            for other in filter(None, bests.values() if best else ()):
                setting = best | {name: other[name] for name in best.keys() & other.keys()}
                lowest = [spaces[method].grids[weakest][0]] if weakest in best.keys() - other.keys() else []
                for one in (setting, *(setting | {weakest: value} for value in lowest)):
                    if (method, one) not in asked and one not in [row[0] for row in tried[method]]:
                        asked.append((method, one))
        keep(asked, number + 1 + 2 * again)
        most, asked = max(map(len, tried.values())), []  # all get as many tries as who has most
        for method, rows in tried.items():
            known, best = [setting for setting, _, _ in rows], spaces[method].part(_best(rows) or {})
            asked += [(method, new) for new in _new(spaces[method], known, best, most, draws[method])]
        keep(asked, number + 2 + 2 * again)
    anew = {method: [] for method in tried}
    if confirm is not None:
        asked = []
        for method, rows in tried.items():  # equal values: a parameter that changes nothing where it stands
            apart = {row[2]: row[0] for row in reversed(_ranked(rows))}
            asked += [(method, apart[value]) for value in sorted(apart, reverse=True)[:3]]
        for (method, setting), value in zip(asked, confirm(asked), strict=True):
            anew[method].append((setting, number, float(value)))
    return {method: _found(method, spaces[method], rows, anew[method]) for method, rows in tried.items()}


def _ranked(rows: list) -> list:
    """The tries that did not fail, best first."""
    return sorted((row for row in rows if np.isfinite(row[2])), key=lambda row: -row[2])


def _best(rows: list) -> Setting | None:
    return known[0][0] if (known := _ranked(rows)) else None


def _new(space: Space, known: list, best: Setting | None, upto: int, rng) -> list[Setting]:
    """Settings that were not tried yet, until `upto` are known."""
    new = [] if best is None else space.widen(best, upto - len(known))
    for attempt in range(100):  # a small grid may hold no other
        missing = upto - len(known) - len(new)
        if missing <= 0:
            break
        local = best is not None and attempt < 50  # then anywhere, where all around is known
        for setting in [space.around(best, rng)] if local else space.spread(missing, rng):
            if setting not in known and setting not in new:
                new.append(setting)
    return new


def _found(method: str, space: Space, rows: list, anew: list = ()) -> Found:
    if not (known := _ranked(anew) or _ranked(rows)):
        raise BadInput(f"search: every try of {method} failed; give it other grids")
    best, _, value = known[0]
    table = pd.DataFrame([setting | {"round": number, "value": value} for setting, number, value in rows])
    ends = {name: table[name].agg(["min", "max"]).tolist() for name in space.limits}
    edges = tuple(name for name, two in ends.items() if two[0] < two[1] and best[name] in two)
    further = tuple(name for name in edges if best[name] not in space.limits[name])
    return Found(best, value, table, edges, further)

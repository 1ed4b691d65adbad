"""The one search: equal tries, crossed grids, edges that are widened or told."""

import numpy as np
import pytest

from helpers.errors import BadInput
from helpers.measures.search import Space, search


def space(**more):
    grids = {"lr": [0.001, 0.01], "dropout": [0.0, 0.3, 0.6], "alpha": [0.1, 0.3, 1.0], "kind": ["a", "b"]}
    return Space(grids | more, {"lr": (1e-5, 1.0), "dropout": (0.0, 0.9), "alpha": (0.0, 100.0)})


def bowl(tries):
    """Best at lr 0.1, dropout 0.3, α 10, kind b: two of them outside the grid."""
    return [
        -((np.log10(s["lr"]) + 1) ** 2) - (s["dropout"] - 0.3) ** 2 - (np.log10(s["alpha"]) - 1) ** 2
        + 0.1 * (s["kind"] == "b")
        for _, s in tries
    ]  # fmt: skip


def test_an_optimum_outside_the_grid_is_found_and_all_get_the_same_tries():
    found = search(bowl, {"x": space(), "y": space(dropout=[0.2, 0.3, 0.4])}, 40, np.random.default_rng(0))
    assert len(found["x"].table) == len(found["y"].table) >= 40
    for one in found.values():
        assert one.best["kind"] == "b"
        assert one.best["lr"] == pytest.approx(0.1)
        assert 5 < one.best["alpha"] < 20
        assert "lr" not in one.edges
        assert one.value == one.table["value"].max()
        assert not one.table.drop(columns=["round", "value"]).duplicated().any()


def test_everything_is_crossed():
    found = search(bowl, {"x": space()}, 24, np.random.default_rng(1), rounds=1, extra=0)["x"].table
    assert np.ptp(found["alpha"].value_counts()) <= 2
    assert all(found.groupby("lr")["alpha"].nunique() > 1), "no rate meets one α only"
    assert all(found.groupby("dropout")["alpha"].nunique() > 1)


def test_an_edge_that_cannot_be_widened_is_told():
    rising = lambda tries: [s["dropout"] for _, s in tries]  # noqa: E731
    one = search(rising, {"x": space()}, 30, np.random.default_rng(0))["x"]
    assert one.best["dropout"] == pytest.approx(0.9)
    assert "dropout" in one.edges
    assert "dropout" not in one.open, "0.9 is the space's own limit: there is nothing beyond"


def test_an_edge_beyond_which_more_could_be_tried_is_left_open():
    rising = lambda tries: [s["lr"] for _, s in tries]  # noqa: E731
    one = search(
        rising, {"x": Space({"lr": [0.1, 0.2]}, {"lr": (0.1, 100)})}, 2, np.random.default_rng(0), 1, 0
    )
    assert one["x"].open == ("lr",)
    assert one["x"].left_open("tensor", "", "epochs") == "tensor (lr, epochs)"
    falling = lambda tries: [-s["lr"] for _, s in tries]  # noqa: E731
    one = search(
        falling, {"x": Space({"lr": [0.1, 0.2]}, {"lr": (0.1, 100)})}, 2, np.random.default_rng(0), 1, 0
    )
    assert (one["x"].edges, one["x"].open, one["x"].left_open("tensor")) == (("lr",), (), "")


def test_whole_numbers_stay_whole():
    wide = lambda tries: [s["units"] for _, s in tries]  # noqa: E731
    one = search(wide, {"x": Space({"units": [32, 64]}, {"units": (8, 300)})}, 4, np.random.default_rng(0))[
        "x"
    ]
    assert one.best["units"] == 300
    assert isinstance(one.best["units"], int)
    assert one.edges == ("units",)


def test_failed_tries_are_never_chosen():
    some = lambda tries: [np.nan if s["lr"] > 0.001 else 1.0 for _, s in tries]  # noqa: E731
    assert search(some, {"x": space()}, 8, np.random.default_rng(0))["x"].best["lr"] <= 0.001
    with pytest.raises(BadInput, match="every try of x failed"):
        search(lambda tries: [np.nan] * len(tries), {"x": space()}, 8, np.random.default_rng(0))


def test_a_small_grid_gets_fewer_tries_and_a_wrong_one_is_refused():
    few = search(
        lambda tries: [0.0] * len(tries), {"x": Space({"kind": ["a", "b"]})}, 8, np.random.default_rng(0)
    )
    assert len(few["x"].table) == 2
    with pytest.raises(BadInput, match="ascending"):
        Space({"lr": [0.1, 0.01]}, {"lr": (0, 1)})
    with pytest.raises(BadInput, match="grid of kind"):
        Space({"kind": []})


def test_it_repeats():
    first, second = (search(bowl, {"x": space()}, 12, np.random.default_rng(3))["x"] for _ in range(2))
    assert first.table.equals(second.table)


def test_first_tries_share_what_the_methods_have_in_common():
    asked = []

    def evaluate(tries):
        asked.extend(tries)
        return [0.0] * len(tries)

    spaces = {"a": Space({"lr": [1.0, 2.0, 3.0]}), "b": Space({"lr": [1.0, 2.0, 3.0], "alpha": [0.0, 1.0]})}
    search(evaluate, spaces, 3, np.random.default_rng(0), rounds=1)
    first, second = ([setting["lr"] for m, setting in asked if m == method] for method in "ab")
    assert first == second


def test_each_method_tries_what_was_best_for_the_others():
    asked = []

    def evaluate(tries):
        asked.append(tries)
        return [setting["lr"] * (1 if m == "a" else -1) for m, setting in tries]

    spaces = {"a": Space({"lr": [1.0, 2.0]}), "b": Space({"lr": [1.0, 2.0], "alpha": [0.0, 1.0]})}
    found = search(evaluate, spaces, 1, np.random.default_rng(0), rounds=1, extra=0, exchange=True)
    assert len(asked) == 1, "equal draws: nothing to exchange"
    spaces["a"].grids["lr"], spaces["b"].grids["lr"] = [3.0], [4.0]
    found = search(evaluate, spaces, 1, np.random.default_rng(0), rounds=1, extra=0, exchange=True)
    assert [setting["lr"] for _, setting in asked[-1]] == [4.0, 3.0]
    assert (found["a"].best["lr"], found["b"].best["lr"]) == (4.0, 3.0)
    assert len(found["a"].table) == len(found["b"].table) == 2


def test_what_is_found_while_catching_up_is_handed_on():
    """b tries a's setting with two values of α, so a gets one more try, at a rate that b does not know."""

    def evaluate(tries):
        return [-10 * (s["lr"] == 3) - s.get("alpha", 0) for _, s in tries]

    rates = [float(k) for k in range(20)]
    spaces = {"a": Space({"lr": rates}), "b": Space({"lr": [3.0, 7.0], "alpha": [0.1, 5.0]})}
    spaces["a"].spread = lambda *_: [{"lr": 3.0}]
    spaces["b"].spread = lambda *_: [{"lr": 3.0, "alpha": 5.0}]
    spaces["b"].around = lambda best, rng: dict(best)  # finds nothing by itself
    found = search(evaluate, spaces, 1, np.random.default_rng(0), 1, 0, exchange=True, weakest="alpha")
    assert found["a"].best["lr"] not in (3.0, 7.0)
    assert found["b"].best == {"lr": found["a"].best["lr"], "alpha": 0.1}
    assert len(found["a"].table) == len(found["b"].table)


def test_who_contains_another_also_tries_to_be_it():
    """With an α at all b is worse than a, and its grid has no small one near a's best learning rate."""

    def evaluate(tries):
        return [-abs(s["lr"] - 2) - s.get("alpha", 0) for _, s in tries]

    def found(**more):
        spaces = {"a": Space({"lr": [2.0, 2.5, 3.0]}), "b": Space({"lr": [7.0], "alpha": [0.1, 5.0]})}
        spaces["a"].spread = lambda *_: [{"lr": 2.0}]  # as chance may have it
        spaces["b"].spread = lambda *_: [{"lr": 7.0, "alpha": 5.0}]
        return search(evaluate, spaces, 1, np.random.default_rng(0), 1, 0, exchange=True, **more)

    assert found()["b"].best == {"lr": 2.0, "alpha": 5.0}
    more = found(weakest="alpha")
    assert more["b"].best == {"lr": 2.0, "alpha": 0.1}
    assert len(more["a"].table) == len(more["b"].table) > len(found()["b"].table), "then a tries more, too"


def test_what_was_known_before_is_tried_by_all_whom_it_fits_and_all_get_equally_many_tries():
    asked = []

    def evaluate(tries):
        asked.append(tries)
        return [-abs(np.log10(setting["lr"]) + 2.5) for _, setting in tries]

    known = {"lr": 0.003, "dropout": 0.3, "alpha": 0.3, "kind": "a", "width": 7}
    first = [known, known | {"kind": "b"}, known | {"width": 9}]  # here the last is the first
    spaces = {"x": space(), "y": space(kind=["b"]), "z": Space({"lr": [0.1, 0.2], "depth": [*range(9)]})}
    found = search(evaluate, spaces, 6, np.random.default_rng(0), rounds=2, extra=0, first=first)
    assert {len(one.table) for one in found.values()} == {6 + len(first)}
    mine = {"lr": 0.003, "dropout": 0.3, "alpha": 0.3, "kind": "a"}
    assert ("x", mine) in asked[0]
    assert ("y", mine) not in asked[0], "a value that it does not have"
    for name in ("x", "y"):
        assert (name, mine | {"kind": "b"}) in asked[0]
        assert found[name].best["lr"] == 0.003, "which no grid had"
    assert {setting["lr"] for m, setting in asked[0] if m == "z"} == {0.1, 0.2}, "it fits none of them"
    assert spaces["x"].part(known | {"lr": 7.0}) is None, "beyond the limits"


def test_the_draws_are_those_of_a_search_without_anything_known():
    asked = []

    def evaluate(tries):
        asked.append(tries)
        return bowl(tries)

    known = {"lr": 0.01, "dropout": 0.3, "alpha": 0.3, "kind": "a"}
    for first in ([], [known]):
        search(evaluate, {"x": space()}, 4, np.random.default_rng(0), rounds=1, extra=0, first=first)
    assert asked[1] == [*asked[0], ("x", known)]


def test_a_lucky_training_does_not_decide():
    """0.3 was lucky once, and is not when trained again; the best by new trainings wins at its new value."""
    luck = {0.1: 0.5, 0.3: 0.9, 1.0: 0.6, 3.0: 0.1}
    truly = {0.1: 0.55, 0.3: 0.2, 1.0: 0.5, 3.0: 1.0}  # 3.0 was among the best three of none
    asked = []

    def again(tries):
        asked.extend(tries)
        return [truly[setting["lr"]] for _, setting in tries]

    spaces = {method: Space({"lr": list(luck)}) for method in ("a", "b")}
    by_luck = lambda tries: [luck[s["lr"]] for _, s in tries]  # noqa: E731
    found = search(by_luck, spaces, 4, np.random.default_rng(0), confirm=again)
    assert [(m, s["lr"]) for m, s in asked] == [(m, lr) for m in ("a", "b") for lr in (0.3, 1.0, 0.1)]
    for one in found.values():
        assert one.best == {"lr": 0.1}
        assert one.value == 0.55
        assert one.table["value"].max() == 0.9  # the table keeps what the search saw


def test_where_all_fail_when_trained_again_the_search_decides():
    spaces = {"a": Space({"lr": [0.1, 0.3]})}
    by_rate = lambda tries: [s["lr"] for _, s in tries]  # noqa: E731
    found = search(by_rate, spaces, 2, np.random.default_rng(0), confirm=lambda tries: [np.nan] * len(tries))
    assert found["a"].best == {"lr": 0.3}
    assert found["a"].value == 0.3


def test_of_tries_that_are_worth_the_same_one_is_trained_again():
    """A parameter that changes nothing must not take the places of the best three."""
    asked = []
    spaces = {"a": Space({"radius": [16.0, 64.0, 256.0], "lr": [0.1, 0.2]})}
    by_rate = lambda tries: [s["lr"] for _, s in tries]  # noqa: E731
    confirm = lambda tries: asked.extend(tries) or by_rate(tries)  # noqa: E731
    found = search(by_rate, spaces, 6, np.random.default_rng(0), confirm=confirm)
    assert [s["lr"] for _, s in asked] == [0.2, 0.1]
    assert found["a"].best["lr"] == 0.2

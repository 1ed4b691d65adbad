"""Separation by hand, and the planted world against its description."""

import numpy as np
import pytest

from helpers.words import senses


def test_separation_by_hand():
    word = np.repeat(["bat", "sea", "toast", "rare"], [6, 4, 6, 3])
    meaning = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 1, 1, 1, 0, 0, 1])
    sense = np.array([3, 3, 3, 8, 8, 8, 0, 0, 1, 1, 0, 1, -1, 0, 1, -1, 0, 0, 1])
    table = senses.separation(word, sense, meaning, np.random.default_rng(0), repeats=400)
    assert table.index.tolist() == ["bat", "toast"], "sea has one meaning; the second one of rare occurs once"
    assert table.loc["bat", ["occurrences", "one sense", "found", "senses"]].tolist() == [6, 0.5, 1, 2]
    # three of six in each of two tables: purity 1 in 2 of 20 ways, else 4/6
    assert table.loc["bat", "shuffled"] == pytest.approx(0.1 + 0.9 * 4 / 6, abs=0.03)
    assert table.loc["toast", ["occurrences", "found"]].tolist() == [4, 0.5], "two have no sense"


def test_nothing_to_separate_gives_no_row():
    table = senses.separation(np.zeros(4), np.zeros(4, int), np.zeros(4), np.random.default_rng(0))
    assert (len(table), list(table.columns)[:2]) == (0, ["occurrences", "one sense"])


@pytest.mark.parametrize("ambiguous", [True, False])
def test_the_planted_world_is_as_described(ambiguous):
    world = senses.planted(200, 3, np.random.default_rng(0), ambiguous, topics=4, words=6)
    assert np.diff(world.sets.indptr).tolist() == [4] * 200
    assert world.sets.n_tags == 26
    assert np.array_equal(world.word, world.meaning // 2)
    assert np.array_equal(world.sets.tags[world.place], 24 + world.word)
    others = np.delete(world.sets.tags, world.place).reshape(200, 3) // 6
    expected = world.meaning if ambiguous else world.meaning // 2 * 2
    assert (others == expected[:, None]).all()
    assert set(world.meaning) == {0, 1, 2, 3}

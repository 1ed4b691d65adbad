"""Searches by hashtag and user: by hand, and where the answer is planted."""

import numpy as np
import pandas as pd
import pytest

from helpers.errors import BadInput
from helpers.people import retrieval
from helpers.people.posts import UNKNOWN, Posts
from helpers.people.retrieval import better, main_thing, own_images, own_meaning, two_meanings

POSTS = Posts(
    np.array([4, 5, 6]), np.array([1, 0, 1]), (np.array([0, 2, 3, 4]), np.array([0, 2, 2, 0], np.int32))
)


def test_a_query_counts_if_an_own_image_is_among_the_best():
    asked = []

    def score(tag, user):
        asked.extend(zip(tag.tolist(), user.tolist(), strict=True))
        return np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 1.0, 0.5]])

    found, user = own_images(score, POSTS, 3, k=1)
    assert asked == [(2, 0), (0, 1), (2, 1)]
    assert found.tolist() == [1, 0, 0]
    assert user.tolist() == [0, 1, 1]
    assert own_images(score, POSTS, 3, k=2)[0].tolist() == [1, 1, 0]
    assert own_images(score, POSTS, 3, k=10)[0].tolist() == [1, 1, 1]


def test_an_image_that_several_posted_is_found_once_and_is_everybodys_own():
    people = 12
    shared = Posts(
        np.append(np.full(people, 8), 3), np.append(np.arange(people), 0),
        (np.arange(people + 2), np.append(np.zeros(people), 1).astype(np.int32)),
    )  # fmt: skip
    score = lambda tag, user: np.tile([0.0, 1.0], (len(tag), 1))  # noqa: E731 - images 3 and 8
    found, user = own_images(score, shared, 2, k=1)
    assert found[:1].tolist() == [1]
    assert dict(zip(user.tolist(), found.tolist(), strict=True)) | {0: 1} == dict.fromkeys(range(people), 1)
    assert found.sum() == people, "image 3, the only other query, is not first"


def test_strangers_have_no_own_images():
    stranger = Posts(np.array([0]), np.array([UNKNOWN]), (np.array([0, 1]), np.array([0], np.int32)))
    with pytest.raises(BadInput, match="known"):
        own_images(lambda tag, user: np.zeros((1, 1)), stranger, 3)


def test_words_with_two_meanings():
    senses = pd.DataFrame({
        "word": ["bat", "bat", "bat", "sea", "rare", "rare"], "community": [0, 1, 2, 0, 0, 1],
        "content": ["animal", "sport", "animal", "water", "x", "y"],
    })  # fmt: skip
    rows = two_meanings(senses, np.array([1, 0, 7, 2]), np.array(["bat", "sea"]))
    assert rows[["u", "content", "other"]].values.tolist() == [
        [1, "animal", "sport"], [0, "sport", "animal"], [3, "animal", "sport"],
    ]  # fmt: skip
    assert rows["tag"].tolist() == [0, 0, 0]
    assert len(two_meanings(senses, np.array([1, 0]), np.array(["sea"]))) == 0


def test_the_own_meaning_is_counted_among_images_of_either():
    scores = np.array([[9.0, 3.0, 2.0, 1.0], [9.0, 1.0, 2.0, 3.0]])
    mine = np.array([[True, True, False, False], [False, False, False, True]])
    either = np.array([[False, True, True, True], [False, True, True, True]])
    assert own_meaning(scores, mine, either, k=1).tolist() == [1, 1]
    assert np.allclose(own_meaning(scores, mine, either, k=3), 1 / 3)
    assert np.allclose(own_meaning(scores, mine, either, k=4), 1 / 3)  # the fourth may not be found
    with pytest.raises(BadInput, match="without any image"):
        own_meaning(scores, mine, either & (np.arange(2) > 0)[:, None])


def test_the_best_right_tag_has_to_be_above_the_best_wrong_one():
    scores = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [2.0, 2.0, 0.0]])
    right = np.array([[True, False, True], [True, False, False], [True, False, False]])
    wrong = np.array([[False, True, False], [False, True, True], [False, True, False]])
    assert better(scores, right, wrong).tolist() == [1, 0, 0]  # the last is a tie
    with pytest.raises(BadInput, match="without a right or"):
        better(scores, right, wrong & False)


def test_queries_in_parts_find_the_same(monkeypatch):
    def score(tag, user):
        return np.sin(np.arange(3)[None] * (1.0 + tag[:, None]) + user[:, None])

    whole = own_images(score, POSTS, 3, k=1)
    monkeypatch.setattr(retrieval, "CELLS", 3)  # one query at a time
    parts = own_images(score, POSTS, 3, k=1)
    assert np.array_equal(whole[0], parts[0])
    assert np.array_equal(whole[1], parts[1])


def test_the_main_thing_of_a_tag():
    tag, thing = np.array([0, 0, 0, 2, 2, 2, 2]), np.array([5, 7, 7, 4, 3, 4, 3])
    assert main_thing(tag, thing, 4).tolist() == [7, -1, 3, -1]

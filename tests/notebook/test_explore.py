"""The explorer answers again when a menu changes, and gives the same answers as a picture."""

import base64
import io
import json

import numpy as np
import PIL.Image
import pytest

from helpers.errors import BadInput
from helpers.notebook.explore import Explorer


def explorer(**more):
    how = {
        "users": {"Ann": 0, "Ben": 1}, "items": {"first": 3, "second": 4}, "tags": {"#sea": 7, "#cat": 8},
        "picture": lambda item: np.full((8, 8, 3), 40 * item, np.uint8),
        "suggest": lambda item, user: [f"tag{item}{user}", "<b>"],
        "retrieve": lambda tag, user: [user, tag % 6],
        "habits": lambda user: f"habit{user}",
    }  # fmt: skip
    return Explorer(**how | more)


def brightness(image):
    return np.asarray(PIL.Image.open(io.BytesIO(image.value))).mean(axis=(0, 2))


def test_each_menu_changes_its_answers():
    box = explorer().widget()
    (user, habit), (item, shown, suggested), (tag, found) = (line.children for line in box.children)
    assert suggested.value == "tag30<br>&lt;b&gt;"  # tags of strangers are not HTML
    assert "habit0" in habit.value
    user.value = 1
    assert "habit1" in habit.value
    assert suggested.value.startswith("tag31")
    before = brightness(shown).mean()
    item.value = 4
    assert brightness(shown).mean() > before + 30
    assert suggested.value.startswith("tag41")
    strip = brightness(found)
    tag.value = 8
    assert not np.array_equal(strip, brightness(found))


def test_the_still_picture_is_a_picture():
    picture = explorer().still(["Ann", "Ben"], "first", "#sea")
    assert PIL.Image.open(io.BytesIO(picture.data)).size[0] > 300


def test_all_answers_are_there_without_a_kernel():
    answers = explorer().answers()
    assert json.loads(json.dumps(answers)) == answers
    assert answers["suggest"][1][0] == ["tag31", "<b>"]
    assert answers["retrieve"] == [[[0, 1], [0, 2]], [[1, 1], [1, 2]]]
    assert set(answers["pictures"]) == {"0", "1", "2", "3", "4"}
    picture = base64.b64decode(answers["pictures"]["4"].partition(",")[2])
    assert np.asarray(PIL.Image.open(io.BytesIO(picture))).mean() > 150


def test_bad_input_is_refused():
    with pytest.raises(BadInput, match="no tags"):
        explorer(tags={})
    with pytest.raises(BadInput, match="'Eve' is not among"):
        explorer().still(["Eve"], "first", "#sea")

"""Pictures that several notebooks draw."""

import numpy as np
import pytest

from helpers.notebook import plots


@pytest.mark.parametrize(("size", "wide"), [(16, 2), (64, 4)])
def test_marked_pictures_get_a_green_frame_and_the_others_a_white_one(size, wide):
    images = np.random.default_rng(0).integers(0, 255, (2, size, size, 3), np.uint8)
    green, white = plots.framed(images, np.array([True, False]))
    for framed, image, colour in ((green, images[0], [0, 158, 115]), (white, images[1], [255] * 3)):
        assert framed.shape == (size + 2 * wide, size + 2 * wide, 3)
        assert np.array_equal(framed[wide:-wide, wide:-wide], image)
        border = np.ones(framed.shape[:2], bool)
        border[wide:-wide, wide:-wide] = False
        assert (framed[border] == colour).all()


def test_no_pictures_have_no_frames():
    assert len(plots.framed(np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, bool))) == 0

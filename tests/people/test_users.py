"""The user descriptor of 10 and the split by user."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.people.descriptors import descriptors, split_users, top_groups


def people(**columns) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    unknown = {
        "age": np.nan,
        "gender": None,
        "country": None,
        "occupation": None,
        "lat": np.nan,
        "lon": np.nan,
    }
    unknown = {name: [value] * n for name, value in unknown.items()}
    frame = pd.DataFrame(unknown | columns)
    return frame.astype(
        dict.fromkeys(["gender", "country", "occupation"], "str")
        | dict.fromkeys(["age", "lat", "lon"], np.float32)
    )


def test_a_descriptor_by_hand():
    users = people(
        age=[30, np.nan, 120], gender=["female", "male", None], country=["IE", "US", "FR"],
        lat=[0, 90, np.nan],
        lon=[90, 17, np.nan],
    )  # fmt: skip
    u = descriptors(users, ["US", "IE"])
    assert u.dtype == np.float32
    assert u.shape == (3, 10)
    np.testing.assert_allclose(u[0], [0.3, -1, 0, 1, 0, 0, 0, 0.5, 1, 0.5], atol=1e-6)
    np.testing.assert_allclose(u[1], [0.5, 1, 1, 0, 0, 0, 0, 0.5, 0.5, 1], atol=1e-6)
    np.testing.assert_allclose(u[2], [1, 0, 0, 0, 0, 0, 0, 0.5, 0.5, 0.5], atol=1e-6)


@settings(deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_places_lie_on_the_sphere(lat, lon):
    x, y, z = 2.0 * descriptors(people(lat=[lat], lon=[lon]), [])[0, 7:] - 1
    assert np.isclose(x * x + y * y + z * z, 1)
    assert np.isclose(np.degrees(np.arcsin(np.clip(z, -1, 1))), lat, atol=0.05)
    if abs(lat) < 89:
        turn = (np.degrees(np.arctan2(y, x)) - lon) % 360
        assert min(turn, 360 - turn) < 0.01


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(0, 130)), st.sampled_from(["female", "male", None]),
            st.sampled_from(["US", "FR", None]), st.one_of(st.none(), st.floats(-90, 90)),
        ),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_every_descriptor_stays_in_its_range(values):
    age, gender, country, lat = (list(column) for column in zip(*values, strict=True))
    u = descriptors(people(age=age, gender=gender, country=country, lat=lat, lon=lat), ["US"])
    assert np.isfinite(u).all()
    assert u.max() <= 1
    assert (np.delete(u, 1, axis=1) >= 0).all()
    assert set(u[:, 1]) <= {-1.0, 0.0, 1.0}
    assert np.array_equal(u[:, 2] == 1, [c == "US" for c in country])


def test_the_five_countries_or_occupations():
    country = ["b", "a", "c", "c", None, "d", "e", "f", "a", "b"]
    occupation = ["writer"] * 2 + ["artist"] * 8
    assert top_groups(people(country=country, occupation=occupation)) == ["a", "b", "c", "d", "e"]
    assert top_groups(people(age=[1])) == []
    users = people(occupation=occupation, age=[30] * 10)
    assert top_groups(users) == ["artist", "writer"]
    u = descriptors(users, top_groups(users))
    assert u[[0, 9], 2:7].tolist() == [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]


def test_what_a_descriptor_refuses():
    with pytest.raises(ValueError, match="6 countries given"):
        descriptors(people(age=[1]), list("abcdef"))


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=40), st.floats(0.01, 0.99), st.integers(0, 5))
def test_users_are_split_by_their_images(posts, test, seed):
    posts = np.array(posts)
    if (posts > 0).sum() < 2:
        with pytest.raises(ValueError, match="needs at least two"):
            split_users(posts, test, np.random.default_rng(seed))
        return
    chosen = split_users(posts, test, np.random.default_rng(seed))
    assert posts[chosen].sum() > 0
    assert posts[~chosen].sum() > 0
    # the last user taken may exceed the share, by no more than its own images
    assert posts[chosen].sum() <= test * posts.sum() + posts.max()
    assert np.array_equal(chosen, split_users(posts, test, np.random.default_rng(seed)))


def test_another_seed_gives_other_users():
    posts = np.ones(200, int)
    a, b = (split_users(posts, 0.1, np.random.default_rng(seed)) for seed in (0, 1))
    assert a.sum() == b.sum() == 20
    assert not np.array_equal(a, b)
    with pytest.raises(ValueError, match="expected a share"):
        split_users(posts, 1.5, np.random.default_rng(0))

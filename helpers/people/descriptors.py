"""Who the users are: Denton et al. 2015, section 4."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

GENDER = {"female": -1.0, "male": 1.0}
COUNTRIES = 5
DESCRIPTOR = 1 + 1 + COUNTRIES + 3


def groups(users: pd.DataFrame) -> pd.Series:
    """What takes the descriptor's place for countries: the country, or where no user names one, the
    occupation, so that on MovieLens these five numbers tell something of a person."""
    return users["country" if users["country"].notna().any() else "occupation"]


def top_groups(users: pd.DataFrame) -> list[str]:
    """The five countries (or occupations, see `groups`) of most users, most frequent first; ties go by the
    alphabet."""
    counts = groups(users).value_counts()
    return sorted(counts.index, key=lambda name: (-counts[name], name))[:COUNTRIES]


def descriptors(users: pd.DataFrame, chosen: Sequence[str]) -> np.ndarray:
    """The user descriptor of 10 (Denton et al. 2015, section 4), float32 (n, 10), from age in years, gender
    "female" or "male", country or occupation, lat and lon in degrees, null where unknown.

    One dimension for age, 0 to 100 scaled to [0, 1] and clipped; one for gender, −1 female, 1 male, 0
    unknown; five for the country (see `groups`), one-hot in the order of `chosen` (ValueError for more than
    five); three for the place, Cartesian coordinates of its latitude and longitude on the unit sphere, scaled
    to [0, 1]. The paper says only what an unknown gender is: for an unknown age or place we take the middle
    of the range, 0.5, and for a country that is unknown or not among the five, zeros."""
    if len(chosen) > COUNTRIES:
        raise ValueError(f"{len(chosen)} countries given; the descriptor has room for {COUNTRIES}")
    out = np.zeros((len(users), DESCRIPTOR), np.float32)
    age, *place = (users[name].to_numpy(float, na_value=np.nan) for name in ("age", "lat", "lon"))
    out[:, 0] = np.nan_to_num(np.clip(age / 100, 0, 1), nan=0.5)
    out[:, 1] = users["gender"].map(GENDER).astype(float).fillna(0.0)
    for n, name in enumerate(chosen):
        out[:, 2 + n] = (groups(users) == name).fillna(False)
    lat, lon = np.radians(place)
    sphere = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    out[:, 2 + COUNTRIES :] = np.nan_to_num((sphere + 1) / 2, nan=0.5)
    return out


def split_users(posts: np.ndarray, test: float, rng: np.random.Generator) -> np.ndarray:
    """Disjoint users for training and testing (Denton et al. 2015, section 4): bool (N,), True for test
    users, from how many images each posted, int (N,). At least one user with posts is on either side.

    The paper fixes the number of test images (100,000 of 20 million): users are drawn in random order until
    their posts make up the share `test` of all posts. Raises ValueError for a share that is not between 0 and
    1, or fewer than two users with posts."""
    posts = np.asarray(posts)
    active = np.flatnonzero(posts > 0)
    if len(active) < 2:
        raise ValueError(f"{len(active)} users have posts; a split by user needs at least two")
    if not 0 < test < 1:
        raise ValueError(f"test is {test}; expected a share between 0 and 1")
    order = rng.permutation(len(posts))
    before = np.cumsum(posts[order]) - posts[order]
    chosen = np.zeros(len(posts), bool)
    chosen[order[before < test * posts.sum()]] = True
    if chosen[active].all():  # one user holds nearly everything: the last user with posts stays in training
        chosen[order[posts[order] > 0][-1]] = False
    return chosen

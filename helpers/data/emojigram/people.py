"""Who is in the network: attributes, communities, tastes, friends and activity."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.data.collection import full_table
from helpers.data.emojigram.lexicon import COUNTRIES, LANGUAGES
from helpers.data.emojigram.randomness import zipf_weights
from helpers.data.emojigram.settings import Settings

AGE_EDGES = (25, 35, 50)  # four generations: under 25, under 35, under 50, older


@dataclass(frozen=True)
class People:
    """Arrays of length N, and what the simulation knows of each person."""

    age: np.ndarray  # float32, years; known to the simulation for everyone
    female: np.ndarray  # bool
    country: np.ndarray  # int8, row of COUNTRIES
    city: np.ndarray  # int8, position among the country's cities
    place: np.ndarray  # float64 (N, 2), latitude and longitude in degrees
    age_known: np.ndarray  # bool: what the table of users shows
    gender_known: np.ndarray
    generation: np.ndarray  # int8, 0 to 3, by AGE_EDGES
    language: np.ndarray  # int8, index into LANGUAGES
    second_language: np.ndarray  # int8, -1 for none
    community: np.ndarray  # int32
    spammer: np.ndarray  # bool
    activity: np.ndarray  # float64, mean 1: views and posts per user are proportional to it
    content_taste: np.ndarray  # float32 (N, C), added to the log-odds of viewing and posting a content
    style_taste: np.ndarray  # float32 (N, 8)
    friends_indptr: np.ndarray  # int64 (N + 1,), CSR of the symmetric friendship graph
    friends: np.ndarray  # int32


def draw_people(settings: Settings, contents: int, styles: int, rng: np.random.Generator) -> People:
    """Draw everyone, independent of the posts."""
    n = settings.users
    country = rng.choice(len(COUNTRIES), n, p=[c[1] for c in COUNTRIES]).astype(np.int8)
    city = rng.integers(0, 3, n).astype(np.int8)
    place = np.array([list(c[3].values()) for c in COUNTRIES])[country, city] + rng.normal(0, 0.15, (n, 2))
    language = np.empty(n, np.int8)
    for row, (_, _, spoken, _) in enumerate(COUNTRIES):
        here = np.flatnonzero(country == row)
        language[here] = rng.choice([LANGUAGES.index(x) for x in spoken], len(here), p=list(spoken.values()))
    # people of another mother tongue write in English too, English speakers in a random other language
    other = np.where(language == 0, rng.integers(1, len(LANGUAGES), n), 0)
    second = np.where(rng.random(n) < settings.multilingual, other, -1).astype(np.int8)
    age = (13 + 60 * rng.beta(1.6, 3.2, n)).astype(np.float32)
    female = rng.random(n) < 0.5
    community = rng.integers(0, settings.communities, n).astype(np.int32)
    generation = np.searchsorted(AGE_EDGES, age, side="right").astype(np.int8)
    attributes = [(generation, 4), (female.astype(int), 2), (country, len(COUNTRIES))]
    content_taste, style_taste = _tastes(settings, community, attributes, contents, styles, rng)
    indptr, friends = _friendships(n, settings.friends, rng)
    return People(
        age=age, female=female, country=country, city=city, place=place,
        age_known=rng.random(n) >= settings.missing_attributes,
        gender_known=rng.random(n) >= settings.missing_attributes,
        generation=generation, language=language, second_language=second, community=community,
        spammer=rng.random(n) < settings.spammers,
        activity=zipf_weights(n, settings.activity_exponent, rng),
        content_taste=content_taste, style_taste=style_taste, friends_indptr=indptr, friends=friends,
    )  # fmt: skip


def _tastes(settings, community, attributes, contents, styles, rng):
    """Log-odds per person: a shared part from the community, an own part, and shifts by attributes."""
    share = settings.community_share

    def taste(strength, width):
        shared = rng.standard_normal((settings.communities, width), np.float32)[community]
        own = rng.standard_normal((len(community), width), np.float32)
        return np.float32(strength) * (np.float32(share**0.5) * shared + np.float32((1 - share) ** 0.5) * own)

    content, style = taste(settings.taste_content, contents), taste(settings.taste_style, styles)
    for values, size in attributes:
        shift = np.float32(settings.attribute_taste) * rng.standard_normal((size, contents), np.float32)
        content += np.float32(0.7) * shift[values]
    return content, style


def _friendships(n: int, mean: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A symmetric graph with about `mean` friends a person, without regard to taste.

    Four friends in five are of the person's circle, where nearly everybody knows everybody; the rest are
    anybody. Without circles, views of friends' posts would not make two posts share viewers.
    """
    size, order, place = round(mean) + 1, rng.permutation(n), np.arange(n)
    pairs = [np.empty((0, 2), np.int64)]
    for apart in range(1, size):
        first = place[(place % size + apart < size) & (place + apart < n)]
        pairs.append(np.stack([order[first], order[first + apart]], axis=1))
    pairs = np.concatenate(pairs)
    within = pairs[rng.random(len(pairs)) < 0.8]
    ends = np.concatenate([within, rng.integers(0, n, (round(0.1 * n * mean), 2))])
    ends = ends[ends[:, 0] != ends[:, 1]]
    both = np.unique(np.concatenate([ends @ [n, 1], ends @ [1, n]]))
    return np.searchsorted(both, n * np.arange(n + 1)), (both % n).astype(np.int32)


def users_table(people: People) -> pd.DataFrame:
    """What the network shows of its users (schema of `Collection.users`)."""
    n = len(people.age)
    gender = np.where(people.gender_known, np.where(people.female, "female", "male"), None)
    return full_table("users", {
        "user": np.arange(n), "age": np.where(people.age_known, np.floor(people.age), np.nan),
        "gender": gender, "country": np.array([c[0] for c in COUNTRIES])[people.country],
        "lat": people.place[:, 0], "lon": people.place[:, 1], "original_id": [f"user-{i}" for i in range(n)],
    })  # fmt: skip

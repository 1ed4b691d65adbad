"""Which hashtags people give to their posts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.data.emojigram import lexicon
from helpers.data.emojigram.behaviour import Posts
from helpers.data.emojigram.lexicon import COUNTRIES, LANGUAGES
from helpers.data.emojigram.people import People
from helpers.data.emojigram.randomness import hash01_array
from helpers.data.emojigram.settings import Settings

KINDS = ("content", "style", "ambiguous", "self-expression", "attribute", "spam")


class Vocabulary(dict):
    """word -> code; a word that is not known gets the next code."""

    def __missing__(self, word: str) -> int:
        return self.setdefault(word, len(self))

    def codes(self, words) -> np.ndarray:
        """int32, of the shape of an array (or nested lists) of words."""
        words = np.array(words)
        return np.array([self[str(w)] for w in words.flat], np.int32).reshape(words.shape)

    def ragged(self, lists) -> tuple[np.ndarray, np.ndarray]:
        """(start int64 (n + 1,), codes int32) of lists of words."""
        start = np.cumsum([0, *map(len, lists)])
        return start, np.array([self[w] for words in lists for w in words], np.int32)


@dataclass(frozen=True)
class Tags:
    """One row per tag, ordered by item. Only the simulation knows `kind`, an index into KINDS."""

    item: np.ndarray  # int32
    word: np.ndarray  # int32, index into words
    kind: np.ndarray  # int8
    words: list[str]
    senses: pd.DataFrame  # community, word, content: the meaning that each community gives to a word
    known: pd.DataFrame  # word, kind ("language" or "place"), value: the languages of a word, or its country


def draw_tags(
    settings: Settings, people: People, posts: Posts, drawings: pd.DataFrame, contents: list[str],
    rng: np.random.Generator,
) -> Tags:  # fmt: skip
    """Fill the tag slots of every post, all posts at once.

    Each slot is a word for the content, or for the style, or one of the planted kinds; a person keeps to
    one language for most slots and, as firmly as `synonyms` says, to one word for a drawing. `drawings` are
    the rows of the catalogue that `posts.drawing` counts, `contents` the kinds that `posts.content` counts.
    """
    senses = _senses(settings, contents, rng)
    words = lexicon.drawing_words(drawings, reserved=set(senses["word"]))
    vocabulary, m = Vocabulary(), settings.posts
    slots = rng.poisson(max(settings.tags_per_post - 1, 0), m) + min(1, round(settings.tags_per_post))
    item = np.repeat(np.arange(m, dtype=np.int32), slots)
    user = posts.owner[item]
    # two slots in five are in the person's second language, where there is one
    second = people.second_language[user]
    language = np.where((second >= 0) & (rng.random(len(user)) < 0.4), second, people.language[user])
    planted = np.array([settings.ambiguous, settings.self_expression, settings.attribute_tags])
    visual = 1 - planted.sum()
    shares = np.concatenate([[0.7 * visual, 0.3 * visual], planted])
    kind = rng.choice(len(shares), len(item), p=shares / shares.sum()).astype(np.int8)

    word = _content_words(settings, posts, user, item, language, words, vocabulary, rng)
    rows = np.flatnonzero(kind == 1)
    table = vocabulary.codes(list(lexicon.STYLE_WORDS.values()))
    style = posts.style[item[rows]]
    x = _habitual(settings, 2, user[rows], style, rng)
    word[rows] = table[language[rows], style, (x * 2).astype(np.int64)]
    rows = np.flatnonzero(kind == 2)
    found = _ambiguous_words(
        senses, posts.content[item[rows]], people.community[user[rows]], vocabulary, contents, rng
    )
    word[rows[found >= 0]] = found[found >= 0]
    kind[rows[found < 0]] = 0
    rows = np.flatnonzero(kind == 3)
    # one of the person's three favourite words without visual content
    codes = vocabulary.codes(lexicon.SELF_EXPRESSION)
    x = hash01_array(settings.seed + 3, user[rows], rng.integers(0, 3, len(rows)))
    word[rows] = codes[(x * len(codes)).astype(np.int64)]
    rows = np.flatnonzero(kind == 4)
    word[rows] = _attribute_words(people, user[rows], vocabulary, rng)

    item, word, kind = _with_spam(settings, people, posts, item, word, kind, vocabulary, rng)
    # a post carries a tag once; the first slot that gave it decides its kind
    _, first = np.unique(item.astype(np.int64) * len(vocabulary) + word, return_index=True)
    first = first[np.argsort(item[first], kind="stable")]
    known = lexicon.about_words(words)
    return Tags(item[first], word[first], kind[first], list(vocabulary), senses, known)


def _habitual(settings, salt, user, what, rng):
    """A number in [0, 1): with probability `synonyms` the person's own for this, else a random one."""
    habit = hash01_array(settings.seed + salt, user, what)
    return np.where(rng.random(len(user)) < settings.synonyms, habit, rng.random(len(user)))


def _content_words(settings, posts, user, item, language, words, vocabulary, rng):
    """A word for the drawing: the person's own of several, or any, the first ones more often."""
    word, drawing = np.empty(len(item), np.int32), posts.drawing[item]
    x = _habitual(settings, 1, user, drawing, rng)
    for index, name in enumerate(LANGUAGES):
        start, codes = vocabulary.ragged(words[name])
        rows = np.flatnonzero(language == index)
        lo, hi = start[drawing[rows]], start[drawing[rows] + 1]
        word[rows] = codes[lo + (x[rows] ** 2 * np.minimum(hi - lo, 8)).astype(np.int64)]
    return word


def _senses(settings, contents, rng):
    """For each word with two meanings that both occur here, the meaning that each community gives to it."""
    usable = [row for row in lexicon.AMBIGUOUS if row[1] in contents and row[2] in contents]
    senses = rng.integers(0, 2, (settings.communities, len(usable)))
    rows = [(k, row[0], row[1 + s]) for k, of in enumerate(senses) for row, s in zip(usable, of, strict=True)]
    return pd.DataFrame(rows, columns=["community", "word", "content"]).astype({"community": "int32"})


def _ambiguous_words(senses, content, community, vocabulary, contents, rng):
    """A word that means this content to this community, or -1 where there is none."""
    groups = senses.groupby(["community", "content"])["word"].agg(list) if len(senses) else {}
    communities = range(community.max(initial=0) + 1)
    start, codes = vocabulary.ragged([groups.get((k, name), []) for k in communities for name in contents])
    cell = community.astype(np.int64) * len(contents) + content
    lo, n = start[cell], start[cell + 1] - start[cell]
    pick = lo + (rng.random(len(cell)) * n).astype(np.int64)
    out = np.full(len(cell), -1, np.int32)
    out[n > 0] = codes[pick[n > 0]]
    return out


def _attribute_words(people, user, vocabulary, rng):
    """A word of the person's generation, gender or place, one third each."""
    by_age = vocabulary.codes(lexicon.GENERATION_WORDS)
    by_gender = vocabulary.codes(lexicon.GENDER_WORDS)
    by_city = vocabulary.codes([list(country[3]) for country in COUNTRIES])
    x = rng.random(len(user))
    options = np.stack([
        by_age[people.generation[user], (x * by_age.shape[1]).astype(np.int64)],
        by_gender[people.female[user].astype(np.int64), (x * by_gender.shape[1]).astype(np.int64)],
        by_city[people.country[user], people.city[user]],
    ])  # fmt: skip
    return options[rng.integers(0, 3, len(user)), np.arange(len(user))]


def _with_spam(settings, people, posts, item, word, kind, vocabulary, rng):
    """Add camera-like and numeric tags to some posts, and 20 to 30 frequent tags to those of spammers."""
    camera, years = vocabulary.codes(lexicon.CAMERA_WORDS), vocabulary.codes(lexicon.YEARS)
    spammed = np.flatnonzero(rng.random(settings.posts) < settings.spam_tags).astype(np.int32)
    twice, some = np.repeat(spammed, 2), spammed[rng.random(len(spammed)) < 0.3]
    extra = [rng.choice(camera, len(twice)), rng.choice(years, len(some))]
    by_spammers = np.flatnonzero(people.spammer[posts.owner]).astype(np.int32)
    many = np.repeat(by_spammers, rng.integers(20, 31, len(by_spammers)))
    frequent = np.argsort(-np.bincount(word, minlength=len(vocabulary)), kind="stable")[:60]
    words = np.concatenate([word, *extra, rng.choice(frequent, len(many))]).astype(np.int32)
    kinds = np.full(len(words), KINDS.index("spam"), np.int8)
    kinds[: len(kind)] = kind
    return np.concatenate([item, twice, some, many]), words, kinds

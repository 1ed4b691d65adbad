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


class Vocabulary:
    """Words and their dense codes."""

    def __init__(self):
        self.code: dict[str, int] = {}

    def add(self, word: str) -> int:
        return self.code.setdefault(word, len(self.code))

    def codes(self, words) -> np.ndarray:
        """int32, of the shape of an array (or nested lists) of words."""
        words = np.array(words)
        return np.array([self.add(str(w)) for w in words.flat], np.int32).reshape(words.shape)

    def ragged(self, lists) -> tuple[np.ndarray, np.ndarray]:
        """(start int64 (n + 1,), codes int32) of lists of words."""
        codes = [[self.add(w) for w in words] for words in lists]
        start = np.concatenate([[0], np.cumsum([len(c) for c in codes])]).astype(np.int64)
        return start, np.array([c for row in codes for c in row], np.int32)


@dataclass(frozen=True)
class Tags:
    """One row per tag, ordered by item. Only the simulation knows `kind`, an index into KINDS."""

    item: np.ndarray  # int32
    word: np.ndarray  # int32, index into words
    kind: np.ndarray  # int8
    words: list[str]
    senses: pd.DataFrame  # community, word, content: the meaning that each community gives to a word


def draw_tags(
    settings: Settings, people: People, posts: Posts, drawings: pd.DataFrame, contents: list[str],
    rng: np.random.Generator,
) -> Tags:  # fmt: skip
    """Fill the tag slots of every post, all posts at once.

    Each slot is a word for the content, or for the style, or one of the planted kinds; a person keeps to
    one language for most slots and, as firmly as `synonyms` says, to one word for a drawing.

    Args:
        drawings: rows of the catalogue, indexed by `posts.drawing`.
        contents: names of the kinds of drawing, indexed by `posts.content`.
    """
    senses = draw_senses(settings, contents, rng)
    words = lexicon.drawing_words(drawings, reserved=set(senses["word"]))
    vocabulary = Vocabulary()
    m = settings.posts
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
    word[rows] = _style_words(settings, posts.style[item[rows]], user[rows], language[rows], vocabulary, rng)
    rows = np.flatnonzero(kind == 2)
    found = _ambiguous_words(
        senses, posts.content[item[rows]], people.community[user[rows]], vocabulary, contents, rng
    )
    word[rows[found >= 0]] = found[found >= 0]
    kind[rows[found < 0]] = 0
    rows = np.flatnonzero(kind == 3)
    word[rows] = _own_words(settings.seed, user[rows], vocabulary, rng)
    rows = np.flatnonzero(kind == 4)
    word[rows] = _attribute_words(people, user[rows], vocabulary, rng)

    item, word, kind = _with_spam(settings, people, posts, item, word, kind, vocabulary, rng)
    # a post carries a tag once; the first slot that gave it decides its kind
    _, first = np.unique(item.astype(np.int64) * len(vocabulary.code) + word, return_index=True)
    first = first[np.argsort(item[first], kind="stable")]
    return Tags(item[first], word[first], kind[first], list(vocabulary.code), senses)


def _content_words(settings, posts, user, item, language, words, vocabulary, rng):
    """A word for the drawing: the person's own of several, or any, the first ones more often."""
    word = np.empty(len(item), np.int32)
    drawing = posts.drawing[item]
    habit = hash01_array(settings.seed + 1, user, drawing)
    x = np.where(rng.random(len(item)) < settings.synonyms, habit, rng.random(len(item)))
    for index, name in enumerate(LANGUAGES):
        start, codes = vocabulary.ragged(words[name])
        rows = np.flatnonzero(language == index)
        lo, hi = start[drawing[rows]], start[drawing[rows] + 1]
        word[rows] = codes[lo + (x[rows] ** 2 * np.minimum(hi - lo, 8)).astype(np.int64)]
    return word


def _style_words(settings, style, user, language, vocabulary, rng):
    table = vocabulary.codes(list(lexicon.STYLE_WORDS.values()))
    habit = hash01_array(settings.seed + 2, user, style)
    x = np.where(rng.random(len(user)) < settings.synonyms, habit, rng.random(len(user)))
    return table[language, style, (x * 2).astype(np.int64)]


def draw_senses(settings: Settings, contents: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """For each word with two meanings that both occur here, the meaning that each community gives to it."""
    usable = [row for row in lexicon.AMBIGUOUS if row[1] in contents and row[2] in contents]
    sense = rng.integers(0, 2, (settings.communities, len(usable)))
    rows = [
        (community, row[0], row[1 + sense[community, k]])
        for community in range(settings.communities)
        for k, row in enumerate(usable)
    ]
    return pd.DataFrame(rows, columns=["community", "word", "content"]).astype({"community": "int32"})


def _ambiguous_words(senses, content, community, vocabulary, contents, rng):
    """A word that means this content to this community, or -1 where there is none."""
    groups = senses.groupby(["community", "content"])["word"].agg(list) if len(senses) else {}
    n_communities = int(community.max(initial=0)) + 1
    lists = [groups.get((k, name), []) for k in range(n_communities) for name in contents]
    start, codes = vocabulary.ragged(lists)
    cell = community.astype(np.int64) * len(contents) + content
    lo, n = start[cell], start[cell + 1] - start[cell]
    pick = lo + (rng.random(len(cell)) * n).astype(np.int64)
    out = np.full(len(cell), -1, np.int32)
    out[n > 0] = codes[pick[n > 0]]
    return out


def _own_words(seed, user, vocabulary, rng):
    """One of the person's three favourite words without visual content."""
    codes = vocabulary.codes(lexicon.SELF_EXPRESSION)
    favourite = rng.integers(0, 3, len(user))
    return codes[(hash01_array(seed + 3, user, favourite) * len(codes)).astype(np.int64)]


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
    m = settings.posts
    camera, years = vocabulary.codes(lexicon.CAMERA_WORDS), vocabulary.codes(lexicon.YEARS)
    spammed = np.flatnonzero(rng.random(m) < settings.spam_tags).astype(np.int32)
    extra_item = [np.repeat(spammed, 2), spammed[rng.random(len(spammed)) < 0.3]]
    extra_word = [rng.choice(camera, len(extra_item[0])), rng.choice(years, len(extra_item[1]))]
    by_spammers = np.flatnonzero(people.spammer[posts.owner]).astype(np.int32)
    many = np.repeat(by_spammers, rng.integers(20, 31, len(by_spammers)))
    frequent = np.argsort(-np.bincount(word, minlength=len(vocabulary.code)), kind="stable")[:60]
    extra_item.append(many)
    extra_word.append(rng.choice(frequent, len(many)).astype(np.int32))
    added = sum(map(len, extra_item))
    return (
        np.concatenate([item, *extra_item]),
        np.concatenate([word, *extra_word]).astype(np.int32),
        np.concatenate([kind, np.full(added, KINDS.index("spam"), np.int8)]),
    )

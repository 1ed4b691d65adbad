"""Do the senses that multi-sense skip-gram opens agree with meanings? Measures, and a planted world."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.pictures import pseudo
from helpers.words.embeddings import TagSets, tag_sets


class Planted(NamedTuple):
    """`planted`: sets of tags in which some words have two meanings, and the n occurrences of those words."""

    sets: TagSets  # the words with two meanings are the last ones
    word: np.ndarray  # int (n,), from 0
    meaning: np.ndarray  # int (n,), the topic
    place: np.ndarray  # int (n,), where the occurrences are in `sets.tags`


def planted(
    images: int, company: int, rng: np.random.Generator, ambiguous: bool = True, topics: int = 8,
    words: int = 12,
) -> Planted:  # fmt: skip
    """Images with `company` tags each from the own words of one topic, of an even number, and a word more
    that topics 2k and 2k + 1 share: `topics * words + k`.

    If `ambiguous`, the shared word means either topic. If not, every image of the two topics has its other
    tags from the first of them, so that the word has one company, whatever the image's topic says."""
    topic = rng.integers(0, topics, images)
    others = np.argsort(rng.random((images, words)), axis=1)[:, :company]
    others += words * (topic if ambiguous else topic // 2 * 2)[:, None]
    tag = np.column_stack([others, topics * words + topic // 2])
    sets = tag_sets(np.repeat(np.arange(images), company + 1), tag.ravel(), topics * words + topics // 2)
    place = np.flatnonzero(sets.tags >= topics * words)  # one an image, in the order of the images
    return Planted(sets, sets.tags[place] - topics * words, topic, place)


def separation(
    word: np.ndarray, sense: np.ndarray, meaning: np.ndarray, rng: np.random.Generator, repeats: int = 50
) -> pd.DataFrame:
    """How well senses tell the meanings of each word apart, given word, sense and meaning of n occurrences:
    any values that can be compared, and −1 for an occurrence without a sense, which is left out.

    Returns one row per word whose second meaning occurs at least twice, indexed by the word: occurrences;
    purity with `one sense`; with as many senses of the same sizes filled at random (`shuffled`, the mean of
    so many repeats), the floor; and as `found`; number of senses."""
    word, sense, meaning = (np.asarray(values)[np.asarray(sense) >= 0] for values in (word, sense, meaning))
    rows = {}
    for name in np.unique(word):
        s, m = (np.unique(values[word == name], return_inverse=True)[1] for values in (sense, meaning))
        counts, has = np.sort(np.bincount(m))[::-1], m[:, None] == np.arange(m.max() + 1)
        if len(counts) > 1 and counts[1] > 1:
            shuffled = pseudo.chance_purity(s, has, rng, repeats).mean()
            rows[name] = (len(s), counts[0] / len(s), shuffled, pseudo.purity(s, has), s.max() + 1)
    columns = ["occurrences", "one sense", "shuffled", "found", "senses"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("word")

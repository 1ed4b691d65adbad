"""The words that people use: real names of the drawings in four languages, and the lists planted here."""

import re
import unicodedata
from pathlib import Path

import emoji
import pandas as pd
import yaml

_PLANTED = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))
STYLE_WORDS = _PLANTED["style_words"]  # language -> a pair of words for each style
LANGUAGES = tuple(STYLE_WORDS)
AMBIGUOUS = _PLANTED["ambiguous"]  # an English word, and the two kinds of drawing that it can mean
SELF_EXPRESSION = _PLANTED["self_expression"]
GENERATION_WORDS = _PLANTED["generation_words"]
GENDER_WORDS = _PLANTED["gender_words"]  # of men, of women
CAMERA_WORDS, YEARS = _PLANTED["camera_words"], _PLANTED["years"]
# country, share of the users, languages with their shares, cities with latitude and longitude in degrees
COUNTRIES = [
    (name, about["share"], about["languages"], about["cities"])
    for name, about in _PLANTED["countries"].items()
]
_LETTERS = re.compile(r"[^\W\d_]+")


def plain(word: str) -> str:
    """Lower case without accents, as people type hashtags."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c))


def _words(text: str, language: str) -> list[str]:
    found = (w.lower() for w in _LETTERS.findall(text))
    return [plain(w) for w in found if len(w) > 2 and w not in _PLANTED["function_words"][language]]


def drawing_words(catalogue: pd.DataFrame, reserved: set[str]) -> dict[str, list[list[str]]]:
    """Words for each drawing, best first, by language.

    English comes from the names and tags of OpenMoji's designers, the other languages from the names in the
    `emoji` package (Unicode's translations), or from English where there is none. `reserved` words have a
    planted second meaning and are left to the tags of that kind, so that nobody uses one in a sense that the
    own community does not know. Returns language -> a list of distinct words for each row, never empty.
    """
    for language in LANGUAGES:
        emoji.config.load_language(language)
    words: dict[str, list[list[str]]] = {language: [] for language in LANGUAGES}
    for row in catalogue.itertuples():
        english = dict.fromkeys(_words(f"{row.annotation} {row.openmoji_tags} {row.tags}", "en"))
        english = [w for w in english if w not in reserved] or [plain(row.subgroup.split("-")[-1])]
        words["en"].append(english)
        names = emoji.EMOJI_DATA.get(row.character, {})
        for language in LANGUAGES[1:]:
            own = dict.fromkeys(_words(names.get(language, "").replace("_", " "), language))
            words[language].append([w for w in own if w not in reserved] or english[:1])
    return words


def about_words(words: dict[str, list[list[str]]]) -> pd.DataFrame:
    """What is known about words, those of `drawing_words` and the planted ones for styles and cities: a row
    for each word (text), kind ("language" or "place") and value (a language that has the word, or the country
    of the city). Several languages may share a word."""
    rows = {
        (word, "language", language)
        for language in LANGUAGES
        for some in [*words[language], *STYLE_WORDS[language]]
        for word in some
    }
    rows |= {(city, "place", country) for country, _, _, cities in COUNTRIES for city in cities}
    return pd.DataFrame(sorted(rows), columns=["word", "kind", "value"])

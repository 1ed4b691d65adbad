"""The words that people use: real names of the drawings in four languages, and the lists planted here."""

import re
import unicodedata

import emoji
import pandas as pd

from helpers.data.emojigram.people import LANGUAGES

STYLE_WORDS = {
    "en": (
        ("original", "unedited"), ("blackandwhite", "monochrome"), ("sepia", "vintage"), ("softfocus", "dreamy"),
        ("pixelart", "retrogaming"), ("popart", "poster"), ("sketch", "lineart"), ("neon", "glow"),
    ),
    "fr": (
        ("originale", "sansretouche"), ("noiretblanc", "monochrome"), ("sepia", "ancien"), ("flou", "reveur"),
        ("pixelart", "retrojeu"), ("popart", "affiche"), ("croquis", "dessin"), ("neon", "lueur"),
    ),
    "de": (
        ("unbearbeitet", "naturbelassen"), ("schwarzweiss", "monochrom"), ("sepia", "altmodisch"), ("unscharf", "weichzeichner"),
        ("pixelkunst", "retrospiel"), ("popart", "plakat"), ("skizze", "zeichnung"), ("neon", "leuchten"),
    ),
    "es": (
        ("original", "sinfiltro"), ("blancoynegro", "monocromo"), ("sepia", "antiguo"), ("borroso", "ensueno"),
        ("pixelart", "retrojuego"), ("popart", "cartel"), ("boceto", "dibujo"), ("neon", "brillo"),
    ),
}  # fmt: skip

# an English word, and the two kinds of drawing it can mean
AMBIGUOUS = (
    ("mouse", "animal-mammal", "computer"), ("bat", "animal-mammal", "sport"), ("horn", "animal-mammal", "musical-instrument"),
    ("trunk", "animal-mammal", "transport-ground"), ("crane", "animal-bird", "place-building"), ("turkey", "animal-bird", "food-prepared"),
    ("seal", "animal-marine", "mail"), ("bug", "animal-bug", "computer"), ("fly", "animal-bug", "transport-air"),
    ("jam", "food-sweet", "transport-ground"), ("orange", "food-fruit", "geometric"), ("date", "food-fruit", "office"),
    ("star", "sky-weather", "geometric"), ("bow", "clothing", "musical-instrument"), ("ring", "clothing", "sport"),
    ("bulb", "plant-flower", "light-video"), ("watch", "time", "light-video"), ("match", "sport", "household"),
    ("pitcher", "sport", "drink"), ("toast", "food-prepared", "drink"), ("court", "sport", "place-building"),
    ("plant", "plant-other", "place-building"), ("palm", "plant-other", "body-parts"), ("nail", "body-parts", "tool"),
    ("club", "game", "sport"), ("key", "lock", "musical-instrument"), ("note", "music", "office"),
    ("park", "plant-other", "transport-ground"), ("cell", "science", "phone"), ("chip", "computer", "food-prepared"),
)  # fmt: skip

SELF_EXPRESSION = (
    "love", "mood", "me", "myself", "blessed", "happyme", "throwback", "goals", "vibes", "life", "lifestyle", "dream",
    "inspiration", "grateful", "weekend", "fun", "friends", "family", "memories", "smile", "beautiful", "amazing",
    "bestoftheday", "motivation", "passion", "hope", "peace", "free", "wanderlust", "nostalgia", "boredom", "coffeebreak",
    "selfcare", "positivity", "justbecause", "nowords",
)  # fmt: skip

GENERATION_WORDS = (
    ("yolo", "squad", "lit", "schoollife"), ("adulting", "startup", "festival", "flatshare"),
    ("parenting", "mortgage", "careerlife", "weekendtrip"), ("grandkids", "retirement", "gardenlife", "oldies"),
)  # fmt: skip
GENDER_WORDS = (("bro", "dadlife", "mensfashion"), ("girlpower", "momlife", "makeup"))

CAMERA_WORDS = (
    "nikon", "canon", "sony", "square", "squareformat", "iphoneography", "instagood", "filter", "uploaded", "mobile",
)  # fmt: skip
YEARS = ("2013", "2014", "2015", "365", "100", "50mm")

_LETTERS = re.compile(r"[^\W\d_]+")
_FUNCTION_WORDS = {
    "en": {"with", "and", "the", "for", "from", "button", "type", "sign", "face"},
    "fr": {"avec", "sur", "des", "les", "dans", "une", "pour", "visage", "bouton", "aux", "par", "sans", "qui"},
    "de": {"mit", "und", "der", "die", "das", "von", "gesicht", "ein", "eine", "auf", "dem", "einem", "einer", "nach", "für"},
    "es": {"con", "del", "los", "las", "una", "por", "cara", "para", "que", "sin", "botón", "dos"},
}  # fmt: skip


def plain(word: str) -> str:
    """Lower case without accents, as people type hashtags."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c))


def _words(text: str, language: str) -> list[str]:
    found = (w.lower() for w in _LETTERS.findall(text))
    return [plain(w) for w in found if len(w) > 2 and w not in _FUNCTION_WORDS[language]]


def drawing_words(catalogue: pd.DataFrame, reserved: set[str]) -> dict[str, list[list[str]]]:
    """Words for each drawing, best first, by language.

    English comes from the names and tags of OpenMoji's designers, the other languages from the names in
    the `emoji` package (Unicode's translations). A drawing without a translation keeps its English words.

    Args:
        catalogue: rows of OpenMoji's table with character, annotation, tags, openmoji_tags.
        reserved: words with a planted second meaning; they are left to the tags of that kind, so that a
            person never uses one in the sense that the person's community does not know.

    Returns:
        language -> one list of distinct words per row; never empty.
    """
    for language in LANGUAGES:
        emoji.config.load_language(language)
    words: dict[str, list[list[str]]] = {language: [] for language in LANGUAGES}
    for row in catalogue.itertuples():
        english = _words(row.annotation, "en") + _words(f"{row.openmoji_tags} {row.tags}", "en")
        english = [w for w in dict.fromkeys(english) if w not in reserved] or [
            plain(row.subgroup.split("-")[-1])
        ]
        words["en"].append(english)
        names = emoji.EMOJI_DATA.get(row.character, {})
        for language in LANGUAGES[1:]:
            own = dict.fromkeys(_words(names.get(language, "").replace("_", " "), language))
            words[language].append([w for w in own if w not in reserved] or english[:1])
    return words

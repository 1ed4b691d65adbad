"""Every row of the five papers that this project is to show, and what the notebooks found for each.

A claim's id is a row's id with a letter where a row has several: "F10a" belongs to F10.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from helpers.claims.claim import Claim
from helpers.errors import BadInput
from helpers.paths import number_of

PAPERS = {
    "F": "Fang et al. 2015, Collaborative Feature Learning from Social Media",
    "V": "Veit et al. 2018, Separating Self-Expression and Visual Content in Hashtag Supervision",
    "B": "Bibas et al. 2022, Collaborative Image Understanding",
    "J": "Joulin et al. 2016, Learning Visual Features from Large Weakly Supervised Data",
    "D": "Denton et al. 2015, User Conditional Hashtag Prediction for Images",
}

ROWS = {
    "F1": "items and users by number of views, to the fixed point",
    "F2": "splits of items and of non-missing entries",
    "F3": "negatives by popularity (Algorithm 1)",
    "F4": "matrix factorisation, asynchronous SGD (eq. 3)",
    "F5": "λ and d chosen by RMSE and personalised ranking",
    "F6": "neighbours of latent factors (Fig. 4)",
    "F7": "pseudo classes by k-means (eq. 4)",
    "F8": "CNN trained on pseudo classes, FC6 and FC7",
    "F9": "regressing the latent factor instead",
    "F10": "retrieval by what people did (Fig. 5)",
    "F11": "linear SVM on style and object sets (Table 1)",
    "V1": "hashtags, users and splits by time",
    "V2": "MCLL: softmax, one tag drawn (eq. 1)",
    "V3": "NCSL with PPMI-SVD embeddings (eq. 2)",
    "V4": "NCSL with multi-sense embeddings",
    "V5": "floors: tag frequencies, logistic regression",
    "V6": "user tensor model (eq. 3–5)",
    "V7": "MLP of image, tag and user",
    "V8": "accuracy@1 and @10 (Table 2)",
    "V9": "by training images of a user, by embedding size (Figs. 5, 7)",
    "V10": "retrieval by hashtag, for one user (Figs. 1, 6, 8–10)",
    "B1": "recommenders, item vectors (Table 3)",
    "B2": "labels from item vectors (Table 4)",
    "B3": "image-only network, class-balanced loss (eq. 1)",
    "B4": "multitask: label and item vector (eq. 2, 3)",
    "B5": "contrastive and sequential baselines",
    "B6": "mAP on held-out items (Table 5)",
    "B7": "by share of labels (Figs. 3, 4)",
    "B8": "statistics of the datasets (Table 2, Fig. 2)",
    "B9": "backbones",
    "J1": "words as targets",
    "J2": "AlexNet and GoogLeNet with K outputs",
    "J3": "one-versus-all and multi-class loss",
    "J4": "class-uniform sampling",
    "J5": "softmax over the batch's classes, its bounds",
    "J6": "word prediction, precision@10 (Table 1, Fig. 2)",
    "J7": "maps of images and words (Figs. 4, 6)",
    "J8": "transfer to other sets (Tables 2, 3, Fig. 5)",
    "J9": "word vectors: analogies, similarity (Table 4)",
    "J10": "English–French correspondence (Tables 5, 6)",
    "J11": "schedule, distributed training",
    "D1": "bilinear, biased and multiplicative models",
    "D2": "WARP",
    "D3": "natural and balanced hashtags",
    "D4": "user descriptor",
    "D5": "P@1, R@10, A@10 (Table 3, Figs. 5, 6)",
    "D6": "users of training and test apart",
    "D7": "one image, different users (Fig. 7)",
}


class Found(NamedTuple):
    """What one profile has for a row: the claims, and the numbers of the notebooks that made them."""

    id: str
    title: str
    claims: list[Mapping]
    notebooks: list[str]


def row_of(claim: str) -> str:
    """ "F10a" -> "F10".

    Raises:
        BadInput: there is no such row.
    """
    match = re.fullmatch(r"([FVBJD]\d{1,2})[a-z]?", claim)
    if match is None or match[1] not in ROWS:
        raise BadInput(f"claim {claim!r} belongs to no row; rows are {', '.join(list(ROWS)[:3])}, …")
    return match[1]


def by_row(claims: Iterable[Mapping]) -> list[Found]:
    """All rows in the order of `ROWS`, each with its claims; a row without one is there too.

    Args:
        claims: as in scoreboard.json; "id" and "notebook" are read.
    """
    found: dict[str, list[Mapping]] = {row: [] for row in ROWS}
    for claim in claims:
        found[row_of(claim["id"])].append(claim)
    return [
        Found(
            row,
            title,
            sorted(found[row], key=lambda c: c["id"]),
            sorted({number_of(c["notebook"]) for c in found[row]}),
        )
        for row, title in ROWS.items()
    ]


def printed(claims: Iterable[Mapping]) -> str:
    """The scoreboard as text: counts by verdict, a line for each row, and what has no claim."""
    claims = list(claims)
    verdicts = Counter(c["verdict"] for c in claims)
    lines = ["claims: " + (", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common()) or "none")]
    found = by_row(claims)
    width = max(len(title) for title in ROWS.values())
    for row in found:
        if row.claims:
            each = Counter(c["verdict"] for c in row.claims)
            text = ", ".join(verdict if n == 1 else f"{n} {verdict}" for verdict, n in each.items())
            lines.append(f"{row.id:<4} {row.title:<{width}}  {' '.join(row.notebooks)}  {text}")
    if without := [row.id for row in found if not row.claims]:
        lines.append(f"without a claim in this profile: {', '.join(without)}")
    return "\n".join(lines)


def claim_ids(code: str) -> list[str]:
    """The claims that code names in quotes, "F10a", in order."""
    quoted = re.findall(r"""["']([FVBJD]\d{1,2})([a-z]?)["']""", code)
    return list(dict.fromkeys(row + letter for row, letter in quoted if row in ROWS))


def not_testable(ids: Iterable[str], why: str) -> list[Claim]:
    """A claim for each id that says why nothing can be said."""
    verdict = "not testable on this data"
    return [Claim(id, ROWS[row_of(id)], PAPERS[id[0]], verdict, note=why) for id in ids]


def mentioned(source: str) -> set[str]:
    """The rows that a text names: "F4", 'F10a', "rows F7–F10"."""
    found = set()
    letters = "".join(PAPERS)
    for first, low, high in re.findall(
        rf"\b([{letters}])(\d{{1,2}})\s?[–-]\s?(?:[{letters}])?(\d{{1,2}})\b", source
    ):
        found |= {f"{first}{n}" for n in range(int(low), int(high) + 1)}
    found |= set(re.findall(rf"\b([{letters}]\d{{1,2}})[a-z]?\b", source))
    return found & ROWS.keys()

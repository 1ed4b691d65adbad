"""What the papers claim about models that know no user, with their numbers, for notebook 06.

Nothing here is ours: statements and numbers are those of Veit et al. 2018 and Joulin et al. 2016.
"""

from typing import NamedTuple


class Cited(NamedTuple):
    """A claim "a is above b" of a paper.

    Attributes:
        id: row of the checklist.
        statement: what is claimed.
        where: paper and place.
        text: the cited numbers as text, or None where the paper gives none.
        pair: the numbers of a and b, or None.
        measured: what we compare to test it.
    """

    id: str
    statement: str
    where: str
    text: str | None
    pair: tuple[float, float] | None
    measured: str


TAGGING = "Veit et al. 2018, section 4.2, Table 2"
FIG9, FIG10 = "Veit et al. 2018, section 4.3, Fig. 9", "Veit et al. 2018, section 4.3, Fig. 10"
SECTION3, TABLE1 = "Joulin et al. 2016, section 3", "Joulin et al. 2016, section 4.1, Table 1"

TABLE2 = {
    "global frequency": (1.68, 9.65),
    "ImageNet": (17.21, 40.01),
    "MCLL": (29.24, 56.47),
    "NCSL-PPMI": (28.72, 47.70),
    "NCSL-MS": (27.94, 46.65),
}
"""Veit et al. 2018, Table 2: accuracy@1 and accuracy@10 in per cent."""

WORDS = {
    "regression": "8.27 / 4.01 / 1.61, GoogLeNet's 13.20 / 4.76 / 1.54",
    "alexnet": "17.98 / 6.27 / 2.56",
    "googlenet": "20.21 / 6.47 / –",
}
"""Joulin et al. 2016, Table 1: precision@10 in per cent for K = 1,000, 10,000 and 100,000."""

PROCEDURES = {
    "V2": ("softmax with one drawn tag (eq. 1)", TAGGING, "MCLL"),
    "V3": ("cosine to the sum of PPMI-SVD vectors (eq. 2)", TAGGING, "NCSL-PPMI"),
    "V4": ("cosine to the sum of multi-sense vectors (eq. 2)", TAGGING, "NCSL-MS"),
    "V5": ("logistic regression on ImageNet features, a floor", TAGGING, "ImageNet"),
}
"""Rows that claim nothing by themselves: id -> procedure, place, and the line of Table 2."""

OTHERS = {
    "J5a": ("the expected approximate loss lies between its two bounds", SECTION3, None),
    "J5c": ("updating only the batch's words saves most of the last layer's time", SECTION3,
            "1,600 ms a batch for the full last layer"),
    "J11": ("the learning rate is halved when the validation error rises after an epoch", SECTION3,
            "each rate is kept for at least 10 epochs"),
}  # fmt: skip
"""Rows that are not of the form "a is above b": statement, place, the paper's number."""

CLAIMS = (
    Cited("V8a", "all models outperform the global frequency baseline", TAGGING, "40.01 % or more, 9.65 %",
          (40.01, 9.65), "A@10, the worst model and global frequency"),
    Cited("V8b", "training for hashtags substantially outperforms ImageNet features", TAGGING,
          "56.47 %, 40.01 %", (56.47, 40.01), "A@10, MCLL and the regression"),
    Cited("V8c", "MCLL outperforms NCSL, in particular in A@10", TAGGING, "56.47 %, 47.70 %",
          (56.47, 47.70), "A@10, MCLL and the better NCSL"),
    Cited("V10a", "ImageNet features are low in retrieval", FIG9, None, None,
          "P@10, MCLL and the regression"),
    Cited("V10b", "MCLL substantially outperforms NCSL in retrieval", FIG9, None, None,
          "P@10, MCLL and the better NCSL"),
    Cited("V10c", "multi-sense vectors suit NCSL better than PPMI in retrieval", FIG9, None, None,
          "P@10, NCSL-MS and NCSL-PPMI"),
    Cited("V10d", "retrieval is better for frequent tags", FIG10, None, None,
          "share of the ceiling, MCLL, frequent and rarer half of H"),
    Cited("V10e", "MCLL's lead over NCSL in retrieval is in the tail", FIG10, None, None,
          "lead over the better NCSL, rarer and frequent half of H"),
    Cited("J2", "GoogLeNet is ahead of AlexNet", TABLE1, "20.21 %, 17.98 % at K 1,000", (20.21, 17.98),
          "P@10, smallest dictionary"),
    Cited("J3", "the multi-class loss outperforms one-versus-all", "Joulin et al. 2016, section 4.1",
          "17.98 %, 16.43 % at K 1,000", (17.98, 16.43), "P@10 on frozen features"),
    Cited("J4", "class-uniform sampling keeps frequent words from dominating", SECTION3, None, None,
          "recall@10 of the rarer half, class-uniform and natural"),
    Cited("J5b", "the softmax over the batch's words works well in practice", SECTION3, None, None,
          "P@10, in-batch and 0.9 times all words"),
    Cited("J6a", "end to end beats ImageNet features with a regression by 45 to 110 %", TABLE1,
          "17.98 %, 8.27 % (AlexNet, K 1,000)", (17.98, 8.27), "P@10, least favourable network and K"),
    Cited("J6b", "precision falls as the dictionary grows", TABLE1, "17.98, 6.27, 2.56 % (AlexNet)", None,
          "P@10, smallest and largest dictionary, least favourable method"),
    Cited("J6c", "more training pictures are better", "Joulin et al. 2016, section 4.1, Fig. 2", None, None,
          "P@10 from scratch, all pictures and the smallest part"),
    Cited("J7", "similar pictures are together on a t-SNE map", "Joulin et al. 2016, section 4.1, Fig. 4",
          None, None, "pairs that share a word, five nearest on the map and any two"),
)  # fmt: skip

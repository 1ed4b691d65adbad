"""What the papers claim about vectors of words, with their numbers, for notebook 06b.

Nothing here is ours: statements and numbers are those of Veit et al. 2018 and Joulin et al. 2016.
"""

from helpers.claims.cited import Cited

SECTION = "Joulin et al. 2016, section 4.3"
TABLE4, TABLE5 = f"{SECTION}, Table 4", f"{SECTION}, Table 5"

SIMILARITY = {
    "last layer": "73.77 / 75.73 / 67.35, GoogLeNet's 75.72 / 75.89 / –",
    "word2vec": "75.25 / 77.53 / 77.91",
    "last layer + word2vec": "78.17 / 79.24 / 78.57",
}
"""Table 4, right: Spearman's rank correlation with MEN, times 100, for K = 1,000, 10,000 and 100,000."""

ANALOGIES = {
    "last layer": "67.91 / 29.29 / 0.85, GoogLeNet's 71.92 / 24.06 / –",
    "word2vec": "71.92 / 61.35 / 47.24",
    "last layer + word2vec": "74.79 / 57.26 / 44.35",
}
"""Table 4, left: accuracy in per cent, for the same K."""

TRANSLATIONS = {"English → French": "33.01 / 50.16 / 55.34", "French → English": "23.95 / 50.16 / 56.63"}
"""Table 5: precision@1, @5 and @10 in per cent, K = 10,000; chance is 0.32 for k = 1."""

BEST_PAIRS = (
    "oas–oea ✓, infrared–infrarouge ✓, tomatoes–tomates ✓, bookshop–librairie ✓, server–apocalyptique ✗, "
    "uzbekistan–ouzbekistan ✓, mushroom–champignons ✗, filmed–serveur ✗, mauritania–mauritanie ✓, "
    "pencils–crayons ✓, fog–brouillard ✓, jetliner–avion ✓"
)
"""Table 6. The colours of the print are lost in our copy; marked are the pairs that are translations."""

CLAIMS = (
    Cited("V4a", "multi-sense vectors model hashtags with several meanings",
          "Veit et al. 2018, section 3.1", None, None, "purity of senses, found and shuffled"),
    Cited("J7b", "the map of words shows topics", f"{SECTION}, Fig. 6", None, None,
          "pairs with the same main label, five nearest on the map and any two"),
    Cited("J9a", "last-layer vectors hold semantic structure", TABLE4, "Spearman 0.7377 (AlexNet, K 1,000)",
          None, "rank correlation with MEN, last layer and random"),
    Cited("J9b", "for small dictionaries they are on par with word2vec", TABLE4,
          "0.7377, 0.7525 (AlexNet, word2vec, K 1,000)", (0.7377, 0.9 * 0.7525),
          "rank correlation with MEN, last layer and 0.9 times word2vec"),
    Cited("J9c", "both together are better than word2vec alone", TABLE4, "0.7817, 0.7525 (K 1,000)",
          (0.7817, 0.7525), "rank correlation with MEN, concatenation and word2vec"),
    Cited("J9d", "last-layer vectors answer analogies", TABLE4, "67.91 % (AlexNet, K 1,000)", None,
          "accuracy, last layer and random"),
    Cited("J10a", "translations are found for a non-trivial number of words", TABLE5,
          "33.01 %, 0.32 % by chance (K 10,000)", (33.01, 0.32), "P@1, worse direction, and chance"),
    Cited("J10b", "finding the English counterpart of a French word is harder", TABLE5, "33.01 %, 23.95 %",
          (33.01, 23.95), "P@1, English to French and French to English"),
    Cited("J10c", "fewer translations are found in larger dictionaries", TABLE5, "33.01 %, 12.30 %",
          (33.01, 12.30), "P@1 English to French, smallest and largest dictionary"),
)  # fmt: skip

"""The claims of notebook 06b: each is seen where its cause is planted, and vanishes where it is off."""

import numpy as np
import pytest
import torch
from sklearn.manifold import TSNE

from helpers.data import openmoji, wordsets
from helpers.learn.learners import Learner
from helpers.learn.train import Recipe
from helpers.measures.stats import compare, compare_groups
from helpers.words import embeddings, senses
from helpers.words import vectors as wordvectors
from helpers.words.bags import Bags
from helpers.words.embeddings import TagSets
from helpers.words.prediction import Dictionary, train_words

pytestmark = pytest.mark.controls
CPU = torch.device("cpu")
RECIPE = Recipe(12, 64, 0.01, weight_decay=0.1, optimiser="adamw")
NONE = np.zeros(0, int)


def rng(*key):
    return np.random.default_rng([19, *key])


def last_layer(words: np.ndarray, X: np.ndarray, K: int, s: int = 0) -> np.ndarray:
    """Rows of the last layer after training on pictures with the given words, int (n, m), and features."""
    n, m = words.shape
    picture = np.repeat(np.arange(n, dtype=np.int32), m)
    tags = Bags.of(picture, np.sort(words, axis=1).ravel().astype(np.int32), n)
    held, train = np.split(rng(0).permutation(n), [n // 6])
    book = Dictionary(K, tags, np.arange(K).astype(str), train, held, NONE)
    learner = Learner(None, torch.from_numpy(X.astype(np.float32)), 48, 0.2, 24, 0.1, 0, CPU)
    [(net, _)] = train_words(learner, book, "class-uniform", [RECIPE], repetitions=[s])
    return net.head.weight.detach().numpy()


def bags_of(words: np.ndarray, K: int) -> TagSets:
    n, m = words.shape
    return embeddings.tag_sets(np.repeat(np.arange(n), m), words.ravel(), K)


@pytest.mark.parametrize("ambiguous", [True, False])
def test_senses_agree_with_meanings_where_two_are_planted_and_not_where_there_is_one_company(ambiguous):
    tables, concentrated = [], []
    for s in range(3):
        world = senses.planted(600, 4, rng(1, s), ambiguous)
        told = embeddings.multi_sense(world.sets, 10, gamma=1.0, seed=s)
        table = senses.separation(world.word, told.seats[world.place], world.meaning, rng(2, s))
        assert len(table) == 4
        tables.append(table)
        concentrated.append(table["one sense"].max())
    found = np.concatenate([t["found"] for t in tables])
    shuffled = np.concatenate([t["shuffled"] for t in tables])
    lead = compare(found, shuffled, rng(3))
    assert max(concentrated) < 0.65, "both meanings must be common, or purity is high by itself"
    if ambiguous:
        assert lead.low > 0.3
    else:
        assert abs(lead.mean) < 0.03


def test_senses_need_company():
    """With one other tag on an image there is nothing to go by; the notebook shows the way in between."""
    world = senses.planted(600, 1, rng(4))
    told = embeddings.multi_sense(world.sets, 10, gamma=1.0)
    table = senses.separation(world.word, told.seats[world.place], world.meaning, rng(5))
    assert (table["found"] - table["shuffled"]).mean() < 0.1


def languages(linked=True, english=1, concepts=30, n=1500):
    """Pictures of one concept each with a word in English or in French, never both.

    Args:
        linked: if not, the French word of a picture belongs to another concept than its features.
        english: synonyms in English for each concept; all are translations of the one French word.

    Returns:
        last-layer vectors, and pairs (English, French).
    """
    draw = rng(6, linked, english)
    concept = draw.integers(0, concepts, n)
    X = draw.normal(size=(concepts, 16))[concept] + 0.7 * draw.normal(size=(n, 16))
    french = concept if linked else draw.integers(0, concepts, n)
    synonym = concept * english + draw.integers(0, english, n)
    first = draw.random(n) < 0.5
    word = np.where(first, synonym, concepts * english + french)
    pairs = np.array(
        [(c * english + e, concepts * english + c) for c in range(concepts) for e in range(english)]
    )
    return last_layer(word[:, None], X, concepts * (english + 1)), pairs


@pytest.mark.parametrize("linked", [True, False])
def test_translations_are_found_where_words_are_on_like_pictures_and_not_where_they_are_not(linked):
    vectors, pairs = languages(linked)
    for both in (pairs, pairs[:, ::-1]):
        ranking = wordvectors.translations(vectors, both)
        lead = compare(ranking.precision(1), ranking.chance, rng(7))
        if linked:
            assert lead.low > 0.3
        else:
            assert lead.low <= 0
            assert lead.mean < 0.1
    best = wordvectors.best_pairs(vectors, pairs, 10)
    right = np.mean([tuple(p) in set(map(tuple, pairs)) for p in best])
    assert right > 0.8 if linked else right < 0.4


def test_the_way_into_the_language_with_more_words_is_harder_only_where_it_has_more_wrong_ones():
    """Half of the English words have no French one; by the paper's rule they are then no candidates."""
    draw = rng(8)
    centres = draw.normal(size=(60, 12))
    english, french = centres, centres[:30] + 0.9 * draw.normal(size=(30, 12))
    vectors = np.vstack([english, french])
    each = {}
    for extra in (True, False):
        candidates = np.arange(60 if extra else 30)
        U = wordvectors.unit(vectors)
        back = (U[60:] @ U[candidates].T).argmax(axis=1) == np.arange(30)
        there = (U[:30] @ U[60:].T).argmax(axis=1) == np.arange(30)
        each[extra] = compare_groups(there, back, rng(9))
    assert each[True].mean > each[False].mean + 0.05
    assert each[False].low <= 0 <= each[False].high
    assert abs(each[False].mean) < 0.05


def test_larger_dictionaries_are_harder_where_the_added_words_are_rare():
    """15 frequent pairs alone and with 105 rare ones; two halves of one dictionary are the control."""
    draw = rng(10)
    centres = draw.normal(size=(120, 8))
    noise = np.where(np.arange(120) < 15, 0.4, 1.5)[:, None]
    vectors = np.vstack([centres, centres + noise * draw.normal(size=(120, 8))])
    pairs = np.stack([np.arange(120), np.arange(120, 240)], axis=1)
    small, whole = (wordvectors.translations(vectors, p).precision(1) for p in (pairs[:15], pairs))
    assert compare_groups(small, whole, rng(11)).low > 0.5
    even = np.vstack([centres, centres + 0.8 * draw.normal(size=(120, 8))])
    halves = (wordvectors.translations(even, pairs[part::2]).precision(1) for part in (0, 1))
    apart = compare_groups(*halves, rng(12))
    assert apart.low <= 0 <= apart.high
    assert abs(apart.mean) < 0.2


def judged(visible=True, written=True, K=40, n=1600):
    """Words with a looks side and a company side, and the similarity that "people" give to pairs of them.

    Args:
        visible: pictures show the words; if not, features are noise.
        written: words that belong together are on one picture; if not, the words of a picture are unrelated.

    Returns:
        last-layer vectors, skip-gram vectors, pairs int (p, 2), scores float (p,): half of a score is whether
        words look alike, half whether they keep company.
    """
    draw = rng(13)
    looks, company = np.arange(K) % 8, np.arange(K) // 5
    first = draw.integers(0, K, n)
    mates = np.array([draw.choice(np.setdiff1d(np.flatnonzero(company == company[w]), w)) for w in first])
    second = mates if written else (first + draw.integers(1, K, n)) % K
    X = draw.normal(size=(8, 16))[looks[first]] * visible + 0.7 * draw.normal(size=(n, 16))
    # a picture shows its first word; the second is company without looks
    ours = last_layer(first[:, None], X, K)
    theirs = embeddings.skip_gram(bags_of(np.column_stack([first, second]), K), 16, 40).vectors
    pairs = np.array([(a, b) for a in range(K) for b in range(a)])
    a, b = pairs.T
    scores = (looks[a] == looks[b]) * 1.0 + (company[a] == company[b]) + 0.1 * draw.normal(size=len(pairs))
    return ours, theirs, pairs, scores


def correlations(ours, theirs, pairs, scores):
    found = {"ours": ours, "word2vec": theirs, "both": wordvectors.together(ours, theirs)}
    cosines = {name: wordvectors.cosines(v, pairs) for name, v in found.items()}
    return wordvectors.correlations(cosines, scores, rng(15))


def test_the_last_layer_orders_pairs_like_people_where_words_are_visible_and_not_where_they_are_not():
    seen, unseen = correlations(*judged()), correlations(*judged(visible=False))
    assert seen.difference("ours", None, rng(17)).low > 0.05
    nothing = unseen.difference("ours", None, rng(17))
    assert nothing.low <= 0
    assert nothing.mean < 0.05


def test_both_together_are_better_only_where_each_knows_something_of_its_own():
    seen, unseen = correlations(*judged()), correlations(*judged(visible=False))
    assert seen.difference("both", "word2vec", rng(17)).low > 0.03
    nothing = unseen.difference("both", "word2vec", rng(17))
    assert nothing.low <= 0
    assert nothing.mean < 0.03


def test_on_par_with_word2vec_where_looks_are_what_people_judge_and_not_where_they_are_hidden():
    for visible in (True, False):
        ours, theirs, pairs, _ = judged(visible, written=not visible)
        a, b = pairs.T
        alike = (a % 8 == b % 8) if visible else (a // 5 == b // 5)
        found = correlations(ours, theirs, pairs, alike + 0.1 * rng(16).normal(size=len(a)))
        apart, margin = found.difference("ours", "word2vec", rng(17)), 0.02
        assert apart.low >= -margin if visible else apart.high < -margin


@pytest.mark.parametrize("together", [True, False])
def test_synonyms_get_similar_vectors_where_they_keep_company_and_not_where_they_do_not(together):
    draw, concepts, n = rng(22, together), 20, 1500
    concept = draw.integers(0, concepts, n)
    other = concept if together else draw.integers(0, concepts, n)
    first, second, _ = draw.permuted(np.tile([0, 1, 2], (n, 1)), axis=1).T  # two of three synonyms
    words = np.column_stack([3 * concept + first, 3 * other + second])
    U = wordvectors.unit(embeddings.ppmi_svd(bags_of(words, 3 * concepts), 20))
    cosine = U @ U.T
    np.fill_diagonal(cosine, 0)
    of = np.arange(3 * concepts) // 3
    synonyms = (cosine * (of[:, None] == of)).sum(axis=1) / 2
    lead = compare(synonyms, cosine.sum(axis=1) / (3 * concepts - 1), rng(23))
    assert lead.low > 0.3 if together else lead.high < 0.1


@pytest.mark.parametrize("visible", [True, False])
def test_analogies_are_answered_where_pictures_show_the_parts_of_words(visible):
    """Word (i, j) is on pictures of part i beside part j; (i, j) is to (i, l) as (k, j) is to (k, l)."""
    draw, side = rng(17, visible), 5
    K, n = side * side, 2500
    word = draw.integers(0, K, n)
    parts = draw.normal(size=(2, side, 16))
    shown = parts[0, word // side] + parts[1, word % side]
    X = shown * visible + 0.4 * draw.normal(size=(n, 16))
    vectors = last_layer(word[:, None], X, K)
    i, j, k, m = draw.integers(0, side, (4, 600))
    kept = (i != k) & (j != m)
    i, j, k, m = i[kept], j[kept], k[kept], m[kept]
    places = np.stack([i * side + j, i * side + m, k * side + j, k * side + m], axis=1)
    right = wordvectors.analogies(vectors, places)
    floor = wordvectors.analogies(draw.normal(size=vectors.shape), places)
    lead = compare(right, floor, rng(18))
    assert lead.low > 0.3 if visible else lead.mean < 0.1


@pytest.mark.parametrize("visible", [True, False])
def test_neighbours_on_the_map_of_words_share_a_topic_where_pictures_show_it(visible):
    draw, K, n = rng(20), 80, 1600
    topic, word = np.arange(K) % 8, draw.integers(0, K, n)
    X = draw.normal(size=(8, 16))[topic[word]] * visible + 0.5 * draw.normal(size=(n, 16))
    vectors = last_layer(word[:, None], X, K)
    spot = TSNE(perplexity=10, random_state=0, init="pca", metric="cosine").fit_transform(vectors)
    gap = ((spot[:, None] - spot[None]) ** 2).sum(axis=2)
    np.fill_diagonal(gap, np.inf)
    same = topic[:, None] == topic
    five = np.take_along_axis(same, np.argsort(gap, axis=1)[:, :5], axis=1).mean(axis=1)
    lead = compare(five, (same.sum(axis=1) - 1) / (K - 1), rng(21))
    assert lead.low > 0.4 if visible else lead.low <= 0 or lead.mean < 0.05


@pytest.mark.parametrize("filed", [True, False])
def test_groups_of_emoji_rank_vectors_that_know_them_and_no_others(filed):
    table = openmoji.catalogue()
    words = np.unique(table["annotation"].str.lower().str.findall("[a-z]{2,}").explode().dropna())[::3]
    pairs = wordsets.emoji_pairs(words, rng(40))
    names = table["annotation"].str.lower().str.findall("[a-z]{2,}")
    draw, groups = rng(41), sorted(table["subgroup"].unique())
    vectors = draw.normal(size=(len(words), len(groups)))
    for k, word in enumerate(words if filed else ()):
        here = table.loc[[word in name for name in names], "subgroup"]
        vectors[k, groups.index(here.mode()[0])] += 5
    rows, places = wordvectors.covered(words, pairs, ["first", "second"])
    found = wordvectors.spearman(wordvectors.cosines(vectors, places), rows["score"].to_numpy())
    assert len(rows) > 100
    assert found > 0.4 if filed else abs(found) < 0.2

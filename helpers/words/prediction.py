"""Predicting the words of a picture (Joulin et al. 2016, sections 3 and 4.1)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import nn

from helpers.errors import BadInput
from helpers.learn import losses
from helpers.learn.learners import FROZEN, Learner
from helpers.learn.train import Recipe
from helpers.measures.metrics import at_k, recall_per_class, top_k
from helpers.words.bags import Bags, Drawn
from helpers.words.tagging import logistic_path, standardised

# of the weights 1 / N_k and 1 / (N − N_k): the paper's; with others, it says, multi-class was ahead, too
WEIGHTINGS = {"one-versus-all": 1.0, "one-versus-all, roots": 0.5, "one-versus-all, plain": 0.0}
DRAWN_AGAINST_ALL = "one-versus-all, class-uniform"
VARIANTS = ("multi-class", *WEIGHTINGS, "natural", "class-uniform", DRAWN_AGAINST_ALL, "in-batch", "ranking")


class Dictionary(NamedTuple):
    """The K most common words, and the items that have one of them."""

    K: int
    bags: Bags  # the words of each of the M items, as numbers in `words`
    words: np.ndarray  # text (K,), most common first
    train: np.ndarray  # int, as the next two: items of each part with at least one word
    held: np.ndarray
    test: np.ndarray


def dictionary(words: pd.DataFrame, K: int, n_items: int, parts: Sequence[np.ndarray]) -> Dictionary:
    """Restrict words (item, word categorical, most common first, distinct pairs: the table of notebook 01) to
    the K most common. `parts` are items to train, validate and test on. BadInput where there are fewer words:
    what is called K must be the number of classes."""
    if K > (known := len(words["word"].cat.categories)):
        raise BadInput(f"a dictionary of {K} words: 01 kept {known}; raise its words_kept, or ask for less")
    names = words["word"].cat.categories.to_numpy(str)[:K]
    code = words["word"].cat.codes.to_numpy(np.int32)
    kept = code < len(names)
    made = Bags.of(words["item"].to_numpy(np.int32)[kept], code[kept], n_items)
    has = np.diff(made.indptr) > 0
    return Dictionary(len(names), made, names, *(part[has[part]] for part in parts))


def word_scores(scores: np.ndarray, truth: Bags) -> tuple[np.ndarray, np.ndarray]:
    """P@10 of each picture, and recall@10 of each word in the rarer half of the dictionary that is asked for,
    from scores float (n, K), K at least 10, and the words of the n pictures, none without a word."""
    K = scores.shape[1]
    recall = recall_per_class(top_k(scores, 10), truth, K)
    return at_k(scores, truth, 10)["precision"].each, recall.each[recall.which >= K // 2]


def train_words(
    learner: Learner, book: Dictionary, variant: str, recipes: Sequence[Recipe], kind: str = FROZEN,
    repetitions: Sequence[int] | None = None, some: np.ndarray | None = None,
) -> list[tuple[nn.Module, list[dict]]]:  # fmt: skip
    """Train networks (of a `kind` of `Learner`), one a recipe, each with its number of the repetition (None:
    0, 0, …), on the words of all training items, or of `some`: each with the weights of the pass with the
    best P@10 on validation items, and its history, whose "validation" is 1 − P@10.

    `variant` is "multi-class" or one of `WEIGHTINGS`, losses over all words of a picture; or the softmax loss
    of one drawn word, with "natural" or "class-uniform" sampling. Class-uniform are also "in-batch", a
    softmax over the words of the batch only, "ranking", `losses.pairwise_ranking`, and "one-versus-all,
    class-uniform": the drawn word is right and all others are wrong. Another one raises BadInput."""
    if variant not in VARIANTS:
        raise BadInput(f"variant {variant!r}: choose one of {', '.join(VARIANTS)}")
    items, repetitions = book.train if some is None else some, repetitions or [0] * len(recipes)
    mine, nets = book.bags.rows(items), [learner.network(kind, book.K, s) for s in repetitions]
    if variant == "multi-class" or variant in WEIGHTINGS:
        given = learner.examples(kind, items, mine.dense(book.K))
        loss = losses.multiclass
        if variant in WEIGHTINGS:
            loss = losses.one_versus_all(mine.counts(book.K), len(items), WEIGHTINGS[variant])
    else:
        sampling = "natural" if variant == "natural" else "class-uniform"
        given = Drawn(learner.examples(kind, items), mine, book.K, sampling)
        against_all = losses.one_versus_all(np.ones(book.K), book.K)  # of K draws one has the word
        others = {"in-batch": losses.in_batch, "ranking": losses.pairwise_ranking}
        loss = (others | {DRAWN_AGAINST_ALL: against_all}).get(variant, losses.one_drawn)
    truth = book.bags.rows(book.held)

    def errors(nets: list[nn.Module]) -> list[float]:
        said = (learner.outputs(kind, net, book.held) for net in nets)
        return [1 - at_k(scores, truth, 10)["precision"].mean for scores in said]

    return list(zip(nets, learner.fit(kind, nets, given, loss, recipes, errors, repetitions), strict=True))


def regress_words(
    learner: Learner, book: Dictionary, strengths: Sequence[float], some: np.ndarray | None = None
) -> list[tuple[np.ndarray, float]]:
    """Logistic regressions on frozen features, one per strength of the penalty, from all training items or
    `some`: of each the scores of the test items, float32 (n, K), and its P@10 on validation items, to choose
    with. The loss is the multi-class one, divided by the mean number of words, so that a penalty means the
    same for every dictionary."""
    items = book.train if some is None else some
    targets = book.bags.rows(items).dense(book.K)
    targets /= targets.sum(axis=1).mean()
    X, truth = learner.frozen.numpy(), book.bags.rows(book.held)
    path = logistic_path(X[items], targets, strengths, device=learner.device)
    found = (at_k(model.scores(X[book.held]), truth, 10)["precision"].mean for model in path)
    return [(model.scores(X[book.test]), value) for model, value in zip(path, found, strict=True)]


def right_labels(
    features: np.ndarray, labels: np.ndarray, parts: Sequence[np.ndarray], penalties: Sequence[float]
) -> np.ndarray:
    """Whether a logistic regression on features names one of an item's labels: float (n,), of the test items
    with a label. It is a probe of learnt features: what the last layer read is asked for what no network was
    trained on. `features` are float32 (M, d), `labels` bool (M, L); parts are items to train on, to choose
    the penalty with, and to test."""
    train, held, test = (part[labels[part].any(axis=1)] for part in parts)
    X, own = standardised(features, train), labels.astype(np.float32)
    path = logistic_path(X[train], own[train] / own[train].sum(axis=1, keepdims=True), penalties)

    def right(model, items: np.ndarray) -> np.ndarray:
        return own[items, model.scores(X[items]).argmax(axis=1)]

    return right(max(path, key=lambda model: right(model, held).mean()), test).astype(np.float64)

"""What notebook 07b claims about its models' parts, its balanced hashtags and its strangers: seen where it is
planted, vanished where it is off. Small crowds whose words are known; each test takes seconds."""

import numpy as np
import pytest
import torch

from helpers.learn.train import Recipe
from helpers.measures import metrics, stats
from helpers.people import conditional as uc
from helpers.people.posts import Posts
from helpers.words.bags import Bags

pytestmark = pytest.mark.controls
CPU = torch.device("cpu")
CONTENTS, PEOPLE = 8, 200


def crowd(say, n=3000, noise=0.2, seed=0):
    """Posts of things by young and old people: features, descriptors (a constant, old ±1, left-handed ±1),
    and posts of two parts, those of strangers last. `say(shown, old, left, rng)` gives the word of each post,
    int (n,), or the words as `Posts` has them."""
    rng = np.random.default_rng(seed)
    u = np.column_stack([np.ones(PEOPLE), *rng.choice([-1, 1], (2, PEOPLE))]).astype(np.float32)
    shown, user = rng.integers(0, CONTENTS, n), rng.integers(0, PEOPLE, n)
    x = np.eye(CONTENTS)[shown] + noise * rng.normal(size=(n, CONTENTS))
    tags = say(shown, u[user, 1] > 0, u[user, 2] > 0, rng)
    posts = Posts(np.arange(n), user, tags if isinstance(tags, tuple) else one_each(tags))
    old, new = (np.flatnonzero((user < PEOPLE // 4) == side) for side in (False, True))
    return x, u, posts.take(old), posts.take(new)


def one_each(tag):
    """Tags of posts that have one each."""
    return np.arange(len(tag) + 1), np.asarray(tag, np.int32)


def fitted(cls, x, u, train, words, seeds=2, epochs=10, d=12, **how):
    """Trained models of one kind."""
    how = how | ({"K": 16} if cls is uc.UserMultiplicative else {})
    models = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        models.append(cls(x, u, words, d, **how))
    recipe = Recipe(epochs=epochs, batch=64, lr=0.02, optimiser="adamw", weight_decay=0.0)
    who, alike = [train.user] * seeds, [recipe] * seeds
    uc.learn(models, train.image, who, train.tags, alike, range(seeds), CPU)
    return models


def hits(models, posts, k=1, image=None):
    """Accuracy@k of each training and post, float (seeds, n)."""
    image = posts.image if image is None else image
    each = [metrics.at_k(m.scores(image, posts.user), posts.tags, k)["accuracy"].each for m in models]
    return np.stack(each)


def lead(a, b, posts):
    return stats.over_users(a - b, posts.user, np.random.default_rng(1))


def gain_of_length_one(lengths):
    """D1b: of the multiplicative model after some epochs, where images' descriptors differ in length (by a
    factor of which the logarithm has this standard deviation), or do not."""
    x, u, train, test = crowd(lambda shown, old, left, rng: (shown + old) % CONTENTS, noise=0.4)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    raw = x * np.exp(lengths * np.random.default_rng(2).normal(size=(len(x), 1)))
    raw = torch.from_numpy((raw / np.linalg.norm(raw, axis=1).mean()).astype(np.float32))
    each = [hits(fitted(uc.UserMultiplicative, of, u, train, CONTENTS, epochs=4), test) for of in (x, raw)]
    return lead(*each, test)


def test_length_one_helps_only_where_lengths_differ():
    assert gain_of_length_one(3.0).low > 0.1
    assert abs(gain_of_length_one(0.0).mean) < 0.01


def gain_of_the_layer(crossed):
    """D1c: words that differ for those who are either old or left-handed, not both; or for the old."""
    x, u, train, test = crowd(
        lambda shown, old, left, rng: (shown + (old ^ left if crossed else old)) % CONTENTS
    )
    each = [
        hits(fitted(uc.UserMultiplicative, x, u, train, CONTENTS, layer=layer), test)
        for layer in (True, False)
    ]
    return lead(*each, test)


def test_the_layer_helps_only_where_attributes_act_together():
    assert gain_of_the_layer(crossed=True).low > 0.1
    assert gain_of_the_layer(crossed=False).mean < 0.03


def gain_of_balls(few):
    """D1f: few posts of which half have a random word, in many dimensions; or many without noise."""

    def say(shown, old, left, rng):
        return np.where(rng.random(len(shown)) < 0.5 * few, rng.integers(0, CONTENTS, len(shown)), shown)

    x, u, train, test = crowd(say, n=1200)
    wide = np.hstack([x, 0.5 * np.random.default_rng(3).normal(size=(len(x), 60))])
    train = train.take(np.arange(300 if few else len(train)))
    each = [
        hits(fitted(uc.Bilinear, wide, u, train, CONTENTS, 4, 30, radius=radius), test)
        for radius in (0.5, np.inf)
    ]
    return lead(*each, test)


def test_balls_help_only_where_there_is_something_to_overfit():
    assert gain_of_balls(few=True).low > 0
    assert gain_of_balls(few=False).mean < 0.02


def balancing(common):
    """D3a, D3b, D5l: three words that stand on most posts whatever they show, kept (natural) and thinned
    (balanced), or words that are no more common than others: how much less two photos share, how much rarer
    the three are among the four best, and how much worse they are recalled."""

    def say(shown, old, left, rng):
        often = rng.random((len(shown), 3)) < (0.6 if common else 0.1)
        rows = [np.append(c, CONTENTS + np.flatnonzero(f)) for c, f in zip(shown, often, strict=True)]
        return np.cumsum([0, *map(len, rows)]), np.concatenate(rows).astype(np.int32)

    x, u, train, test = crowd(say, n=2000)
    post, tag = Bags(*train.tags).owner, train.tags[1]
    kept = (tag < CONTENTS) | (np.random.default_rng(4).random(len(tag)) < (0.1 if common else 1.0))
    rows = np.bincount(post[kept], minlength=len(train))
    thinned = Posts(train.image, train.user, (np.append(0, np.cumsum(rows)), tag[kept]))
    shares, own = [], np.isin(test.tags[1], CONTENTS + np.arange(3))
    for part in (train, thinned):
        tops = [metrics.top_k(m.scores(test.image, test.user), 4)
                for m in fitted(uc.UserMultiplicative, x, u, part, CONTENTS + 3)]  # fmt: skip
        both = [(t[:, :, None] == np.roll(t, 1, axis=0)[:, None]).any(axis=2).mean(axis=1) for t in tops]
        three = [(t >= CONTENTS).mean(axis=1) for t in tops]
        owner, word = Bags(*test.tags).owner[own], test.tags[1][own]
        found = [(t[owner] == word[:, None]).any(axis=1) for t in tops]
        shares.append([np.stack(each).astype(float) for each in (both, three, found)])
    units = test.user, test.user, test.user[owner]
    each = zip(*shares, units, strict=True)
    return [stats.over_users(a - b, of, np.random.default_rng(1)) for a, b, of in each]


def test_balancing_gives_variety_and_costs_common_words_only_where_words_are_common():
    for gain in balancing(common=True):
        assert gain.low > 0.05
    for gain in balancing(common=False):
        assert abs(gain.mean) < 0.03


def relevance(shown_matters):
    """D3c: what exchanging the test images takes, where words are about the image or about nothing."""

    def say(shown, old, left, rng):
        return shown if shown_matters else rng.integers(0, CONTENTS, len(shown))

    x, u, train, test = crowd(say)
    models = fitted(uc.UserMultiplicative, x, u, train, CONTENTS)
    exchanged = np.random.default_rng(5).permutation(test.image)
    return lead(hits(models, test), hits(models, test, image=exchanged), test)


def test_answers_are_about_the_image_only_where_words_are():
    assert relevance(True).low > 0.3
    assert abs(relevance(False).mean) < 0.03


def gains_of_the_product(dealt):
    """D5f, D5k: the multiplicative model against the bilinear one, where the old call a thing by its
    neighbour's word, or nobody's words depend on who it is: recall of the four words that gain most on
    validation posts, on test posts; and how many more words have a better than a worse mean precision."""
    x, u, train, test = crowd(lambda shown, old, left, rng: (shown + old * dealt) % CONTENTS, noise=0.5)
    held, train = train.take(np.arange(400)), train.take(np.arange(400, len(train)))
    two = [fitted(cls, x, u, train, CONTENTS) for cls in (uc.UserMultiplicative, uc.Bilinear)]
    on_held = np.array([hits(models, held).mean(axis=0) for models in two])
    by_word = [np.bincount(held.tags[1], each, CONTENTS) for each in on_held]
    few = np.flatnonzero(np.isin(test.tags[1], np.argsort(by_word[1] - by_word[0])[:4]))
    recalled = lead(*(hits(models, test)[:, few] for models in two), test.take(few))
    truth, counts = np.eye(CONTENTS)[test.tags[1]] > 0, np.ones((1, len(test)), np.int64)
    area = [[metrics.average_precisions(truth, m.scores(test.image, test.user), counts)[0] for m in models]
            for models in two]  # fmt: skip
    return recalled, np.sign(np.array(area[0]) - area[1]).mean()


def test_single_words_gain_from_the_user_only_where_words_depend_on_them():
    recalled, more = gains_of_the_product(dealt=True)
    assert recalled.low > 0.2
    assert more > 0.9
    recalled, more = gains_of_the_product(dealt=False)
    assert recalled.mean < 0.03
    assert more < 0.6


def ease_of_posters(posters):
    """D5m: recall by the bilinear model of two words whose images are nearly the same, minus that of all."""
    x, u, train, test = crowd(lambda shown, old, left, rng: shown, noise=0.8)
    alike = np.concatenate([part.image[part.tags[1] < 2] for part in (train, test)])
    word = np.concatenate([part.tags[1][part.tags[1] < 2] for part in (train, test)])
    if posters:
        x[alike] = np.eye(CONTENTS)[word] + 0.05 * np.random.default_rng(6).normal(size=x[alike].shape)
    each = hits(fitted(uc.Bilinear, x, u, train, CONTENTS), test)
    weight = (test.tags[1] < 2) / (test.tags[1] < 2).mean() - 1
    return stats.over_users(each * weight, test.user, np.random.default_rng(1))


def test_nearly_the_same_images_are_easy_only_where_they_are_the_same():
    assert ease_of_posters(True).low > 0.1
    assert ease_of_posters(False).mean < 0.05


def own_words_win(planted):
    """D7a: the share of strangers' posts in which the word of the own age beats the other's, multiplicative
    minus bilinear; each age has a word of its own, or anybody takes either."""

    def say(shown, old, left, rng):
        age = old if planted else rng.random(len(shown)) < 0.5
        return np.where(rng.random(len(shown)) < 0.4, CONTENTS + age, shown)

    x, u, train, test = crowd(say)
    old, won = u[test.user, 1] > 0, []
    for cls in (uc.UserMultiplicative, uc.Bilinear):
        models = fitted(cls, x, u, train, CONTENTS + 2)
        scores = [m.scores(test.image, test.user)[:, CONTENTS:] for m in models]
        won.append(np.stack([s.argmax(axis=1) == old for s in scores]).astype(float))
    return lead(*won, test)


def test_predictions_move_with_the_asker_only_where_words_do():
    assert own_words_win(True).low > 0.3
    assert own_words_win(False).mean < 0.1

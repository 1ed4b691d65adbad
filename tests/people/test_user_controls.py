"""What notebooks 07 and 07b claim about users: seen where it is planted, vanished where it is off."""

import numpy as np
import pytest
import torch

from helpers.data import load
from helpers.data.collection import label_matrix
from helpers.learn.train import Recipe
from helpers.measures import metrics, stats
from helpers.people import conditional as user_conditional
from helpers.people import descriptors as users
from helpers.people import posts as crowd
from helpers.people import retrieval, user_models
from helpers.people.dialects import dialect_crowd
from helpers.people.user_models import UserTensor
from helpers.words import hashtags

pytestmark = pytest.mark.controls
CPU = torch.device("cpu")
ON = {"attribute_tags": 0.3, "self_expression": 0.3, "synonyms": 1.0, "multilingual": 0.5}
OFF = {"attribute_tags": 0.0, "self_expression": 0.0, "synonyms": 0.0, "multilingual": 0.0, "ambiguous": 0.0,
       "taste_content": 0.0, "taste_style": 0.0, "attribute_taste": 0.0}  # fmt: skip


def network(planted, people, monkeypatch, tmp_path):
    """The crowd, its hashtags, and perfect image features: content and style.

    Mother tongues are part of the simulation and have no switch; so where effects are off, only people who
    write in English alone are kept.
    """
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path))
    made = load("emojigram", posts=1500, users=people, views_per_user=0.0, image_size=16, contents=8,
                spammers=0.0, drawings_per_content=3, spam_tags=0.0, seed=3, **planted)  # fmt: skip
    table = hashtags.keep_hashtags(made.tags, 0).tags
    if planted is OFF:
        speaks = made.truth["people"]
        english = (speaks["language"] == "en") & (speaks["second_language"] == "")
        table = table[table["user"].isin(speaks["user"][english])].reset_index(drop=True)
    shown = [label_matrix(made.labels, kind, len(made.items)) for kind in ("content", "style")]
    return made, table, np.concatenate(shown, axis=1).astype(np.float32)


def vocabulary(table, least=5):
    uses = table["tag"].value_counts()
    return np.array(sorted(uses.index[uses >= least].astype(str)))


def right(scores, posts):
    return metrics.at_k(scores, posts.tags, 3)["accuracy"].each


def gain_of_the_tensor(planted, monkeypatch, tmp_path):
    """Accuracy@3 of the tensor model minus that of the same model without users: an interval over users."""
    _, table, features = network(planted, 80, monkeypatch, tmp_path)
    part = hashtags.split_by_time(table, np.random.default_rng(0), 0.6, 0.0)
    words, known = vocabulary(table[part == "train"]), np.unique(table["user"])
    train, test = (crowd.from_table(table[part == name], words, known) for name in ("train", "test"))
    each = []
    for user, n_users in ((True, len(known)), (False, 1)):
        torch.manual_seed(0)
        model = UserTensor(features, len(words), n_users, 16, 12, 12, constants=True)
        mine = train if user else crowd.Posts(train.image, 0 * train.user, train.tags)
        model.begin(mine)
        recipe = Recipe(epochs=15, batch=64, lr=0.01, optimiser="adamw", weight_decay=0.1)
        user_models.learn([model], [mine], [recipe], [0], CPU, ["softmax"])
        each.append(right(model.tag_scores(test.image, test.user if user else 0 * test.user), test))
    return stats.over_users(each[0] - each[1], test.user, np.random.default_rng(1))


def test_with_planted_habits_the_tensor_beats_the_model_without_users(monkeypatch, tmp_path):
    assert gain_of_the_tensor(ON, monkeypatch, tmp_path).low > 0.05


def test_without_habits_knowing_the_user_gains_nothing(monkeypatch, tmp_path):
    gain = gain_of_the_tensor(OFF, monkeypatch, tmp_path)
    assert gain.low <= 0
    assert gain.mean < 0.05


def gain_of_the_description(planted, model, monkeypatch, tmp_path):
    """Accuracy@3 among strangers of a model with their description minus the bilinear one."""
    made, table, x = network(planted, 500, monkeypatch, tmp_path)
    u = users.descriptors(made.users, users.top_groups(made.users))
    everyone = np.arange(len(u))
    posts = np.bincount(table.drop_duplicates(["user", "item"])["user"], minlength=len(u))
    held = users.split_users(posts, 0.3, np.random.default_rng(0))[table["user"]]
    words = vocabulary(table[~held])
    train, test = (crowd.from_table(table[rows], words, everyone) for rows in (~held, held))
    each = []
    for cls in (model, user_conditional.Bilinear):
        rank, some = {"K": 24} if cls is user_conditional.UserMultiplicative else {}, []
        for seed in range(4):
            torch.manual_seed(seed)
            some.append(cls(x, u, len(words), 16, **rank))
        recipe = Recipe(epochs=8, batch=64, lr=0.02, optimiser="adamw", weight_decay=0.0)
        given = train.image, [train.user] * 4, train.tags
        user_conditional.learn(some, *given, [recipe] * 4, range(4), CPU)
        each.append(np.mean([right(model.scores(test.image, test.user), test) for model in some], axis=0))
    return stats.over_users(each[0] - each[1], test.user, np.random.default_rng(1))


MODELS = [user_conditional.UserBiased, user_conditional.UserMultiplicative]


@pytest.mark.parametrize("model", MODELS)
def test_with_planted_attributes_a_description_helps_with_strangers(model, monkeypatch, tmp_path):
    planted = {**ON, "attribute_tags": 0.6, "self_expression": 0.0}
    assert gain_of_the_description(planted, model, monkeypatch, tmp_path).low > 0.03


@pytest.mark.parametrize("model", MODELS)
def test_without_attributes_a_description_gains_nothing(model, monkeypatch, tmp_path):
    gain = gain_of_the_description(OFF, model, monkeypatch, tmp_path)
    assert gain.low <= 0
    assert gain.mean < 0.05


def trained(cls, features, train, K, people, E=12, loss="softmax", **how):
    """A model of the crowd after some epochs; with one person, the user-agnostic one."""
    torch.manual_seed(0)
    model = cls(features, K, people, 12, 10, E, **how)
    mine = train if people > 1 else nobody(train)
    model.begin(mine)
    recipe = Recipe(epochs=8, batch=64, lr=0.02, optimiser="adamw", weight_decay=0.1)
    user_models.learn([model], [mine], [recipe], [0], CPU, [loss])
    return model


def nobody(posts):
    return crowd.Posts(posts.image, 0 * posts.user, posts.tags)


def lead(test, K, first, second):
    """Accuracy@1 of one model minus that of another: an interval over users."""
    each = [crowd.hits(model.scores, test, K, (1,))[0] for model in (first, second)]
    return stats.over_users(each[0] - each[1], test.user, np.random.default_rng(1))


def lead_of_the_tensor(dialects, rival, **how):
    """Accuracy@1 of the tensor minus that of a model without products of three."""
    features, train, test, *_ = dialect_crowd(dialects, np.random.default_rng(0))
    tensor = trained(UserTensor, features, train, 16, 60, constants=True)
    return lead(test, 16, tensor, trained(rival, features, train, 16, 60, **how))


@pytest.mark.parametrize(
    ("rival", "how"), [(user_models.UserPairs, {}), (user_models.UserMLP, {"hidden": 64})]
)
def test_the_tensor_beats_its_rivals_only_where_a_word_takes_image_and_user(rival, how):
    assert lead_of_the_tensor(4, rival, **how).low > 0.1
    assert abs(lead_of_the_tensor(1, rival, **how).mean) < 0.03


def lead_of_many_numbers(dialects):
    """Accuracy@1 of the tensor with twelve numbers a user minus that with three."""
    features, train, test, *_ = dialect_crowd(dialects, np.random.default_rng(0), favourites=0.0)
    return lead(test, 16, *(trained(UserTensor, features, train, 16, 60, E, constants=True) for E in (12, 3)))


def test_many_numbers_a_user_are_needed_only_where_users_differ_in_many_ways():
    assert lead_of_many_numbers(dialects=8).low > 0.2
    assert abs(lead_of_many_numbers(dialects=1).mean) < 0.03


def lead_of_hard_negatives(things, noise):
    """Accuracy@1 of the ranking loss minus that with six random negatives; a word a thing."""
    rng = np.random.default_rng(0)
    shown, user = rng.integers(0, things, 3000), rng.integers(0, 20, 3000)
    features = rng.normal(size=(things, 8))[shown] + noise * rng.normal(size=(3000, 8))
    posts = crowd.Posts(np.arange(3000), user, (np.arange(3001), shown.astype(np.int32)))
    train, test = posts.take(np.arange(2000)), posts.take(np.arange(2000, 3000))
    given = user_models.standard(features), train, things, 20
    losses = ("ranking", "random negatives")
    return lead(test, things, *(trained(UserTensor, *given, loss=loss, constants=True) for loss in losses))


def test_hard_negatives_are_needed_only_where_few_of_many_words_are_hard_to_tell_apart():
    assert lead_of_hard_negatives(things=64, noise=0.2).low > 0.05
    assert abs(lead_of_hard_negatives(things=2, noise=0.8).mean) < 0.03


def lead_over_the_logistic_loss(favourites):
    """Accuracy@1 of the ranking loss minus that of a logistic loss a triplet."""
    features, train, test, *_ = dialect_crowd(1, np.random.default_rng(0), favourites)
    losses = ("ranking", "logistic")
    each = (trained(UserTensor, features, train, 16, 60, loss=loss, constants=True) for loss in losses)
    return lead(test, 16, *each)


def test_the_ranking_loss_suits_better_only_where_words_that_fit_are_left_out():
    """The paper's reason: an unobserved triplet need not be wrong, as where a favourite is written."""
    assert lead_over_the_logistic_loss(favourites=0.2).low > 0.01
    assert abs(lead_over_the_logistic_loss(favourites=0.0).mean) < 0.01


def finds_more(dialects):
    """What the tensor finds more of than the model without users: own images, those of the own meaning."""
    features, train, test, shown, means = dialect_crowd(dialects, np.random.default_rng(0))
    own, meant = [], []
    everyone = np.repeat(np.arange(60), 8)
    word, things = np.tile(np.arange(8), 60), shown[test.image]
    mine = things == means[everyone, word][:, None]
    for people in (60, 1):
        model = trained(UserTensor, features, train, 16, people, constants=True)

        def score(tag, user, model=model, people=people):
            return model.image_scores(tag, user if people > 1 else 0 * user, test.image)

        found, who = retrieval.own_images(score, test, 16)
        own.append(found)
        meant.append(retrieval.own_meaning(score(word, everyone), mine, np.ones_like(mine)))
    return [
        stats.over_users(a - b, user, np.random.default_rng(1))
        for (a, b), user in ((own, who), (meant, everyone))
    ]


def test_retrieval_knows_the_user_only_where_a_word_means_different_things():
    own, meant = finds_more(dialects=4)
    assert own.low > 0
    assert meant.low > 0.2
    own, meant = finds_more(dialects=1)
    assert own.mean < 0.03
    assert abs(meant.mean) < 0.03


def gain_by_past(habits):
    """How much more users with 40 training posts gain in accuracy@1 from the tensor than users with one. Each
    thing has two words; of these a user keeps to one, or, without habits, takes any."""
    rng = np.random.default_rng(0)
    people, K = 160, 16
    past = np.where(np.arange(people) < 60, 40, 1)
    user = np.concatenate([np.repeat(np.arange(people), past), np.repeat(np.arange(people), 6)])
    n, first = len(user), past.sum()
    shown, own = rng.integers(0, 8, n), rng.integers(0, 2, (people, 8))
    second = own[user, shown] if habits else rng.integers(0, 2, n)
    features = user_models.standard(np.eye(8)[shown] + 0.2 * rng.normal(size=(n, 8)))
    posts = crowd.Posts(np.arange(n), user, (np.arange(n + 1), (shown + 8 * second).astype(np.int32)))
    train, test = posts.take(np.arange(first)), posts.take(np.arange(first, n))
    tensor = trained(UserTensor, features, train, K, people, constants=True)
    agnostic = trained(UserTensor, features, train, K, 1, constants=True)
    gain = crowd.hits(tensor.scores, test, K, (1,))[0]
    gain = gain - crowd.hits(agnostic.scores, nobody(test), K, (1,))[0]
    of_user = np.bincount(test.user, gain) / np.bincount(test.user)
    return stats.compare_groups(of_user[past == 40], of_user[past == 1], np.random.default_rng(1))


def test_users_with_many_posts_gain_more_only_where_they_have_habits():
    assert gain_by_past(habits=True).low > 0.05
    without = gain_by_past(habits=False)
    assert without.low <= 0
    assert abs(without.mean) < 0.1


def share_of_the_own_language(by_user):
    """What tensor and two-way terms gain over the model without users, in a crowd of two languages, where a
    language belongs to the user, or is drawn anew for each post: the own word above the other's for the same
    thing, and the share of the own language among the eight best tags."""
    rng = np.random.default_rng(0)
    n, people, K = 3000, 60, 16
    shown, user = rng.integers(0, 8, n), rng.integers(0, people, n)
    spoken = user % 2 if by_user else rng.integers(0, 2, n)
    features = user_models.standard(np.eye(8)[shown] + 0.2 * rng.normal(size=(n, 8)))
    posts = crowd.Posts(np.arange(n), user, (np.arange(n + 1), (8 * spoken + shown).astype(np.int32)))
    train, test = posts.take(np.arange(2000)), posts.take(np.arange(2000, n))
    things, languages = np.arange(K) % 8, np.arange(K) // 8
    same = things == shown[test.image][:, None]
    mine = languages == (test.user % 2)[:, None]
    found = []
    for cls, number in ((UserTensor, people), (user_models.UserPairs, people), (user_models.UserPairs, 1)):
        model = trained(cls, features, train, K, number, **({"constants": True} if cls is UserTensor else {}))
        scores = model.scores(test if number > 1 else nobody(test))
        language = retrieval.own_meaning(scores, mine, np.ones_like(mine), 8)
        found.append((retrieval.better(scores, same & mine, same & ~mine), language))
    return [
        [stats.over_users(each[k] - found[2][k], test.user, np.random.default_rng(1)) for k in range(2)]
        for each in found[:2]
    ]


def test_synonyms_and_languages_follow_the_user_and_a_sum_is_enough_for_them():
    for word, language in share_of_the_own_language(by_user=True):  # the tensor, and two-way terms
        assert word.low > 0.3
        assert language.low > 0.1
    for word, language in share_of_the_own_language(by_user=False):
        assert abs(word.mean) < 0.1
        assert abs(language.mean) < 0.05


def place_and_category(by_user):
    """What the tensor gains over the model without users where a post has a word for a city, and one for the
    finer of two kinds, of which the picture shows the coarser; both are the user's, or are drawn anew."""
    rng = np.random.default_rng(0)
    group, user, K = rng.integers(0, 4, 3000), rng.integers(0, 60, 3000), 12
    who = user if by_user else rng.integers(0, 60, 3000)
    tags = np.stack([2 * group + who % 2, 8 + who // 2 % 4], axis=1)
    features = user_models.standard(np.eye(4)[group] + 0.2 * rng.normal(size=(3000, 4)))
    posts = crowd.Posts(np.arange(3000), user, (2 * np.arange(3001), tags.ravel().astype(np.int32)))
    train, test = posts.take(np.arange(2000)), posts.take(np.arange(2000, 3000))
    there = (np.arange(K) == tags[2000:, :, None]).any(axis=1)
    cities = np.tile(np.arange(K) >= 8, (len(test), 1))
    alike = ~cities & (np.arange(K) // 2 == group[2000:, None])
    each = []
    for people in (60, 1):
        model = trained(UserTensor, features, train, K, people, constants=True)
        scores = model.scores(test if people > 1 else nobody(test))
        each.append([retrieval.better(scores, there & some, ~there & some) for some in (cities, alike)])
    return [stats.over_users(a - b, test.user, np.random.default_rng(1)) for a, b in zip(*each, strict=True)]


def test_places_and_finer_categories_follow_the_user_only_where_they_are_the_users():
    assert all(gain.low > 0.2 for gain in place_and_category(by_user=True))
    assert all(abs(gain.mean) < 0.05 for gain in place_and_category(by_user=False))


def lead_of_attention(favourites):
    """Accuracy@1 of attention over the user's past tags minus that of the model without users."""
    features, train, test, *_ = dialect_crowd(1, np.random.default_rng(0), favourites)
    attention = trained(user_models.UserAttention, features, train, 16, 60)
    agnostic = trained(user_models.UserPairs, features, train, 16, 1)
    gain = crowd.hits(attention.scores, test, 16, (1,))[0]
    gain = gain - crowd.hits(agnostic.scores, nobody(test), 16, (1,))[0]
    return stats.over_users(gain, test.user, np.random.default_rng(1))


def test_attention_to_past_tags_helps_only_where_people_repeat_themselves():
    assert lead_of_attention(favourites=0.6).low > 0.1
    assert lead_of_attention(favourites=0.0).mean < 0.03


def lead_of_the_product(dealt):
    """Accuracy@1 among strangers of the multiplicative minus the biased model. Old people call a thing by its
    neighbour's word if the words are dealt, else they have a word of their own that fits any image."""
    rng = np.random.default_rng(0)
    n, contents, people, strangers = 4000, 8, 400, 100
    old = rng.random(people) < 0.5
    u = np.stack([old, rng.random(people), rng.random(people)], axis=1).astype(np.float32)
    shown, user = rng.integers(0, contents, n), rng.integers(0, people, n)
    x = np.eye(contents)[shown] + 0.2 * rng.normal(size=(n, contents))
    own = np.where(rng.random(n) < 0.4, contents + old[user], shown)
    tag = ((shown + old[user]) % contents if dealt else own).astype(np.int32)
    posts = crowd.Posts(np.arange(n), user, (np.arange(n + 1), tag))
    train, test = (posts.take(np.flatnonzero((user < strangers) == side)) for side in (False, True))
    hits = []
    for cls, how in ((user_conditional.UserMultiplicative, {"K": 24}), (user_conditional.UserBiased, {})):
        torch.manual_seed(0)
        model = cls(x, u, contents + 2, 16, **how)
        recipe = Recipe(epochs=12, batch=64, lr=0.02, optimiser="adamw", weight_decay=0.0)
        user_conditional.learn([model], train.image, [train.user], train.tags, [recipe], [0], CPU)
        scores = model.scores(test.image, test.user)
        hits.append(metrics.at_k(scores, test.tags, 1)["accuracy"].each)
    return stats.over_users(hits[0] - hits[1], test.user, np.random.default_rng(1))


def test_the_product_beats_the_sum_only_where_a_word_takes_image_and_user():
    assert lead_of_the_product(dealt=True).low > 0.2
    assert abs(lead_of_the_product(dealt=False).mean) < 0.05

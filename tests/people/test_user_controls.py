"""What notebooks 07 and 07b claim about users: seen where it is planted, vanished where it is off."""

import numpy as np
import pytest
import torch

from helpers.data import load
from helpers.data.collection import label_matrix
from helpers.learn.train import Recipe
from helpers.measures import metrics
from helpers.people import conditional as user_conditional
from helpers.people import descriptors as users
from helpers.people import posts as crowd
from helpers.people import user_models
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
        user_models.learn([model], [mine], [recipe], [0], CPU, loss="softmax")
        each.append(right(model.tag_scores(test.image, test.user if user else 0 * test.user), test))
    return crowd.over_users(each[0] - each[1], test.user, np.random.default_rng(1))


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
    return crowd.over_users(each[0] - each[1], test.user, np.random.default_rng(1))


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

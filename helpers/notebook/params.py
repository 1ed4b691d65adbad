"""What each parameter of a notebook means and may be: one table for all notebooks.

A new parameter is one line in `RULES`. Its type is the annotation in the notebook's parameters cell; the
rule adds the range and says in a few words what it is. For a list, the rule holds for every element.
How values are checked: `helpers.notebook.validation`.
"""

from dataclasses import dataclass

from helpers.data.collection import PARTS
from helpers.data.emojigram.settings import Settings


@dataclass(frozen=True)
class Rule:
    """What a value may be. `None` in a bound means that there is no such bound."""

    meaning: str
    least: float | None = None  # the smallest allowed value
    above: float | None = None  # values must be larger than this
    most: float | None = None  # the largest allowed value
    choices: tuple[str, ...] | None = None

    def complaint(self, value) -> str | None:
        """What is wrong with one scalar, as "must be at least 1", or None."""
        if self.choices is not None and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if self.least is not None and value < self.least:
            return f"must be at least {self.least:g}"
        if self.above is not None and value <= self.above:
            return f"must be more than {self.above:g}"
        if self.most is not None and value > self.most:
            return f"must be at most {self.most:g}"
        return None


def anything(meaning: str) -> Rule:
    return Rule(meaning)


def one_of(*choices: str, meaning: str) -> Rule:
    return Rule(meaning, choices=choices)


def count(meaning: str, least: int = 1) -> Rule:
    """A whole number of things."""
    return Rule(meaning, least=least)


def positive(meaning: str) -> Rule:
    return Rule(meaning, above=0)


def not_negative(meaning: str) -> Rule:
    return Rule(meaning, least=0)


def share(meaning: str) -> Rule:
    """From 0 to 1."""
    return Rule(meaning, least=0, most=1)


RULES = {
    # every notebook
    "profile": anything("name of the folder under outputs"),
    "seed": Rule("decides every random draw", least=0, most=2**32 - 1),
    "seeds": count("how many repetitions the spread is computed from"),
    "device": anything("auto, cpu, cuda, cuda:1 or mps"),
    "workers": count("processes that load images; 0 loads them in the notebook", least=0),
    "threads": count("threads of the lock-free variants"),
    # 00 the data
    "dataset": one_of("emojigram", "openmoji", "movielens", meaning="which collection to load"),
    "data_dir": anything("folder of downloaded files; empty for data that come with the project"),
    "leave_out": one_of(*PARTS, meaning="parts of the data to take away"),
    "leave_out_unreadable": anything("whether to go on without pictures that cannot be read"),
    # the simulated network's options bring their own meanings and ranges
    **{name: Rule(**limits) for name, limits in Settings.bounds().items() if name != "seed"},
    # 01 filtering
    "min_views": count("items and users with fewer views are dropped"),
    "max_views": count("items and users with more views are dropped"),
    "test_share": share("share of items held out as te"),
    "hashtags_dropped": count("the most frequent hashtags, dropped", least=0),
    "hashtags_kept": count("size of the hashtag set H"),
    "max_tags_per_image": positive("users with more tags per image on average are spammers"),
    "train_share": share("a user's first images, for training"),
    "validation_share": share("share of the later images that is for validation, not for testing"),
    "words_dropped": count("the most common words, dropped", least=0),
    "words_kept": count("K: size of the dictionary"),
    "test_users_share": share("share of images whose users are held out for testing"),
    # 02 sampling
    "ratio": not_negative("negatives for each positive"),
    "weights": one_of(
        "uniform",
        "log",
        "log1p",
        "linear",
        meaning="how an item's popularity counts when negatives are drawn",
    ),
    "draws": count("size of the samples that are compared with a distribution", least=1000),
    "tag_cap": positive("occurrences that a frequent hashtag keeps in the balanced set"),
    # networks
    "epochs": count("passes over the training data"),
    "batch": count("examples in a gradient step"),
    "lr": positive("learning rate"),
    "momentum": share("momentum of SGD"),
    "weight_decay": not_negative("weight decay of the optimiser"),
    "dropout": share("share of units dropped"),
    "hidden": count("units of a hidden layer"),
    "resolution": count("side in pixels of the pictures that the ImageNet network sees", least=32),
    # classes
    "class_least": count("items that a class must have", least=4),
    # 03 factors
    "d": count("latent size"),
    "d_grid": count("latent sizes to choose from"),
    "lam": not_negative("weight λ of the penalty"),
    "lam_grid": not_negative("weights λ to choose from"),
    "entries_share": share("share of the known entries of V for training"),
    "copies": count("how often the crowd is repeated where time is measured"),
    "interactions_held": share("share of the views held out for AUC"),
    "trials": count("settings that each recommender may try"),
    "cf_epochs": count("passes of a recommender over the views, at most"),
    "f": count("width of the item vectors Q"),
    "items_held": share("share of items held out in notebook 08"),
    # 04 neighbours
    "k": count("neighbours that count"),
    "ranks": count("neighbours in the curves by rank"),
    "map_items": count("pictures on a two-dimensional map", least=5),
    "perplexity": positive("of t-SNE: about the number of neighbours that a point attends to"),
    # 05 pseudo classes
    "class_grid": count("numbers K of pseudo classes to choose from", least=2),
    "held_share": share("share of tr that is held out to choose with"),
    "crop": count("side in pixels of the crops that a network sees", least=24),
    "width": positive("channels of a network, as a share of the original's"),
    "optimiser": one_of("sgd", "adamw", meaning="how weights follow gradients"),
    "search_epochs": count("passes of each trial while a setting is chosen"),
    "lr_grid": positive("learning rates to choose from"),
    "pretrained": anything("a network trained on ImageNet: efficientnet-lite0, or one of torchvision"),
    "resolutions": count("sides in pixels to choose from for the network trained on ImageNet", least=32),
    # 06 hashtag models
    "layer": anything("which layer of the ImageNet network is the feature"),
    "network": one_of(
        "frozen", "alexnet", "googlenet", "resnet", meaning="what learns from hashtags: a layer, or all"
    ),
    "tags_kept": count("size of the hashtag set H that is predicted", least=10),
    "units": count("size of the learned layer"),
    "decay_grid": not_negative("weight decays to choose from"),
    "strengths": positive("C of a linear classifier to choose from: small is a strong penalty"),
    "dictionary_sizes": count("numbers K of words that are predicted", least=10),
    "end_to_end": one_of("alexnet", "googlenet", "resnet", meaning="a network that is trained from scratch"),
    "word_epochs": count("passes over the items with words"),
    "network_dropout": share("share of units that these networks drop while they learn"),
    "network_lr": positive("learning rate of the networks that are trained from scratch"),
    "network_epochs": count("passes of the networks that are trained from scratch"),
    "least_epochs": count("passes that a learning rate is kept at least"),
    "train_shares": Rule("parts of the training pictures, for curves", above=0, most=1),
    "softmax_classes": count("numbers of classes that a softmax is timed with", least=100),
    # 06b word embeddings
    "skip_gram_epochs": count("passes of skip-gram over the bags of words"),
    "sense_d": count("numbers of a sense vector"),
    "max_senses": count("senses of a tag, at most"),
    "gamma": positive("γ of the Chinese restaurant: how easily a new sense is opened"),
    "sense_epochs": count("passes of multi-sense skip-gram over the images"),
    "least_pairs": count("pairs or questions that a test of vectors needs", least=5),
    "map_words": count("words on the map", least=20),
    # 09 benchmarks
    "sets": one_of(
        "digits",
        "papers",
        "flickr_style",
        "wikipaintings",
        "ava_style",
        "caltech256",
        "indoor67",
        "sun397",
        "stanford40",
        "flowers102",
        "sports8",
        "voc2007",
        "imagenet",
        meaning="sets beside the collection's own: digits, sets of data_dir by name, or papers for all",
    ),
    "repeats": count("repetitions of each probe", least=2),
    "probe_share": share("share of the items that a repetition tests"),
    "set_items": count("items of a set, at most", least=60),
    "curve_shares": positive("shares of its training pictures that the feature learner gets"),
    "curve_words": count("size of the feature learner's dictionary", least=2),
    "sweeps": count("sweeps of the feature learner, each as long as one pass over all its pictures"),
    # 07 user models
    "D": count("size of hashtag embeddings", least=2),
    "F": count("size of image embeddings", least=2),
    "E": count("size of user embeddings", least=2),
    "e_grid": count("sizes of user embeddings to compare", least=2),
    "mlp_epochs": count("passes of the perceptron"),
    "prior_grid": not_negative("bonuses for frequent tags to choose from"),
    "penalties": positive("penalties of the logistic regressions to choose from"),
    "post_shares": Rule("parts of the training posts, for a curve", above=0, most=1),
    "image_side": count("side in pixels of the pictures that the ImageNet network sees", least=32),
    "least_uses": count("hashtags with fewer training posts are left out"),
    "rank_grid": count("ranks K of the multiplicative model to choose from"),
    "radius": positive("rows of V and P are kept inside a ball of this radius"),
    "margin": positive("margin of WARP"),
    "most_draws": count("negatives that WARP tries at most"),
    "users_left_out": share("share of users who are hidden in training, for one experiment"),
    # 08 multitask
    "label_kind": anything(
        "kind of labels to classify by; empty takes genre, content or group, whichever is there"
    ),
    "alpha_grid": positive("weights α of the second task to choose from"),
    "cap_grid": share("Ω as a quantile of the confidence ω, to choose from"),
    "tau_grid": not_negative("margins τ of the triplet loss to choose from"),
    "dropout_grid": share("shares of dropped units to choose from"),
    "label_ratios": Rule("shares of the training labels that are kept", above=0, most=1),
    "ratio_seeds": count("trainings for each share of labels", least=2),
    "finetune_epochs": count("passes that train the pretrained network too; 0 leaves it frozen", least=0),
    "finetune_seeds": count("trainings of each fine-tuned method", least=2),
}

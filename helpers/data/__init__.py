"""Datasets, all in one shape: `load(name, **options) -> Collection`."""

from helpers.data.collection import Collection
from helpers.errors import BadInput

NAMES = ("emojigram", "openmoji", "movielens")

__all__ = ["NAMES", "BadInput", "Collection", "load"]


def load(name: str, **options) -> Collection:
    """Load or generate a dataset.

    Args:
        name: one of `NAMES`.
        options: the dataset's own; see `emojigram.network.generate`, `openmoji.load`, `movielens.load`.

    Raises:
        BadInput: unknown name or option, or input that cannot be read.
    """
    # imported here because each reader brings its own heavy packages
    if name == "emojigram":
        from helpers.data.emojigram.network import generate as reader
    elif name == "openmoji":
        from helpers.data.openmoji import load as reader
    elif name == "movielens":
        from helpers.data.movielens import load as reader
    else:
        raise BadInput(f"dataset {name!r} is unknown; choose one of {', '.join(NAMES)}")
    return reader(**options)

"""Datasets, all in one shape: `load(name, **options) -> Collection`."""

import inspect

from helpers import paths
from helpers.data.collection import Collection
from helpers.errors import BadInput

NAMES = ("emojigram", "openmoji", "movielens")

__all__ = ["NAMES", "BadInput", "Collection", "load"]


def load(name: str, data_dir: str | paths.Path = "", **options) -> Collection:
    """Load or generate one of the datasets `NAMES`.

    `data_dir` is where downloaded files lie, default `helpers.paths.data()`; emojigram and openmoji come with
    the project and need none. The options are the dataset's own; see `emojigram.network.generate`,
    `openmoji.load`, `movielens.load`. Raises BadInput: unknown name or option, or input that cannot be read.
    """
    # imported here because each reader brings its own heavy packages
    if name == "emojigram":
        from helpers.data.emojigram.network import generate as reader
    elif name == "openmoji":
        from helpers.data.openmoji import load as reader
    elif name == "movielens":
        from helpers.data.movielens import load as reader

        options["data_dir"] = data_dir or paths.data()
    else:
        raise BadInput(f"dataset {name!r} is unknown; choose one of {', '.join(NAMES)}")
    known = inspect.signature(reader)
    try:
        known.bind(**options)
    except TypeError as error:
        raise BadInput(f"{name}: {error}; options are {', '.join(known.parameters)}") from None
    return reader(**options)

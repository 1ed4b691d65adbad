"""Datasets, all in one shape: `load(name, **options) -> Collection`."""

import inspect
from collections.abc import Callable, Mapping
from pkgutil import resolve_name

from helpers import paths
from helpers.data.collection import Collection
from helpers.errors import BadInput

# named and not imported, because each reader brings its own heavy packages
READERS = {
    "emojigram": "helpers.data.emojigram.network:generate",
    "openmoji": "helpers.data.openmoji:load",
    "movielens": "helpers.data.movielens:load",
    "own": "helpers.data.own:load",
}

__all__ = ["READERS", "BadInput", "Collection", "load", "options_of"]


def load(name: str, **options) -> Collection:
    """Load or generate one of the datasets `READERS`, with options of its reader (see its docstring).

    `data_dir`, where a reader has it, is the folder of downloaded files, by default `helpers.paths.data()`.
    Raises BadInput: unknown name or option, or input that cannot be read.
    """
    reader = _reader(name)
    known = inspect.signature(reader)
    if "data_dir" in known.parameters:
        options["data_dir"] = options.get("data_dir") or paths.data()
    try:
        known.bind(**options)
    except TypeError as error:
        raise BadInput(f"{name}: {error}; options are {', '.join(known.parameters)}") from None
    return reader(**options)


def options_of(name: str, values: Mapping[str, object]) -> dict[str, object]:
    """Those of the values that are options of a dataset; raises BadInput as `load` does."""
    return {
        option: values[option] for option in inspect.signature(_reader(name)).parameters if option in values
    }


def _reader(name: str) -> Callable[..., Collection]:
    if name not in READERS:
        raise BadInput(f"dataset {name!r} is unknown; choose one of {', '.join(READERS)}")
    return resolve_name(READERS[name])

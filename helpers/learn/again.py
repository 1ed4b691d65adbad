"""What a training is made of, written as names, numbers and arrays, from which it can be made again.

No code is stored and none is evaluated: a name is looked up in `KINDS`, where only what is decorated stands.
"""

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.data.images import ImageStore
from helpers.errors import BadInput

# name -> a loss, or what makes a network, examples, a loss
KINDS: dict[str, Callable] = {
    f.__name__: f for f in (F.cross_entropy, F.mse_loss, F.binary_cross_entropy_with_logits)
}
_asking = ContextVar("asking", default=False)


def known(kind):
    """Decorator of a loss, a data class or a named tuple: it may be written, as its name and its fields.
    ValueError if something of another module has that name."""
    there = KINDS.setdefault(kind.__name__, kind)
    if there.__module__ != kind.__module__:
        raise ValueError(f"{kind.__module__} and {there.__module__} both have a {kind.__name__}")
    KINDS[kind.__name__] = kind
    return kind


def remembered(make):
    """Decorator of a class, or of a function that returns a loss or a network: what it makes may be written,
    as the name and the arguments, which are kept in its `made_of`."""
    begin = make.__init__ if isinstance(make, type) else make
    signature = inspect.signature(begin)

    @functools.wraps(begin)
    def beginning(*args, **options):
        result, arguments = begin(*args, **options), dict(signature.bind(*args, **options).arguments)
        made = arguments.pop("self") if result is None else result
        made.made_of = make.__name__, arguments  # of a subclass the outermost call, which ends last
        return result

    if isinstance(make, type):
        make.__init__ = beginning
        return known(make)
    return known(beginning)


class Training(NamedTuple):
    """What `train.fit` is given."""

    network: nn.Module  # before training
    examples: Any
    loss: Callable[[Tensor, Tensor], Tensor]
    recipe: Any  # a `train.Recipe`
    seed: int
    after_step: Callable[[], None] | None  # the network's `project`


class _Told(Exception):
    """Carries a training, and the seed of torch's generator, out of the call that would have done it."""


def tell(*training) -> None:
    """`train.fit` begins with this: where `written` asks for a training, none is done."""
    if _asking.get():
        raise _Told(Training(*training), torch.initial_seed())


def written(call: Callable[[], object], arrays: dict[str, np.ndarray]) -> dict:
    """The first training that `call` would do, as JSON; its arrays are added to `arrays`, by their digests.

    A network's first weights are among them only where its arguments and the last seed of torch's generator
    do not give them. BadInput: nothing would be trained, or a part is not of `KINDS`."""
    asking = _asking.set(True)
    try:
        with torch.random.fork_rng(devices=[]):
            call()
        raise BadInput("what should be written as a training trains nothing")
    except _Told as told:
        training, drawn = told.args
    finally:
        _asking.reset(asking)
    network = training.network
    if training.after_step not in (None, getattr(network, "project", None)):
        raise BadInput("after_step of a training that is written must be the network's project")
    parts = ("network", "examples", "loss", "recipe", "seed")
    about = {part: _tree(getattr(training, part), arrays) for part in parts}
    about |= {"drawn": drawn, "project": training.after_step is not None}
    first = _network(about, arrays).state_dict()
    weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    if any(not torch.equal(first[name], tensor) for name, tensor in weights.items()):
        about["weights"] = {name: _tree(tensor, arrays) for name, tensor in weights.items()}
    return about


def made(about: Mapping, arrays: Mapping[str, np.ndarray], images: ImageStore, device) -> Training:
    """The training that was `written`, with these images in the place of those that it had.

    BadInput: the images are others, or something is not of `KINDS`."""
    network = _network(about, arrays)
    given = {"images": images, "device": device}
    parts = (_whole(about[name], arrays, given) for name in ("examples", "loss", "recipe", "seed"))
    return Training(network, *parts, network.project if about["project"] else None)


def _network(about: Mapping, arrays: Mapping[str, np.ndarray]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(about["drawn"])
        network = _whole(about["network"], arrays, {})
    if about["project"]:
        network.project()
    if "weights" in about:
        network.load_state_dict({name: _whole(tree, arrays, {}) for name, tree in about["weights"].items()})
    return network


def _tree(value, arrays: dict[str, np.ndarray]):
    """A value as JSON; its arrays are added to `arrays`."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, Tensor)):
        tensor = isinstance(value, Tensor)
        plain = np.ascontiguousarray(value.detach().cpu().numpy() if tensor else value)
        arrays[key := digest(plain)] = plain
        return {"tensor" if tensor else "array": key}
    if type(value) in (list, tuple):
        return [_tree(part, arrays) for part in value]
    if isinstance(value, torch.device):
        return {"given": "device"}
    if isinstance(value, ImageStore):
        return {"given": "images", "number": len(value), "size": value.size}
    if hasattr(value, "made_of"):
        name, arguments = value.made_of
    elif isinstance(value, tuple):
        name, arguments = type(value).__name__, value._asdict()
    elif dataclasses.is_dataclass(value):
        name = type(value).__name__
        arguments = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    else:
        name, arguments = getattr(value, "__name__", type(value).__name__), None
    if name not in KINDS or (arguments is None and KINDS[name] is not value):
        raise BadInput(f"{name} is not known to helpers.learn.again, so a training with it cannot be written")
    if arguments is None:
        return {"kind": name}
    return {"kind": name, "with": {key: _tree(each, arrays) for key, each in arguments.items()}}


def _whole(tree, arrays: Mapping[str, np.ndarray], given: Mapping[str, object]):
    """What `_tree` made JSON of."""
    if isinstance(tree, list):
        return tuple(_whole(part, arrays, given) for part in tree)
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return torch.from_numpy(arrays[tree["tensor"]])
    if "array" in tree:
        return arrays[tree["array"]]
    if "given" in tree:
        value = given[tree["given"]]
        if isinstance(value, ImageStore) and (len(value), value.size) != (tree["number"], tree["size"]):
            were = f"it had {tree['number']} pictures of {tree['size']} pixels"
            raise BadInput(f"a training with other images: {were}, there are {len(value)} of {value.size}")
        return value
    if tree["kind"] not in KINDS:
        raise BadInput(f"a training with {tree['kind']!r}, which this version lacks; run its notebook again")
    make = KINDS[tree["kind"]]
    if "with" not in tree:
        return make
    return make(**{name: _whole(part, arrays, given) for name, part in tree["with"].items()})


def digest(array: np.ndarray) -> str:
    """A name for the content of an array."""
    about = f"{array.dtype.str} {array.shape}".encode()
    return hashlib.sha256(about + array.tobytes()).hexdigest()[:16]

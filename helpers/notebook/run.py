"""One run of one notebook: `start` at its top.

    run = start("03_matrix_factorization", globals())

`start` is called in the cell after the parameters cell. It checks the parameters, seeds the generators and
returns a `Run`, which knows where the notebook reads and writes. `results.save(run, …)` ends it.
"""

import hashlib
import json
import random
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from helpers.errors import BadInput, NotTestable
from helpers.notebook import artefacts, parts
from helpers.notebook.conclusions import Conclusions
from helpers.notebook.params import check, refuse_unknown
from helpers.notebook.sources import assigned_names
from helpers.paths import notebook_outputs, number_of

PLANTED = {  # part -> table of Collection.truth
    "planted people": "people",
    "planted friends": "friends",
    "planted tastes": "content_taste",
    "planted kinds": "tag_kinds",
    "planted senses": "senses",
}
NOT_TESTABLE = " is not testable on this data: "
DONE = "done.json"  # the runner's stamp: this notebook is done with this digest


@dataclass
class Run(Conclusions):
    """A notebook being run."""

    name: str  # "03_matrix_factorization"
    parameters: dict  # every one with its value
    number: str = field(init=False)  # what the name begins with, "03" or "06b"
    profile: str = field(init=False)
    seed: int = field(init=False)
    inputs: dict[str, str] = field(default_factory=dict)  # read so far: "01/views.parquet" -> SHA-256
    missing: dict[str, str] = field(default_factory=dict)  # parts that the data lack -> why
    found: dict[str, dict] = field(default_factory=dict)  # claims judged so far
    used_device: object = "cpu"
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.perf_counter)

    def __post_init__(self):
        self.number = number_of(self.name)
        self.profile, self.seed = self.parameters["profile"], self.parameters["seed"]

    @property
    def folder(self) -> Path:
        """Where this notebook writes: `outputs/<profile>/<NN>` (solutions: `…/solutions/<NN>`)."""
        place = "solutions/" if self.name.endswith("_solutions") else ""
        return notebook_outputs(self.profile, place + self.number)

    @property
    def device(self):
        """The torch device of the parameter `device` (else cpu); "auto" is cuda where there is one."""
        from helpers.learn import devices  # torch takes a second, and not every notebook needs it

        self.used_device = devices.resolve(self.parameters.get("device", "cpu"))
        return self.used_device

    def has(self, needed: str) -> bool:
        """Whether the data have a part: "views", or "hashtags or words" where one is enough."""
        return parts.reason(needed, self.missing) is None

    def lacks(self, part: str, why: str) -> None:
        """Say that the data lack a part, for `%%needs` and `requires` here and in later notebooks; why is a
        clause without a full stop, "movielens has no owners: nobody uploads a movie"."""
        parts.reason(part, {})  # refuses what is no part
        self.missing[part] = why

    def not_testable(self, why: str) -> NotTestable:
        """To be raised where a notebook finds that it can show nothing on these data; later ones know it."""
        self.missing[self.number] = f"notebook {self.number} needs more: {why}"
        parts.record(self.profile, self.number, self.missing)
        return NotTestable(f"{self.name}{NOT_TESTABLE}{why}")

    def rng(self, *key) -> np.random.Generator:
        """A generator of its own for each key (texts and numbers): the same in every run with this seed, and
        adding a draw from one stream changes no other."""
        text = json.dumps([self.seed, self.name, *key], default=lambda number: number.item())
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little"))

    def collection(self):
        """The Collection that notebook 00 saved in this profile. Raises as `read_table`."""
        from helpers.data.collection import Collection

        return self._read("00", "collection", lambda *of: Collection.read(artefacts.verify(*of)))

    def save_collection(self, collection) -> None:
        """Save the Collection for `collection()` of the other notebooks (notebook 00 only)."""
        collection.save(self.folder / "collection")
        artefacts.record(self.folder, "collection")
        for part in collection.missing.keys() & parts.PARTS.keys():
            self.lacks(part, f"{collection.name} {collection.missing[part]}")
        for part, table in PLANTED.items():
            if table not in collection.truth:
                self.lacks(part, f"{collection.name} has no {part}")

    def save_table(self, name: str, frame) -> None:
        """Write `<name>.parquet` for later notebooks; the index must be the default one."""
        artefacts.save_table(self.folder, name, frame)

    def save_arrays(self, name: str, /, **arrays) -> None:
        """Write `<name>.npz` for later notebooks; arrays of numbers or fixed-width text."""
        artefacts.save_arrays(self.folder, name, arrays)

    def save_json(self, name: str, content) -> None:
        """Write `<name>.json`, for the report."""
        artefacts.write_json(self.folder / f"{name}.json", content)
        artefacts.record(self.folder, f"{name}.json")

    def save_weights(self, name: str, weights: dict) -> None:
        """Write a network's `state_dict()` as `<name>.safetensors`."""
        artefacts.save_weights(self.folder, name, weights)

    def save_trainings(self, trainings: Mapping[str, Callable[[], object]]) -> None:
        """Write what networks are trained with as `training.npz`, for `helpers.train`: by name, a call that
        would train the network, which is not done. Arrays that other notebooks saved are only named."""
        from helpers.learn import again

        arrays: dict[str, np.ndarray] = {}
        about = {name: again.written(call, arrays) for name, call in trainings.items()}
        elsewhere = {}
        for file in (Path(read) for read in self.inputs if read.endswith(".npz")):
            place = str(file.parent), file.stem
            stored = self.read_arrays(*place).items()
            elsewhere |= {again.digest(array): [*place, key] for key, array in stored}
        places = {key: elsewhere[key] for key in arrays.keys() & elsewhere.keys()}
        own = {key: array for key, array in arrays.items() if key not in places}
        own["about"] = np.array(json.dumps({"trainings": about, "elsewhere": places}))
        artefacts.save_arrays(self.folder, "training", own, np.savez_compressed)

    def read_table(self, number: str, name: str):
        """The table `name` of notebook `number` ("01"): a DataFrame. BadInput if it is absent, damaged or
        changed; the message names the command that makes it."""
        return self._read(number, name, artefacts.read_table, ".parquet")

    def read_arrays(self, number: str, name: str) -> dict[str, np.ndarray]:
        """The arrays `name` of notebook `number`, by their names. Raises as `read_table`."""
        return self._read(number, name, artefacts.read_arrays, ".npz")

    def read_weights(self, number: str, name: str) -> dict:
        """The tensors `name` of notebook `number`, on the CPU. Raises as `read_table`."""
        return self._read(number, name, artefacts.read_weights, ".safetensors")

    def _read(self, number: str, name: str, reader, suffix: str = ""):
        folder, file = notebook_outputs(self.profile, number), name + suffix
        content = reader(folder, name, f"python -m helpers.run {self.profile} --only {number}")
        if number != self.number:
            self.inputs[f"{number}/{file}"] = artefacts.manifest(folder)[file]["sha256"]
        return content


def start(
    name: str, namespace: dict, requires: Sequence[str] = (), after: Sequence[str] | None = None,
    alone: bool = False,
) -> Run:  # fmt: skip
    """Check the parameters, seed every generator, print one line.

    name is the file name without ".ipynb"; the annotated names of the namespace, `globals()`, are the
    parameters, so a notebook annotates no others: BadInput if one is unknown or its value wrong.
    requires names parts of the data without which the notebook shows nothing (`helpers.notebook.parts`): the
    runner reads them here, as text, and does not run it where one is missing; run by hand it is NotTestable.
    after names the notebooks whose results it reads, if not those of all before it: the runner may run it
    beside others, but not beside these. What these in turn come after is meant too.
    alone is for a notebook that measures seconds: the runner has no other beside it.
    """
    if number_of(name) is None:
        raise BadInput(f"start: {name!r} is no notebook's name such as 03_matrix_factorization")
    annotations = namespace.get("__annotations__", {})
    if absent := {"profile", "seed"} - annotations.keys():
        raise BadInput(f"{name}: the parameters cell must define {min(absent)}, with its type")
    # plain papermill only warns about a misspelt parameter; its cell begins with "# Parameters"
    for cell in namespace.get("In", []):
        if cell.startswith("# Parameters\n"):
            refuse_unknown(assigned_names(cell), annotations, where=name)
    if empty := annotations.keys() - namespace.keys():
        raise BadInput(f"{name}: {min(empty)} has a type and no value; parameters need a default")
    parameters = {p: check(p, kind, namespace[p], where=name) for p, kind in annotations.items()}
    run = Run(name, parameters)
    if not re.fullmatch(r"[\w-]+", run.profile):
        raise BadInput(f"{name}: profile {run.profile!r} is no folder name of letters, digits, _ and -")
    random.seed(run.seed)
    np.random.seed(run.seed)  # noqa: NPY002 - libraries that draw from the global generator
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(run.seed)
    # what the runner finished here before is about to be overwritten
    (run.folder / DONE).unlink(missing_ok=True)
    before = run.number + "~" * run.name.endswith("_solutions")
    run.missing, read = parts.known(run.profile, before, after)
    run.inputs |= read
    if why := parts.first_reason(requires, run.missing):
        raise run.not_testable(why)
    parts.install(run)
    print(f"{name}: profile {run.profile}, seed {run.seed}, {len(parameters)} parameters checked")
    return run

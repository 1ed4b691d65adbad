"""What a command would run: notebooks, their parameters, and whether each is already done.

Everything here happens before the first notebook starts, so a mistake costs no computing time.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers import paths
from helpers.data import READERS
from helpers.errors import BadInput
from helpers.notebook import artefacts, provenance
from helpers.notebook import sources as notebooks
from helpers.notebook.params import check, read_yaml, refuse_unknown, scalar_or_list, shown
from helpers.notebook.run import DONE

SMOKE = "smoke"  # the profile without overrides: the defaults of the parameters cells


@dataclass(frozen=True)
class Project:
    """The folders that a command works on."""

    notebooks: Path = paths.NOTEBOOKS
    params: Path = paths.PARAMS
    package: Path = paths.ROOT / "helpers"

    def profiles(self) -> list[str]:
        """`smoke` and every folder of params."""
        folders = self.params.iterdir() if self.params.is_dir() else []
        return [SMOKE, *sorted(f.name for f in folders if f.is_dir() and f.name != SMOKE)]


@dataclass(frozen=True)
class Job:
    """One notebook in one profile."""

    number: str
    file: Path
    profile: str
    overrides: Mapping[str, object]  # the parameters that papermill injects
    parameters: Mapping[str, object]  # all of them, defaults included
    requires: Sequence[str]  # the parts of the data without which it is not run
    digest: str  # of the parameters, the code and the versions; what is read is compared separately
    after: Sequence[str] | None = None  # notebooks that tell it what the data lack, None for all before it
    follows: frozenset[str] = frozenset()  # notebooks that must have ended before it begins
    alone: bool = False  # whether none may run beside it

    @property
    def folder(self) -> Path:
        return paths.notebook_outputs(self.profile, self.number)

    @property
    def executed(self) -> Path:
        return self.folder / self.file.name

    @property
    def failed(self) -> Path:
        return self.folder / f"{self.file.stem}.failed.ipynb"

    def stamp(self) -> dict:
        """What is written when the notebook is done: everything that decides its results."""
        inputs = artefacts.read_json(self.folder / "run.json")["inputs"]
        return {"digest": self.digest, "inputs": inputs, "sources": source_folders(self.parameters)}

    def is_done(self) -> bool:
        """Whether the last run finished, everything that decides it is unchanged, and its files are there."""
        if not (self.folder / DONE).is_file() or not self.executed.is_file():
            return False
        try:
            stamp = artefacts.read_json(self.folder / DONE)
            files = [*artefacts.manifest(self.folder), "metrics.json", "claims.json", "run.json"]
            return (
                stamp["digest"] == self.digest
                and stamp["sources"] == source_folders(self.parameters)
                and all((self.folder / name).exists() for name in files)
                and all(self.current_digest(name) == value for name, value in stamp["inputs"].items())
            )
        except (BadInput, KeyError, TypeError, AttributeError):
            return False  # a damaged stamp is no stamp; running again replaces it

    def current_digest(self, name: str) -> str | None:
        """The digest that "01/views.parquet" has now, by its notebook's manifest."""
        number, _, file = name.partition("/")
        return artefacts.manifest(paths.notebook_outputs(self.profile, number)).get(file, {}).get("sha256")


def source_folders(parameters: Mapping[str, object]) -> dict[str, str]:
    """A fingerprint (names, sizes, times) of the folder or file that the parameter `data_dir` names."""
    if "data_dir" not in parameters:
        return {}
    root = paths.ROOT / Path(parameters["data_dir"] or paths.data()).expanduser()  # kernels start in ROOT
    files = sorted(p for p in (root, *root.rglob("*")) if p.is_file())
    about = [f"{f.relative_to(root)}\0{f.stat().st_size}\0{f.stat().st_mtime_ns}\n" for f in files]
    return {"data_dir": hashlib.sha256("".join(about).encode()).hexdigest()} if root.exists() else {}


def selected(
    found: Mapping[str, Path], first: str | None, last: str | None, only: Sequence[str]
) -> list[str]:
    """The numbers that --from, --to and --only choose, in order; "3" means "03", "6b" means "06b"."""

    def known(text: str, option: str) -> str:
        number = text.zfill(3 if text[-1:].isalpha() else 2)
        if number not in found:
            raise BadInput(f"{option} {text}: there is no such notebook; there are {', '.join(found)}")
        return number

    low = known(first, "--from") if first else min(found)
    high = known(last, "--to") if last else max(found)
    if low > high:
        raise BadInput(f"--from {low} --to {high}: nothing lies between them")
    chosen = {known(number, "--only") for number in only}
    numbers = [n for n in found if low <= n <= high and (not chosen or n in chosen)]
    if not numbers:
        raise BadInput(f"--only {' --only '.join(sorted(chosen))}: not between --from {low} and --to {high}")
    return numbers


def plan(
    project: Project,
    profile: str,
    first: str | None = None,
    last: str | None = None,
    only: Sequence[str] = (),
    assignments: Sequence[str] = (),
    data_dir: str | None = None,
) -> list[Job]:
    """The selected notebooks with their checked parameters; BadInput for the first mistake.
    The profile is a folder of params, or `smoke`; an assignment, "name=value", is for every selected notebook
    that has this parameter; data_dir is the parameter of this name, for those that have it, if any."""
    refuse_unknown([profile], project.profiles(), "params", "profile")
    found = notebooks.find(project.notebooks)
    if not found:
        raise BadInput(f"{project.notebooks}: no notebooks here")
    given = command_line(assignments)
    if data_dir is not None:
        if "data_dir" in given:
            raise BadInput("--data-dir and -p data_dir: given twice")
        given["data_dir"] = data_dir
    files = profile_files(project, profile)
    read = {n: notebooks.read(file) for n, file in found.items()}
    told = {n: notebooks.told_to_start(read[n], file.name) for n, file in found.items()}
    names: set[str] = set()
    jobs = []
    for number in selected(found, first, last, only):
        file = found[number]
        notebook = read[number]
        declared = notebooks.parameters(notebook, file.name)
        names |= declared.keys()
        defaults = {n: check(n, p.kind, p.default, file.name) for n, p in declared.items()}
        overrides = from_file(files[number], declared, profile) if number in files else {}
        overrides |= {n: check(n, declared[n].kind, v, f"-p {n}") for n, v in given.items() if n in declared}
        if defaults.get("profile") != profile:
            overrides = {"profile": profile} | overrides
        parameters = defaults | overrides
        reader = READERS.get(parameters.get("dataset"), "").partition(":")[0]  # is not imported by name
        code = notebooks.code_digest(notebook, project.package, file.name, filter(None, [reader]))
        decides = {"parameters": parameters, "code": code, "versions": provenance.versions()}
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
        requires, after = told[number].get("requires", []), told[number].get("after")
        order = after, predecessors(told, number), told[number].get("alone", False)
        jobs.append(Job(number, file, profile, overrides, parameters, requires, digest, *order))
    refuse_unknown(given.keys() - {"data_dir"}, names, "-p")
    return jobs


def predecessors(told: Mapping[str, Mapping[str, object]], number: str) -> frozenset[str]:
    """The notebooks that must have ended before one begins: those that its `start` names in `after`, those
    that these come after in turn, and so on; all before it where it names none. `told` has the keywords of
    every notebook's `start`."""
    earlier = [n for n in told if n < number]
    named = told[number].get("after")
    if named is None:
        return frozenset(earlier)
    if unknown := [n for n in named if n not in earlier]:
        raise BadInput(f"notebook {number}: after={named}, but no notebook {unknown[0]} is before it")
    return frozenset(named).union(*(predecessors(told, n) for n in named))


def command_line(assignments: Sequence[str]) -> dict[str, object]:
    """The values of `-p name=value`."""
    given: dict[str, object] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"\w+", name):
            raise BadInput(f"-p {text}: expected name=value")
        if name == "profile":
            raise BadInput("-p profile: name the profile as the first argument")
        if name in given:
            raise BadInput(f"-p {name}: given twice")
        given[name] = scalar_or_list(value, f"-p {name}")
    return given


def profile_files(project: Project, profile: str) -> dict[str, Path]:
    """Number -> params/<profile>/<NN>.yaml; any other name there is refused, since it would be ignored."""
    folder, files = project.params / profile, {}
    if profile == SMOKE and folder.exists():
        raise BadInput(f"params/{SMOKE}: remove it; {SMOKE} is the profile without overrides")
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if re.fullmatch(rf"{paths.NUMBER}\.yaml", file.name):
            files[file.stem] = file
        elif not file.name.startswith((".", "README")):
            raise BadInput(f"{shown(file)}: expected the name of a notebook's number, such as 03.yaml")
    return files


def from_file(file: Path, declared: Mapping[str, notebooks.Parameter], profile: str) -> dict[str, object]:
    """The checked overrides of one params file, which must name its own profile."""
    values = {}
    for name, (value, line) in read_yaml(file).items():
        where = f"{shown(file)}, line {line}"
        refuse_unknown([name], declared, where)
        values[name] = check(name, declared[name].kind, value, where)
    if values.get("profile") != profile:
        # plain `papermill -f` reads the profile from here
        raise BadInput(f"{shown(file)}: must hold the line `profile: {profile}`, as its folder is named")
    return values

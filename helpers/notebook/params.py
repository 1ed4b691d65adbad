"""What each parameter of a notebook means and may be, and the strict check of values before anything runs.

A new parameter is one line in rules.yaml. YAML turns `1e-3` into text and papermill only warns about a
misspelt name, so nothing is converted silently except a whole number where a float is expected.
"""

import difflib
import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from helpers.data.emojigram.settings import Settings
from helpers.errors import BadInput

SCALARS = {"bool": bool, "int": int, "float": float, "str": str}
TYPES = SCALARS | {f"list[{name}]": list[kind] for name, kind in SCALARS.items()}
WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}
# what pydantic finds wrong -> what we say; the first value of its context is the bound
COMPLAINTS = {
    "greater_than_equal": "must be at least {}",
    "greater_than": "must be more than {}",
    "less_than_equal": "must be at most {}",
    "string_pattern_mismatch": "must be one of {}",
}


def rules() -> dict[str, FieldInfo]:
    """Name of a parameter -> its meaning and limits, from rules.yaml and `Settings`."""
    text = Path(__file__).with_name("rules.yaml").read_text(encoding="utf-8")
    found = {name: field for name, field in Settings.model_fields.items() if name != "seed"}
    for name, rule in yaml.safe_load(text).items():
        limits = {key: value for key, value in rule.items() if key in ("ge", "gt", "le")}
        pattern = f"^({'|'.join(rule['one of'])})$" if "one of" in rule else None
        found[name] = Field(description=rule["meaning"], pattern=pattern, **limits)
    return found


RULES = rules()


def check(name: str, annotation, value, where: str):
    """One parameter's value, checked against its annotation (one of `TYPES`, or its name) and its rule.
    BadInput says in one line where ("params/demo/03.yaml, line 4"), what was expected and what to write."""
    kind = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    kind = kind.replace(" ", "")
    if kind not in TYPES:
        raise BadInput(f"{where}: {name} has the type {kind}; a parameter is one of {', '.join(TYPES)}")
    if name not in RULES:
        raise BadInput(f"{where}: {name} has no rule; add a line for it to helpers/notebook/rules.yaml")
    rule, inner = RULES[name], kind.removeprefix("list[").removesuffix("]")
    limits = [*rule.metadata, Field(allow_inf_nan=False)] if inner == "float" else rule.metadata
    element = Annotated[SCALARS[inner], Field(), *limits]
    try:
        return TypeAdapter(element if inner == kind else list[element]).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
    wrong = first["input"]  # the value, or the first element that is wrong
    if first["type"] == "finite_number":
        raise BadInput(f"{where}: {name} is {wrong}, expected a finite number")
    if complaint := COMPLAINTS.get(first["type"]):
        (bound,) = first["ctx"].values()
        bound = f"{bound:g}" if not isinstance(bound, str) else ", ".join(choices(name))
        found = f"{SCALARS[inner](wrong)!r}, {complaint.format(bound)}"
        raise BadInput(f"{where}: {name} is {found} ({rule.description})")
    if inner == kind:
        raise BadInput(f"{where}: {name} is {value!r}, expected {WORDS[kind]} ({kind}){advice(kind, wrong)}")
    hint = advice(inner, wrong) if isinstance(value, list) else f"; write [{value}]"
    raise BadInput(f"{where}: {name} is {value!r}, expected a list, each {WORDS[inner]} ({kind}){hint}")


def choices(name: str) -> tuple[str, ...]:
    """What a parameter whose rule says `one of` may be."""
    (pattern,) = (limit.pattern for limit in RULES[name].metadata)
    return tuple(pattern.strip("^()$").split("|"))


def advice(kind: str, wrong) -> str:
    """What to write instead of a scalar of another type, where it can be told."""
    if kind == "str":
        return f'; write "{wrong}" in quotes'
    if kind == "bool":
        return "; write true or false"
    if kind == "int" and isinstance(wrong, float) and wrong.is_integer():
        return f"; write {int(wrong)}"
    if not isinstance(wrong, str) or not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", wrong):
        return ""
    if kind == "int":
        return "; write it without quotes"
    if match := re.fullmatch(r"([-+]?\d+)[eE]([-+]?)(\d+)", wrong):  # which YAML takes for a text
        return f"; write {match[1]}.0e{match[2] or '+'}{match[3]}"
    return f"; write {yaml.safe_dump(float(wrong)).split()[0]}"


def refuse_unknown(names: Iterable[str], known: Iterable[str], where: str, what: str = "parameter") -> None:
    """Raise BadInput for the first name that is not known, with the nearest known names."""
    known = sorted(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
            raise BadInput(f"{where}: unknown {what} {name!r}; {hint}")


def scalar_or_list(text: str, where: str):
    """The value that YAML reads in a short text, as in `-p lr=1.0e-3` or `-p d_grid=[8,16]`."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        told = f"{text[:80]!r} is no YAML scalar or list"
        raise BadInput(f"{where}: {told}; put quotes around a text") from None
    if isinstance(value, dict) or (isinstance(value, list) and {list, dict} & set(map(type, value))):
        raise BadInput(f"{where}: {text[:80]!r} is no scalar and no list of scalars")
    return value


def read_yaml(file: Path) -> dict[str, tuple[object, int]]:
    """A flat mapping in a YAML file: name -> (value, line). BadInput if it is none, or names one twice."""
    content, file, found = file.read_bytes(), shown(file), {}
    try:
        root = yaml.compose(content, yaml.SafeLoader)
        if root is None:
            return {}
        if not isinstance(root, yaml.MappingNode):
            raise BadInput(f"{file}: expected lines of the form name: value")
        for key, node in root.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in found:
                raise BadInput(f"{file}, line {line}: {name} is given twice (first in line {found[name][1]})")
            if isinstance(node, yaml.MappingNode):
                raise BadInput(f"{file}, line {line}: {name} is a mapping; parameters are scalars or lists")
            if isinstance(node, yaml.SequenceNode) and any(isinstance(e.value, list) for e in node.value):
                raise BadInput(f"{file}, line {line}: {name} is a list of lists; expected one of scalars")
            found[name] = (yaml.constructor.SafeConstructor().construct_document(node), line)
        return found
    except BadInput:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise BadInput(f"{file}{at}: not valid YAML ({problem})") from None


def shown(file: Path) -> str:
    """A file of params as people name it: params/demo/03.yaml."""
    return Path(*file.parts[-3:]).as_posix()

"""What the data have, and what a notebook does where they lack something.

A *part* is something in the data ("views", "owners"), something that filtering leaves ("posts"), something
that a simulation planted ("planted senses"), or an earlier notebook ("03"). Who finds one missing says why,
once: the reader of a dataset in `Collection.missing`, a notebook by `run.lacks(part, why)`. Later notebooks
know it from `missing.json` beside the other artefacts. A notebook that cannot do without a part names it in
`start(…, requires=["views"])` and is not run; a cell that can be left out begins with `%%needs views`, and
what it would have set is missing to later cells, which are left out too and need no such line.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from IPython import get_ipython
from IPython.display import Markdown, display

from helpers.errors import BadInput
from helpers.notebook import artefacts
from helpers.paths import NUMBER, notebook_outputs, outputs

FILE = "missing.json"
PARTS = {
    "views": "who viewed what (after notebook 01: items and users with enough views)",
    "view_times": "when it was viewed",
    "tags": "who wrote which tag at which picture",
    "tag_times": "when a tag was written",
    "uploads": "when a picture was uploaded",
    "owners": "who uploaded a picture",
    "attributes": "age or gender of users",
    "places": "country and position of users",
    "labels": "what is in a picture, or its style",
    "titles": "titles of pictures",
    "images": "pictures that show something",
    "features": "pictures, or features of them that came with the data",
    "hashtags": "tags that are frequent enough, by people who are no spammers (notebook 01)",
    "posts": "dated hashtags of people who have some in training, validation and test (notebook 01)",
    "words": "a dictionary of words from tags and titles (notebook 01)",
    "planted people": "a simulated crowd's communities, languages and tastes",
    "planted friends": "a simulated crowd's friendships",
    "planted tastes": "which contents a simulated person likes",
    "planted kinds": "what each simulated tag stands for",
    "planted senses": "simulated words with two meanings",
}


def reason(needed: str, missing: Mapping[str, str]) -> str | None:
    """Why a need is not met, or None if it is: "views", or "hashtags or words" where one is enough."""
    either = [part.strip() for part in needed.split(" or ")]
    for part in either:
        if part not in PARTS and not re.fullmatch(NUMBER, part):
            raise BadInput(f"{part!r} is no part of the data; they are {', '.join(PARTS)}, notebooks (03)")
    if all(part in missing for part in either):
        return "; ".join(dict.fromkeys(missing[part] for part in either))
    return None


def first_reason(needs: Iterable[str], missing: Mapping[str, str]) -> str | None:
    """The `reason` of the first need that is not met."""
    return next(filter(None, (reason(needed, missing) for needed in needs)), None)


def known(
    profile: str, before: str, after: Collection[str] | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """What notebooks before a number left word of: missing part -> why, and "01/missing.json" -> digest. Of
    those named in `after` alone, if it is given: they tell what they were told, too."""
    missing, read = {}, {}
    for folder in sorted((outputs() / profile).glob("*/")):
        if not re.fullmatch(NUMBER, folder.name) or folder.name >= before:
            continue
        if after is not None and folder.name not in after:
            continue
        if entry := artefacts.manifest(folder).get(FILE):
            missing |= artefacts.read_json(folder / FILE)
            read[f"{folder.name}/{FILE}"] = entry["sha256"]
    return missing, read


def record(profile: str, number: str, missing: Mapping[str, str]) -> None:
    """Leave word for later notebooks."""
    folder = notebook_outputs(profile, number)
    artefacts.write_json(folder / FILE, dict(missing))
    artefacts.record(folder, FILE)


def reads_and_sets(source: str) -> tuple[set[str], set[str]]:
    """Names that a cell has from other cells, whichever way its conditions go, and names that it may set. A
    name that it both reads and sets counts as set; a cell with a magic is not looked into."""

    def always(node: ast.AST) -> Iterator[ast.AST]:
        yield node
        inside = [node.test] if isinstance(node, ast.If | ast.IfExp) else ast.iter_child_nodes(node)
        for each in inside:
            yield from always(each)

    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set(), set()
    nodes = list(ast.walk(tree))
    sets = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    sets |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    sets |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return {node.id for node in always(tree) if isinstance(node, ast.Name)} - sets, sets


def install(run) -> None:
    """Make `%%needs` work in the running notebook; outside of one, do nothing."""
    shell = get_ipython()
    if shell is None:
        return
    unset: dict[str, str] = {}  # name that a cell which was left out would have set -> what that cell needs

    def needs(line: str, cell: str = "") -> None:
        """`%%needs views, owners` as a first line: run the cell only if the data have all these parts."""
        for needed in line.split(","):
            if why := reason(needed.strip(), run.missing):
                display(Markdown(f"*Not testable on this data: {why}.*"))
                return
        raise BadInput("%%needs must be the first line of its cell")  # `drop` did not see it

    def drop(lines: list[str]) -> list[str]:
        # where nothing is missing the cell is ordinary Python: its traceback and its last value are shown
        guarded = bool(lines) and lines[0].startswith("%%needs ")
        needed = [part.strip() for part in lines[0][8:].split(",")] if guarded else []
        body = ["\n", *lines[1:]] if guarded else lines
        reads, sets = reads_and_sets("".join(body))
        needed += [unset[name] for name in sorted(reads & unset.keys() - shell.user_ns.keys())]
        try:
            lacking = [part for part in needed if reason(part, run.missing)]
        except BadInput:
            return lines  # the magic raises it
        unset.update(dict.fromkeys(sets, lacking[0]) if lacking else {})
        return [f"%%needs {lacking[0]}\n", *body] if lacking else body

    drop.of_needs = True
    shell.register_magic_function(needs, "cell")
    kept = [f for f in shell.input_transformers_cleanup if not getattr(f, "of_needs", False)]
    shell.input_transformers_cleanup[:] = [*kept, drop]  # after those that remove empty lines

"""The numbers in README's section "What was found" and in the pages of docs/, each from a reference:
`python -m helpers.runner.found`.

A number, or a verdict in italics, is followed by a comment that says where it comes from:

    accuracy 63.6<!-- ml-1m 07 accuracy10_tensor_mcll % --> %, *supported*<!-- ml-1m V6a -->,
    30<!-- ml-1m supported --> claims

that is a metric (in per cent, where % stands), the verdict of a claim, or how many claims got a verdict. The
command writes them anew from outputs/reference; a metric keeps its number of decimals.
"""

import re
from pathlib import Path

from helpers import paths
from helpers.claims.papers import CLAIMS
from helpers.claims.rule import VERDICTS
from helpers.errors import BadInput
from helpers.files import write_text
from helpers.notebook.artefacts import read_json
from helpers.paths import number_of
from helpers.runner.compare import OR, REFERENCE

README, HEADING = paths.ROOT / "README.md", "## What was found\n"
MARKED = re.compile(r"(\*[^*\n]+\*|\d+(?:\.\d+)?)<!-- (\S+) (.+?) -->")


def section(text: str) -> str:
    """The section of a README."""
    return text.partition(HEADING)[2].partition("\n## ")[0]


def current(shown: str, profile: str, what: str, folder: Path = REFERENCE) -> str:
    """What should stand where `shown` stands; BadInput where no reference says it."""

    def of(number: str) -> dict:
        file = folder / profile / f"{number}.json"
        return read_json(file) if file.is_file() else {"metrics": {}, "verdicts": {}}

    if what in VERDICTS:
        files = map(read_json, sorted((folder / profile).glob("*.json")))
        return str(sum(v.split(OR)[0] == what for about in files for v in about["verdicts"].values()))
    if what in CLAIMS:
        found = of(number_of(CLAIMS[what].notebook))["verdicts"].get(what)
        found = found and f"*{found}*"
    else:
        number, _, name = what.removesuffix(" %").partition(" ")
        entry = of(number)["metrics"].get(name)
        digits = len(shown.partition(".")[2])
        found = entry and f"{entry['value'] * (100 if what.endswith(' %') else 1):.{digits}f}"
    if found is None:
        raise BadInput(f"a value is marked {profile} {what}: the reference of {profile} has no {what}")
    return found


def renewed(text: str, folder: Path = REFERENCE) -> str:
    """A text with all of its marked values as the references have them."""
    return MARKED.sub(lambda m: f"{current(*m.groups(), folder)}<!-- {m[2]} {m[3]} -->", text)


if __name__ == "__main__":
    for file in (README, *sorted((paths.ROOT / "docs").rglob("*.md"))):
        before = file.read_text(encoding="utf-8")
        if count := len(MARKED.findall(before)):
            write_text(file, renewed(before))
            print(f"{file.name}: {count} values renewed")

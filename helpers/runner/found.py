"""The numbers in README's section "What was found" and in the pages of docs/, each from a reference, and what
notebooks cost, in README, docs/ and on the notebooks' cards: `python -m helpers.runner.found`.

A number, or a verdict in italics, is followed by a comment that says where it comes from:

    accuracy 63.6<!-- ml-1m 07 accuracy10_tensor_mcll % --> %, *supported*<!-- ml-1m V6a -->,
    30<!-- ml-1m supported --> claims

that is a metric (in per cent, where % stands), the verdict of a claim, or how many claims got a verdict;
`smoke minutes` are a profile's processor minutes. The command writes them anew from outputs/reference; a
metric keeps its number of decimals. In rows of tables that link to a notebook, `6 s | 51 s` are its processor
seconds on smoke and demo. Memory stands in README's table alone, by hand; cards take it from there.
"""

import re
from pathlib import Path

from helpers import paths
from helpers.claims.papers import CLAIMS
from helpers.claims.rule import VERDICTS
from helpers.errors import BadInput
from helpers.files import write_text
from helpers.notebook import sources as notebooks
from helpers.notebook.artefacts import read_json
from helpers.paths import number_of
from helpers.runner.compare import OR, REFERENCE, reference

README, HEADING = paths.ROOT / "README.md", "## What was found\n"
SECONDS = re.compile(r"^(\|.*\]\(\S*?(\d\d[a-z]?)_\w+\.ipynb\).*\| )\d+ s \| \d+ s(?= \|)", re.MULTILINE)
MEMORY = re.compile(r"^\| \[(\d\d[a-z]?)_\w+\].*\| ([\d.]+ GB) \|$", re.MULTILINE)
CARD = re.compile(r"\| \*\*Time and memory\*\* \|[^|]*\|")
MARKED = re.compile(r"(\*[^*\n]+\*|\d+(?:\.\d+)?)<!-- (\S+) (.+?) -->")


def section(text: str) -> str:
    """The section of a README."""
    return text.partition(HEADING)[2].partition("\n## ")[0]


def current(shown: str, profile: str, what: str, folder: Path = REFERENCE) -> str:
    """What should stand where `shown` stands; BadInput where no reference says it."""
    if what == "minutes":
        numbers = [file.stem for file in (folder / profile).glob("*.json")]
        return f"{sum(seconds(number, profile, folder) for number in numbers) / 60:.0f}"
    if what in VERDICTS:
        files = map(read_json, sorted((folder / profile).glob("*.json")))
        return str(sum(v.split(OR)[0] == what for about in files for v in about["verdicts"].values()))
    if what in CLAIMS:
        found = reference(profile, number_of(CLAIMS[what].notebook), folder)["verdicts"].get(what)
        found = found and f"*{found}*"
    else:
        number, _, name = what.removesuffix(" %").partition(" ")
        entry = reference(profile, number, folder)["metrics"].get(name)
        digits = len(shown.partition(".")[2])
        found = entry and f"{entry['value'] * (100 if what.endswith(' %') else 1):.{digits}f}"
    if found is None:
        raise BadInput(f"a value is marked {profile} {what}: the reference of {profile} has no {what}")
    return found


def renewed(text: str, folder: Path = REFERENCE) -> str:
    """A text with all of its marked values, and seconds of notebooks, as the references have them."""

    def marked(match: re.Match) -> str:
        return f"{current(*match.groups(), folder)}<!-- {match[2]} {match[3]} -->"

    def cost(match: re.Match) -> str:
        smoke, demo = (seconds(match[2], profile, folder) for profile in ("smoke", "demo"))
        return f"{match[1]}{smoke:.0f} s | {demo:.0f} s"

    return SECONDS.sub(cost, MARKED.sub(marked, text))


def seconds(number: str, profile: str, folder: Path = REFERENCE) -> float:
    """Processor seconds of a notebook, in the reference of a profile. BadInput where it has none."""
    found = reference(profile, number, folder).get("seconds")
    if found is None:
        raise BadInput(f"the reference of {profile} has no {number}, so no seconds of it")
    return found


def card(number: str, folder: Path = REFERENCE) -> str:
    """The line of a notebook's card that says what it costs."""
    there = [p for p in ("smoke", "demo", "movielens", "ml-1m") if (folder / p / f"{number}.json").is_file()]
    first, *others = (f"{seconds(number, p, folder):.0f} on {p}" for p in there)
    times = ", ".join([first.replace(" on ", " processor seconds on "), *others])
    memory = dict(MEMORY.findall(README.read_text(encoding="utf-8")))[number]
    return f"| **Time and memory** | {times}; at most {memory} on smoke and demo |"


if __name__ == "__main__":
    for file in (README, *sorted((paths.ROOT / "docs").rglob("*.md"))):
        before = file.read_text(encoding="utf-8")
        if count := len(MARKED.findall(before)) + len(SECONDS.findall(before)):
            write_text(file, renewed(before))
            print(f"{file.name}: {count} values renewed")
    for number, file in notebooks.find(paths.NOTEBOOKS).items():
        before = file.read_text(encoding="utf-8")
        after = CARD.sub(card(number), before)
        if after != before:
            write_text(file, after)
            print(f"{file.name}: card renewed")

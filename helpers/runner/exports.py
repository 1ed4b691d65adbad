"""What a reviewer's form asks for, filled in from a run: CSV, artefact appendix, checklist, RO-Crate."""

import csv
import json
import mimetypes
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from helpers.claims import board
from helpers.claims.papers import CLAIMS, PAPERS, Claim, row_of
from helpers.files import replacing
from helpers.measures.stats import Effect
from helpers.notebook.artefacts import manifest, read_json, write_json
from helpers.paths import of_notebooks
from helpers.runner.evidence import Line, Profile, lines, parts
from helpers.runner.report import write_page

CRATE = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
MIT, PROFILE = "https://spdx.org/licenses/MIT", "https://w3id.org/ro/crate/1.1"
OF_CLAIM = ("paper", "notebook", "statement", "where")
OF_RECORD = ("data", "simulated", "source", "verdict", "corrected", "p", "note")
COLUMNS = (
    "claim row paper notebook statement where claimed profile data simulated source part mean low high unit"
    " margin units seeds paper_low paper_high verdict corrected other_seeds p note"
).split()  # mean, low and high in `unit`, as paper_low and paper_high, the ends of the paper's own effects


def write(folder: Path, profiles: Sequence[Profile]) -> None:
    """Write board.csv, artifact_appendix.md, reproducibility_checklist.md and the RO-Crate into the folder of
    a profile that has run."""
    write_csv(folder / "board.csv", profiles)
    about = facts(folder, profiles)
    for name in ("artifact_appendix.md", "reproducibility_checklist.md"):
        write_page(folder / name, f"{name}.j2", about)
    write_json(folder / CRATE, crate(folder))


def write_csv(target: Path, profiles: Sequence[Profile]) -> None:
    """A line for each difference of each claim in each profile; a claim without one has one line."""
    with replacing(target) as new, new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for claim in CLAIMS.values():
            for profile in [p for p in profiles if claim.id in p.claims]:
                record = profile.claims[claim.id]
                line = {"claim": claim.id, "row": row_of(claim.id), "claimed": claim.says}
                line |= {name: getattr(claim, name) for name in OF_CLAIM}
                line |= {name: record[name] for name in OF_RECORD} | {"profile": profile.name}
                line["other_seeds"] = "; ".join(record.get("others", []))
                if claim.measure:
                    line |= {"unit": claim.measure.unit, "margin": claim.measure.margin}
                found = zip(parts(claim, record).items(), lines(claim, record), strict=True)
                rows = [line | _difference(name, part.effect, of, claim) for (name, part), of in found]
                writer.writerows(rows or [line])


def _difference(name: str, effect: Effect, line: Line, claim: Claim) -> dict:
    paper = [claim.measure.margin * x for x in line.paper]
    ends = {"paper_low": f"{min(paper):.4g}", "paper_high": f"{max(paper):.4g}"} if paper else {}
    values = {key: f"{getattr(effect, key):.6g}" for key in ("mean", "low", "high")}
    return {"part": name, "units": effect.units, "seeds": effect.seeds} | values | ends


def runs(folder: Path) -> list[dict]:
    """run.json of each notebook of a profile that has run, in order."""
    return [read_json(file) | {"number": file.parent.name} for file in of_notebooks(folder, "run.json")]


def facts(folder: Path, profiles: Sequence[Profile]) -> dict:
    """What the two forms are filled in with."""
    each, latest = runs(folder), read_json(folder / "run.json")
    done = [run for run in each if run["seconds"] is not None]
    last = done[-1] if done else {}
    compared = read_json(folder / "comparison.json") if (folder / "comparison.json").is_file() else []
    claims = read_json(folder / "scoreboard.json")["claims"]
    simulated = any(claim["simulated"] for claim in claims)
    mine = next((p for p in profiles if p.name == folder.name), None)
    kinds = {
        kind: [row["same"] for row in compared if row["kind"] == kind] for kind in ("metrics", "verdicts")
    }
    numbers, those = {run["number"] for run in done}, {row["notebook"] for row in compared}
    return latest | {
        "side_by_side": latest.get("side_by_side", 1),
        "older": [run for run in done if run["commit"] != latest["commit"]],
        "partly": sorted(those) if those < numbers else [],
        "papers": list(PAPERS.values()),
        "runs": done,
        "skipped": [run for run in each if run["seconds"] is None],
        "minutes": round(sum(run["seconds"] for run in done) / 60, 1),
        "peak": round(max((run["peak_mb"] or 0 for run in done), default=0) / 1000, 1),
        "gigabytes": round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e9, 2),
        "processor": last.get("processor"),
        "device": (last.get("device") or {}).get("kind"),
        "cores": (last.get("threads") or {}).get("cores"),
        "data": sorted({claim["data"] for claim in claims}),
        "simulated": simulated,
        "from_folder": not simulated and folder.name != "openmoji",  # the data have to be brought
        "claims": len(claims),
        "counts": board.counts(mine.claims.values()) if mine else {},
        "compared": {kind: f"{sum(of)} of {len(of)} {kind}" for kind, of in kinds.items() if of},
        "seeds": {run["number"]: run["parameters"]["seeds"] for run in done if "seeds" in run["parameters"]},
        "grids": sorted({n for run in done for n in run["parameters"] if n.endswith("_grid")}),
        "intervals": sum(bool(claim["effects"]) for claim in claims),
        "profiles": [profile.name for profile in profiles],
        "dirty": latest["commit"].endswith("-dirty"),
    }


def crate(folder: Path) -> dict:
    """The RO-Crate 1.1 of a profile's folder: its files, and of each notebook what ran, on what, when."""
    each, latest = runs(folder), read_json(folder / "run.json")
    files = {f.name: f for f in sorted(folder.iterdir()) if f.is_file() and not f.name.startswith(".")}
    files.pop(CRATE, None)
    actions, digests = [], {}
    for run in each:
        home = folder / run["number"]
        made = {_id(f, folder): f for f in sorted(home.iterdir()) if not f.name.startswith(".")}
        files |= made
        digests |= {_id(home / name, folder): entry["sha256"] for name, entry in manifest(home).items()}
        if run["seconds"] is not None:
            actions.append(_action(run, made, folder))
    entities = [_file(path, folder, digests) for path in files.values()]
    software = {"@id": "#software", "@type": "SoftwareApplication", "name": "learning-from-the-crowd"}
    software |= {"softwareVersion": latest["commit"], "license": {"@id": MIT}}
    software["softwareRequirements"] = [f"{name} {version}" for name, version in latest["versions"].items()]
    root = {
        "@id": "./", "@type": "Dataset", "name": f"Learning from the crowd: the profile {folder.name}",
        "description": "Executed notebooks, metrics and verdicts on the claims of five papers: "
        + "; ".join(PAPERS.values()) + ".",
        "datePublished": latest["started_at"], "license": {"@id": MIT},
        "hasPart": [{"@id": entity["@id"]} for entity in entities],
        "mentions": [{"@id": action["@id"]} for action in actions],
    }  # fmt: skip
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": PROFILE},
    }
    licence = {"@id": MIT, "@type": "CreativeWork", "name": "MIT License, of code and results"}
    return {"@context": CONTEXT, "@graph": [descriptor, root, software, licence, *entities, *actions]}


def _id(path: Path, folder: Path) -> str:
    """The address of a file or folder in the crate."""
    return quote(path.relative_to(folder).as_posix()) + "/" * path.is_dir()


def _file(path: Path, folder: Path, digests: dict[str, str]) -> dict:
    entity = {"@id": _id(path, folder), "@type": "Dataset" if path.is_dir() else "File", "name": path.name}
    if path.is_file():
        kinds = {".ipynb": "application/x-ipynb+json", ".md": "text/markdown"}
        kind = kinds.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        entity |= {"contentSize": str(path.stat().st_size), "encodingFormat": kind}
    if entity["@id"] in digests:
        entity["sha256"] = digests[entity["@id"]]
    return entity


def _action(run: dict, made: Iterable[str], folder: Path) -> dict:
    """How a notebook was run (Process Run Crate): with the software, on earlier notebooks' files."""
    begun = datetime.fromisoformat(run["started_at"]).astimezone(UTC)
    ended = begun + timedelta(seconds=round(run["seconds"]))
    read = [folder / name for name in run["inputs"] if (folder / name).exists()]
    return {
        "@id": f"#run-{run['number']}", "@type": "CreateAction", "name": run["notebook"],
        "description": f"parameters: {json.dumps(run['parameters'], sort_keys=True)}",
        "instrument": {"@id": "#software"}, "startTime": begun.isoformat(), "endTime": ended.isoformat(),
        "object": [{"@id": _id(path, folder)} for path in read],
        "result": [{"@id": name} for name in made],
    }  # fmt: skip

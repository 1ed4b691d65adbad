"""The committed notebooks give the same text and the same numbers again, from an empty outputs folder."""

import base64
import io
import json
from dataclasses import replace

import matplotlib.figure
import nbformat
import numpy as np
import pytest
import torch
from notebook_contract import any_notebook
from PIL import Image
from replay import replay
from test_answers import ELSEWHERE, tried

from helpers import train
from helpers.claims import board as claims
from helpers.data.collection import Collection
from helpers.learn import again
from helpers.learn.train import fit
from helpers.notebook import sources as notebooks
from helpers.notebook.artefacts import read_json
from helpers.paths import NOTEBOOKS
from helpers.runner import report
from helpers.runner.compare import REFERENCE, compare, found, reference_of, rows, told
from helpers.runner.maintain import lighter, refresh, write_reference
from helpers.runner.plan import SMOKE, Project, plan

FILES = notebooks.find(NOTEBOOKS)
SOLUTIONS = notebooks.find(NOTEBOOKS / "solutions")
STEMS = [file.stem for file in [*FILES.values(), *SOLUTIONS.values()]]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """What differs in each notebook, and the folder of the outputs."""
    folder = tmp_path_factory.mktemp("replay")
    files = [*FILES.values(), *SOLUTIONS.values()]
    return replay(files, folder / "outputs", folder / "report.xml"), folder / "outputs"


@pytest.mark.slow
@pytest.mark.parametrize("stem", STEMS)
def test_text_is_the_same(replayed, stem):
    assert not replayed[0][stem], "\n".join(replayed[0][stem])


@pytest.mark.slow
@pytest.mark.parametrize("number", FILES)
def test_metrics_and_verdicts_agree_with_the_reference(replayed, number, monkeypatch):
    assert (REFERENCE / SMOKE / f"{number}.json").is_file(), (
        "make it: python -m helpers.run smoke --reference"
    )
    monkeypatch.setenv("CROWD_OUTPUTS", str(replayed[1]))
    table = compare(plan(Project(), SMOKE, only=[number]))
    assert all(row["same"] for row in table), told(table)


@pytest.mark.slow
@pytest.mark.parametrize("number", [number for number in FILES if number >= "05"])
def test_networks_can_be_trained_again(replayed, number, monkeypatch):
    """An epoch of each that a notebook saved, from what it saved."""
    monkeypatch.setenv("CROWD_OUTPUTS", str(replayed[1]))
    trainings, arrays = train.read(SMOKE, number)
    images = Collection.read(replayed[1] / SMOKE / "00" / "collection").images
    for about in trainings.values():
        training = again.made(about, arrays, images, torch.device("cpu"))
        recipe = replace(training.recipe, epochs=1)
        how = {"device": torch.device("cpu"), "seed": training.seed, "after_step": training.after_step}
        (epoch,) = fit(training.network, training.examples, training.loss, recipe, **how, log=None)
        assert epoch["per_second"] > 0
    assert trainings


@pytest.mark.slow
def test_every_row_of_the_papers_is_run(replayed):
    board = read_json(replayed[1] / SMOKE / "scoreboard.json")["claims"]
    assert [row.id for row in claims.by_row(board) if not row.claims] == []


@pytest.mark.slow
def test_every_claim_leads_to_the_table_that_shows_it(replayed):
    for claim in read_json(replayed[1] / SMOKE / "scoreboard.json")["claims"]:
        cells = notebooks.read(NOTEBOOKS / f"{claim['notebook']}.ipynb").cells
        assert report.anchor(cells), f"{claim['notebook']}: {claim['id']} is in no table"


@pytest.mark.slow
@pytest.mark.parametrize("name", ELSEWHERE)
def test_right_wrong_and_no_answer_where_results_are_needed(replayed, name, monkeypatch, capsys):
    monkeypatch.setenv("CROWD_OUTPUTS", str(replayed[1]))
    with matplotlib.rc_context({"backend": "agg"}):
        assert tried(name.partition("-")[0], [name], capsys) == []


@pytest.fixture
def written(tiny):
    """The tiny project after `--refresh`: its notebooks hold their outputs."""
    assert tiny.run("smoke", "--refresh", "--only", "00") == 0
    return tiny


def test_what_must_fail_fails(written):
    """A true copy passes; a changed claim fails by nbval, an unexecuted notebook by the contract."""
    file = written.project.notebooks / "00_first.ipynb"
    assert [p for p in any_notebook(file) if "assertion" not in p] == []

    changed = notebooks.read(file)
    (cell,) = [c for c in notebooks.code_cells(changed) if "print(x.round" in c.source]
    cell.outputs[0].text = cell.outputs[0].text.replace(".", ".9", 1)
    loud = notebooks.read(file)
    loud.cells[-1].source += "\nimport sys\nprint('warning', file=sys.stderr)"
    never = notebooks.read(file)
    for cell in notebooks.code_cells(never):
        cell.execution_count, cell.outputs = None, []
    copies = {"true": notebooks.read(file), "changed": changed, "loud": loud, "never": never}
    for name, notebook in copies.items():
        nbformat.write(notebook, written.folder / f"{name}.ipynb")
    files = [written.folder / f"{name}.ipynb" for name in copies]
    found = replay(files, written.folder / "again", written.folder / "report.xml")

    assert found["true"] == []
    assert len(found["changed"]) == 1
    assert "mismatch" in found["changed"][0]
    assert found["loud"], "a warning on stderr is a difference"
    assert found["never"] == [], "the trap: nbval passes a notebook that was never executed"
    assert any("not executed" in problem for problem in any_notebook(written.folder / "never.ipynb"))


def test_other_metrics_and_verdicts_fail(written):
    """Zeroed or exchanged metrics and a changed verdict are found."""
    (job,), folder = plan(written.project, SMOKE, only=["00"]), written.folder / "reference"
    write_reference([job], folder)
    reference, ours = reference_of(job, folder), found(job)
    assert all(row["same"] for row in compare([job], folder))

    def wrong(metrics=None, verdicts=None, there=reference, p=0.001):
        now = {"metrics": metrics or ours["metrics"], "verdicts": verdicts or {}, "p": {"F4": p}}
        return [row["name"] for row in rows(now, there) if not row["same"]]

    for name in ours["metrics"]:
        assert wrong(ours["metrics"] | {name: 0}) == [name]
    exchanged = dict(zip(ours["metrics"], reversed(ours["metrics"].values()), strict=True))
    assert wrong(exchanged) == list(ours["metrics"])
    assert wrong(verdicts={"F4": "supported"}) == ["F4"], "without a reference"
    assert wrong(ours["metrics"] | {"mean": ours["metrics"]["mean"] * 1.1}) == ["mean"]
    write_reference(
        [job], folder, {"00": [ours | {"metrics": ours["metrics"] | {"mean": m}} for m in (0, 1)]}
    )
    spread = reference_of(job, folder)
    assert spread["seeds"] == 3
    assert spread["metrics"]["mean"]["sd"] == pytest.approx(
        np.std([0, 1, ours["metrics"]["mean"]], ddof=1), 1e-2
    )
    assert wrong(ours["metrics"] | {"mean": ours["metrics"]["mean"] * 1.1}, there=spread) == []
    assert wrong(ours["metrics"] | {"mean": 0}, there=spread) == ["mean"], "however wide the seeds spread"
    several = reference | {"verdicts": {"F4": "supported or undecided"}}
    assert wrong(verdicts={"F4": "undecided"}, there=several) == []
    assert wrong(verdicts={"F4": "contradicted"}, there=several) == ["F4"]
    assert wrong(verdicts={"F4": "contradicted"}, there=several, p=0.9) == ["F4"], "it was decided there"
    assert wrong(verdicts={"F4": "contradicted"}, there=several, p=0.03) == [], "a close call may tip over"
    decided = reference | {"verdicts": {"F4": "supported"}}
    assert wrong(verdicts={"F4": "undecided"}, there=decided, p=0.03) == []
    assert wrong(verdicts={"F4": "undecided"}, there=decided) == ["F4"]
    at_edge = decided | {"claims": {"F4": {"open": ["BPR (epochs)"]}}}
    assert wrong(verdicts={"F4": "undecided"}, there=at_edge) == [], "another try may be the best"
    assert wrong(verdicts={"F4": "contradicted"}, there=at_edge) == ["F4"], "but never the opposite"
    assert wrong(verdicts={"F4": "contradicted"}, there=decided, p=0.03) == ["F4"], "never to its opposite"
    assert wrong(verdicts={"F4": "undecided"}, p=0.03) == ["F4"], "without a reference"
    missing = reference | {"verdicts": {"F4": "not testable"}}
    assert wrong(verdicts={"F4": "undecided"}, there=missing, p=0.03) == ["F4"]
    assert wrong(there=several) == ["F4"], "a verdict that is missing"


def test_refreshing_again_changes_nothing(written):
    file = written.project.notebooks / "00_first.ipynb"
    before = file.read_bytes()
    assert b"papermill" not in before
    assert json.loads(before)["cells"][3]["outputs"], "the outputs are there"
    refresh(written.project, plan(written.project, SMOKE, only=["00"]))
    assert file.read_bytes() == before


def test_figures_are_written_back_with_a_palette():
    figure, drawn = matplotlib.figure.Figure(), io.BytesIO()
    figure.subplots().plot([1, 3, 2], label="a line")
    figure.legend()
    figure.savefig(drawn, format="png")
    small = io.BytesIO(base64.b64decode(lighter(base64.b64encode(drawn.getvalue()).decode())))
    assert len(small.getvalue()) < 0.75 * len(drawn.getvalue())
    before, after = (np.asarray(Image.open(file).convert("RGB")).astype(int) for file in (drawn, small))
    assert abs(before - after).max() < 16


def test_refresh_refuses_stderr_and_runs_solutions(tiny, capsys):
    tiny.write("00_first", "import sys\nprint('old', file=sys.stderr)", "results.save(run, {})")
    assert tiny.run("smoke", "--refresh", "--only", "00") == 1
    assert "00_first: cell [3] writes to stderr; remove the cause: old" in capsys.readouterr().err
    tiny.write("00_first", "results.save(run, {})")
    solution = tiny.write("00_first_solutions", "assert 1 + 1 == 3")
    (tiny.project.notebooks / "solutions").mkdir()
    solution.rename(tiny.project.notebooks / "solutions" / solution.name)
    assert tiny.run("smoke", "--refresh", "--only", "00") == 1
    assert "00_first_solutions, cell [3]: AssertionError" in capsys.readouterr().err

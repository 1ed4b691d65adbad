"""The runner on tiny notebooks: what is done, skipped, redone, resumed, and how a failure looks."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from helpers.claims import papers
from helpers.errors import BadInput
from helpers.notebook import artefacts
from helpers.notebook import sources as notebooks
from helpers.runner import execute
from helpers.runner.execute import next_of, one_runner
from helpers.runner.plan import Job, Project, plan

# the runner in a process of its own, on the project in the given folder
PROGRAM = """
import pathlib, signal, sys
from helpers.runner.commands import main
from helpers.runner.plan import Project
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = pathlib.Path(sys.argv[1])
sys.exit(main(["smoke"], Project(folder / "notebooks", folder / "params", folder / "code" / "helpers")))
"""


def states(capsys) -> dict[str, str]:
    """Number -> done, skipped or failed, as the last command printed it."""
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    return {words[0][:2]: words[-1] for words in lines if re.match(r"\d\d_", words[0])}


def test_a_whole_run_and_what_is_redone_afterwards(tiny, capsys):
    assert tiny.run("demo") == 0
    assert states(capsys) == {"00": "done", "01": "done", "02": "done"}
    folder = tiny.outputs / "demo" / "01"
    about = json.loads((folder / "run.json").read_text())
    assert about["parameters"] == {"profile": "demo", "seed": 0, "epochs": 2, "lr": 0.5}
    assert about["inputs"].keys() == {"00/missing.json", "00/x.npz"}
    assert {
        "seconds",
        "peak_mb",
        "seed",
        "versions",
        "commit",
        "platform",
        "threads",
        "started_at",
    } <= about.keys()
    assert {f.name for f in folder.iterdir()} == {
        "01_second.ipynb", "01_second.html", "done.json", "manifest.json", "metrics.json", "claims.json",
        "missing.json", "run.json", "y.npz",
    }  # fmt: skip
    summary = json.loads((tiny.outputs / "demo" / "run.json").read_text())
    assert [row["status"] for row in summary["notebooks"]] == ["done"] * 3
    assert json.loads((tiny.outputs / "demo" / "scoreboard.json").read_text()) == {"claims": []}
    # global generators are seeded too
    third = tiny.metrics("demo", "02")

    assert tiny.run("demo") == 0
    assert states(capsys) == {"00": "skipped", "01": "skipped", "02": "skipped"}

    # a changed input: with another seed, 00 writes other numbers, which 01 reads
    assert tiny.run("demo", "-p", "seed=1", "--only", "00") == 0
    assert tiny.run("demo", "--from", "01", "--to", "1") == 0
    output = capsys.readouterr()
    assert re.findall(r"\b(done|skipped)$", output.out, re.MULTILINE) == ["done", "done"]
    assert "note: 00 ran with other parameters or code" in output.out
    # the first parameters again: 00 and 01 are redone, 02 never changed; the numbers are those of before
    before = {n: tiny.metrics("demo", n) for n in ("00", "01")}
    assert tiny.run("demo") == 0
    assert states(capsys) == {"00": "done", "01": "done", "02": "skipped"}
    assert tiny.metrics("demo", "00") != before["00"]
    assert tiny.metrics("demo", "02") == third

    # a parameter that only changes nothing in what is written: 00 is redone, 01 reads the same and is kept
    assert tiny.run("demo", "-p", "epochs=3", "--only", "00") == 0
    assert tiny.run("demo", "--only", "01") == 0
    assert re.findall(r"(\d\d)_\w+ .*(done|skipped)$", capsys.readouterr().out, re.MULTILINE) == [
        ("00", "done"), ("01", "skipped"),
    ]  # fmt: skip


def test_equal_seeds_give_equal_metrics_and_other_seeds_do_not(tiny):
    assert tiny.run("smoke", "--only", "00") == 0
    first = tiny.metrics("smoke", "00")
    assert tiny.run("smoke", "--only", "00", "--force") == 0
    assert tiny.metrics("smoke", "00") == first
    assert tiny.run("smoke", "--only", "00", "-p", "seed=1") == 0
    assert tiny.metrics("smoke", "00")["mean"] != first["mean"]


def test_code_decides_what_is_redone(tiny, capsys):
    assert tiny.run("smoke", "--only", "00", "--only", "02") == 0
    file = tiny.project.notebooks / "02_third.ipynb"
    changed = notebooks.read(file)
    changed.cells[-1].source += "  # a remark"
    changed.cells[0].source += " More words."
    nbformat.write(changed, file)
    capsys.readouterr()
    assert tiny.run("smoke", "--only", "00", "--only", "02") == 0
    assert states(capsys) == {"00": "skipped", "02": "skipped"}
    changed.cells[-1].source = "results.save(run, {'python': 0})"
    nbformat.write(changed, file)
    assert tiny.run("smoke", "--only", "00", "--only", "02") == 0
    assert states(capsys) == {"00": "skipped", "02": "done"}
    (tiny.project.package / "notebook" / "run.py").write_text("x = 2")  # both import it
    (tiny.outputs / "smoke" / "02" / "metrics.json").unlink()
    assert tiny.run("smoke", "--list") == 0
    assert "done" not in capsys.readouterr().out


def test_a_lost_file_or_a_damaged_stamp_is_redone(tiny, capsys):
    assert tiny.run("smoke", "--only", "00") == 0
    folder = tiny.outputs / "smoke" / "00"
    for lost in ("x.npz", "00_first.ipynb", "metrics.json"):
        (folder / lost).rename(folder / "elsewhere")
        tiny.run("smoke", "--only", "00", "--list")
        (folder / "elsewhere").rename(folder / lost)
        assert "to do" in capsys.readouterr().out
    (folder / "done.json").write_text("{")
    tiny.run("smoke", "--only", "00", "--list")
    assert "to do" in capsys.readouterr().out


def test_failures_are_one_line_and_keep_the_notebook(tiny, capsys):
    tiny.write("00_first", "raise ValueError('two\\nlines')")
    assert tiny.run("smoke") == 1
    output = capsys.readouterr()
    assert output.err.splitlines()[0] == "error: 00_first, cell [3]: ValueError: two lines"
    assert "01_second" not in output.out, "what comes after a failure is not run"
    folder = tiny.outputs / "smoke" / "00"
    assert [f.name for f in folder.iterdir()] == ["00_first.failed.ipynb"]
    assert "The last run failed" in (tiny.outputs / "smoke" / "index.html").read_text(encoding="utf-8")

    assert tiny.run("smoke", "--only", "01") == 1
    error = capsys.readouterr().err
    assert "01_second, cell [3]: BadInput: " in error
    assert "make it with: python -m helpers.run smoke --only 00" in error

    tiny.write("00_first", "print(1)")
    assert tiny.run("smoke", "--only", "00") == 1
    assert "00_first: ended without results.save" in capsys.readouterr().err


def test_a_kernel_that_dies_is_reported(tiny, capsys):
    tiny.write("00_first", "print('alive', flush=True)", "import os\nos._exit(1)")
    assert tiny.run("smoke", "--only", "00") == 1
    assert "00_first, cell [4]: the kernel died" in capsys.readouterr().err


def test_a_kernel_that_does_not_start_is_reported(tiny, capsys, monkeypatch):
    monkeypatch.setattr(execute, "get_kernel_dict", lambda more: {"argv": [sys.executable, "-c", ""]})
    assert tiny.run("smoke", "--only", "00") == 1
    assert "00_first, cell [0]: the kernel died, or did not start" in capsys.readouterr().err


def test_after_a_kill_only_the_interrupted_notebook_is_redone(tiny, capsys):
    waiting = "import os, time\nfrom pathlib import Path\nflag = Path(os.environ['CROWD_OUTPUTS'], 'here')"
    waiting += "\nif not flag.exists():\n    flag.touch()\n    time.sleep(60)"
    tiny.write("01_second", "run.save_arrays('half', x=[1])", waiting, "results.save(run, {'x': 1})")
    runner = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tiny.folder)])
    wait_for((tiny.outputs / "here").exists)
    kernels = psutil.Process(runner.pid).children(recursive=True)
    runner.kill()
    runner.wait()
    wait_for(lambda: not any(k.is_running() and k.status() != psutil.STATUS_ZOMBIE for k in kernels))
    assert not (tiny.outputs / "smoke" / "01" / "done.json").exists()
    assert tiny.run("smoke") == 0
    assert states(capsys) == {"00": "skipped", "01": "done", "02": "done"}
    assert not list((tiny.outputs / "smoke" / "01").glob("*running*"))


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def test_one_runner_at_a_time(tiny):
    with one_runner("smoke"):
        with pytest.raises(BadInput, match="another command runs the profile smoke"):
            with one_runner("smoke"):
                pass
        with one_runner("demo"):
            pass
    (tiny.outputs / "smoke" / ".runner").write_text("left by a command that was killed")
    with one_runner("smoke"):
        pass


def test_kernels_run_this_python_whatever_is_installed(tiny, tmp_path, monkeypatch, capfd):
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    other = {
        "argv": ["/nowhere/python", "-f", "{connection_file}"],
        "display_name": "x",
        "language": "python",
    }
    (spec / "kernel.json").write_text(json.dumps(other))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROWD_OUTPUTS", "outputs")  # relative to here, though kernels start elsewhere
    tiny.write("00_first", "import sys\nprint(sys.executable)", "results.save(run, {})")
    assert tiny.run("smoke", "--only", "00") == 0
    executed = notebooks.read(tiny.outputs / "smoke" / "00" / "00_first.ipynb")
    assert executed.cells[3].outputs[0].text.strip() == sys.executable
    assert "WARNING" not in capfd.readouterr().err, "the kernel's own messages stay out of the way"


def test_plain_papermill_works_and_a_misspelt_parameter_is_refused(tiny):
    def papermill(*arguments):
        command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3"]
        file = tiny.project.notebooks / "00_first.ipynb"
        return subprocess.run(
            [*command, str(file), str(tiny.folder / "out.ipynb"), *arguments],
            cwd=tiny.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip

    tiny.params("00", "profile: demo\nepochs: 5\n")
    assert papermill("-f", str(tiny.project.params / "demo" / "00.yaml")).returncode == 0
    assert tiny.metrics("demo", "00")["epochs"] == 5
    wrong = papermill("-p", "epoch", "5")
    assert wrong.returncode != 0
    assert "unknown parameter 'epoch'; did you mean epochs?" in wrong.stderr


def test_running_by_hand_takes_the_stamp_away(tiny, capsys):
    assert tiny.run("smoke", "--only", "02") == 0
    cells = notebooks.code_cells(notebooks.read(tiny.project.notebooks / "02_third.ipynb"))
    program = "\n".join(cell.source for cell in cells[:2])
    subprocess.run([sys.executable, "-c", program], check=True)
    tiny.run("smoke", "--only", "02", "--list")
    assert "to do" in capsys.readouterr().out


def after(tiny, name: str, told: str, *cells: str) -> None:
    """Write a notebook whose `start` is told something."""
    file = tiny.write(name, *cells)
    notebook = notebooks.read(file)
    notebook.cells[2].source = notebook.cells[2].source.replace("globals()", f"globals(), {told}")
    nbformat.write(notebook, file)


MEET = """
import os, time
from pathlib import Path
Path(os.environ['CROWD_OUTPUTS'], run.number).touch()
end = time.monotonic() + {seconds}
while time.monotonic() < end and not Path(os.environ['CROWD_OUTPUTS'], '{other}').exists():
    time.sleep(0.05)
met = Path(os.environ['CROWD_OUTPUTS'], '{other}').exists()
"""


def test_what_needs_nothing_of_each_other_runs_side_by_side(tiny, capsys):
    """Two wait for each other; the fourth comes after all; the third measures seconds and is alone."""
    saved = "results.save(run, {'met': int(met)})"
    after(tiny, "01_second", "after=['00']", MEET.format(seconds=60, other="02"), saved)
    after(tiny, "02_third", "after=['00']", MEET.format(seconds=60, other="01"), saved)
    after(tiny, "03_fourth", "after=['00'], alone=True", MEET.format(seconds=1, other="04"), saved)
    after(tiny, "04_fifth", "after=['00']", MEET.format(seconds=0, other="03"), saved)
    tiny.write(
        "05_sixth", "assert {'01', '03'} <= {file[:2] for file in run.inputs}", "results.save(run, {})"
    )
    assert tiny.run("smoke", "--jobs", "2") == 0
    assert states(capsys) == dict.fromkeys(["00", "01", "02", "03", "04", "05"], "done")
    assert [tiny.metrics("smoke", n).get("met") for n in ("01", "02", "03", "04")] == [1, 1, 0, 1]
    table = json.loads((tiny.outputs / "smoke" / "run.json").read_text())
    assert [row["number"] for row in table["notebooks"]] == ["00", "01", "02", "03", "04", "05"]
    assert table["side_by_side"] == 2
    assert tiny.run("smoke", "--jobs", "2") == 0
    assert set(states(capsys).values()) == {"skipped"}
    assert tiny.run("smoke", "--jobs", "0") == 2


def test_the_longest_way_to_the_end_begins_first(monkeypatch):
    """Of demo's plan: 06, which 07b follows, before the longer 04 once 03 has ended alone."""
    seconds = {"03": 200, "04": 300, "06": 250, "07b": 400}
    monkeypatch.setattr(execute, "reference_of", lambda job: {"seconds": seconds.get(job.number, 60)})
    jobs = {job.number: job for job in plan(Project(), "demo")}
    done, running, begun = ["00", "01", "02"], [], []
    while job := next_of([j for n, j in jobs.items() if n not in (*done, *begun)], running):
        begun.append(job.number)
        running.append(job)
        if job.alone:
            assert next_of([j for n, j in jobs.items() if n not in (*done, *begun)], running) is None
            running.clear()
            done.append(job.number)
    assert begun == ["03", "06", "04"]


def test_a_short_job_with_a_long_follower_begins_before_a_longer_one(monkeypatch):
    seconds = {"01": 5, "02": 1, "03": 9}
    monkeypatch.setattr(execute, "reference_of", lambda job: {"seconds": seconds[job.number]})
    follows = {"01": set(), "02": set(), "03": {"02"}}
    made = {n: Job(n, Path(n), "demo", {}, {}, [], "", follows=frozenset(of)) for n, of in follows.items()}
    assert next_of([*made.values()], []).number == "02"


def test_one_that_fails_lets_the_other_end_and_nothing_else_begin(tiny, capsys):
    after(tiny, "01_second", "after=['00']", MEET.format(seconds=60, other="02"), "raise ValueError('no')")
    after(tiny, "02_third", "after=['00']", MEET.format(seconds=60, other="01") + "time.sleep(2)",
          "results.save(run, {'x': 1})")  # fmt: skip
    tiny.write("03_fourth", "results.save(run, {'x': 1})")
    assert tiny.run("smoke", "--jobs", "2") == 1
    output = capsys.readouterr()
    assert re.findall(r"(\d\d)_\w+ .* (\w+)$", output.out, re.MULTILINE) == [
        ("00", "done"), ("01", "failed"), ("02", "done"),
    ]  # fmt: skip
    assert output.err.startswith("error: 01_second, cell [4]: ValueError: no\nkept for inspection: ")


def test_a_notebook_cannot_come_after_a_later_one(tiny, capsys):
    after(tiny, "01_second", "after=['02']", "results.save(run, {'x': 1})")
    assert tiny.run("smoke") == 2
    assert "notebook 01: after=['02'], but no notebook 02 is before it" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child process")
def test_ctrl_c_stops_in_order(tiny):
    waits = ("open(run.folder / 'here', 'w').close()", "import time\ntime.sleep(60)")
    after(tiny, "00_first", "after=[]", *waits)
    after(tiny, "01_second", "after=[]", *waits)
    runner = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace('["smoke"]', '["smoke", "--jobs", "2"]'), str(tiny.folder)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for number in ("00", "01"):
        wait_for(Path(tiny.outputs / "smoke" / number / "here").exists)
    kernels = psutil.Process(runner.pid).children(recursive=True)
    assert len(kernels) >= 2
    runner.send_signal(signal.SIGINT)
    error = runner.communicate(timeout=60)[1]
    assert runner.returncode == 130
    assert not any(kernel.is_running() for kernel in kernels)
    assert "the same command continues" in error
    with one_runner("smoke"):
        pass


def test_a_notebook_without_its_data_is_left_out_and_the_rest_goes_on(tiny, capsys):
    """By what `start` requires, nothing is executed; by what the notebook itself finds, up to there."""
    name = "(run.folder / 'collection').mkdir(parents=True)\n(run.folder / 'collection' / 'collection.json')"
    toy = f'{name}.write_text(\'{{"name": "toy"}}\')'
    tiny.write("00_first", "run.lacks('owners', 'toy has no owners')", toy, "results.save(run, {})")
    requires = "run = start('{}', globals(), requires=['owners'])\nassert False"
    second, real = (
        tiny.write(name, "results.save(run, {})") for name in ("01_second", "04_latent_neighbours")
    )
    for file in (second, real):
        notebook = notebooks.read(file)
        notebook.cells[2].source = f"from helpers.notebook.run import start\n{requires.format(file.stem)}"
        nbformat.write(notebook, file)
    tiny.write("02_third", "raise run.not_testable('30 pictures, and 50 are needed')")
    tiny.write("03_fourth", "assert not run.has('01') and not run.has('02')", "results.save(run, {'x': 1})")
    assert tiny.run("smoke") == 0
    out = capsys.readouterr().out
    assert "01_second" in out
    assert "not testable: toy has no owners" in out
    assert "not testable: 30 pictures, and 50 are needed" in out
    board = artefacts.read_json(tiny.outputs / "smoke" / "scoreboard.json")["claims"]
    expected = [(c.id, "not testable", "toy has no owners") for c in papers.of_notebook(real.stem)]
    assert expected
    assert [(c["id"], c["verdict"], c["note"]) for c in board] == expected, "its claims say why"
    assert not (tiny.outputs / "smoke" / "01" / "01_second.ipynb").exists()
    assert (tiny.outputs / "smoke" / "02" / "02_third.html").is_file(), "what it said until then"
    page = (tiny.outputs / "smoke" / "index.html").read_text(encoding="utf-8")
    assert "toy has no owners" in page

    assert tiny.run("smoke", "--list") == 0
    assert "not testable on this data: toy has no owners" in capsys.readouterr().out
    tiny.write("00_first", "results.save(run, {})")
    assert tiny.run("smoke", "--only", "00", "--only", "01") == 1, "with owners it is run"

"""The whole sequence on tiny collections, in seconds: the real runner, with cells executed in forks.

A kernel for each notebook would spend most of its time on imports; a fork of this process has them already.
It is a program of its own, because a process that has computed on several threads must not be forked.

    python any_collection.py FOLDER NAME…

writes FOLDER/NAME.json: the exit status, and number -> what became of the notebook.
"""

import contextlib
import importlib
import io
import json
import os
import pkgutil
import re
import shutil
import sys
import traceback
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import torch
import yaml
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "data"))
import shops

import helpers
from helpers import paths
from helpers.notebook import artefacts, sources
from helpers.runner import execute, report
from helpers.runner.commands import main
from helpers.runner.plan import Project

# small values of parameters, for every notebook that has them
TINY = {
    "posts": 160, "users": 50, "views_per_user": 24.0, "contents": 6, "drawings_per_content": 6,
    "communities": 3, "min_views": 2, "seeds": 2, "threads": 1, "lam_grid": [0.05], "d_grid": [8], "d": 8,
    "f": 8, "epochs": 1, "timed_cells": 2000, "timed_items": 2000, "trials": 1,
    "cf_epochs": 2, "draws": 1000, "map_items": 20,
    "search_epochs": 1, "resolution": 32, "resolutions": [32], "image_side": 32, "network_epochs": 1,
    "least_epochs": 1, "word_epochs": 1, "softmax_classes": [100, 200], "repeats": 2, "set_items": 80,
    "sweeps": 1, "curve_shares": [0.5, 1.0], "learner_items": 80,
    "e_grid": [2, 4], "f_grid": [8], "u_grid": [4], "mlp_grid": [8], "rank_grid": [4],
    "d_tested": [4, 8], "ranks_tested": [2, 4], "f_others": [4], "components": 16, "hidden_grid": [16],
    "lr_grid": [0.01], "decay_grid": [0.1], "dropout_grid": [0.2], "alpha_grid": [1.0], "cap_grid": [0.5],
    "tau_grid": [0.1], "detail_seeds": 2, "vocabularies": [50, 100], "viewings": 100,
    "label_ratios": [0.5, 1.0], "ratio_seeds": 2, "class_least": 8, "post_shares": [0.5, 1.0],
    "train_shares": [0.5, 1.0], "sets": [], "map_words": 20, "width_grid": [0.05],
    "network_lr_grid": [0.001], "network_trials": 1,
    "n_folds": 2, "adapter_trials": 1, "adapter_lr": [0.001], "adapter_epochs": [1],
}  # fmt: skip


def perform(file: Path, output: Path, overrides) -> None:
    """Stands in for `execute.perform`: the same cells with the same parameters, in a fork of this process."""
    notebook = sources.read(file)
    cells = []
    for cell in sources.code_cells(notebook):
        cells.append(cell.source)
        if "parameters" in cell.metadata.get("tags", []):
            cells.append("# Parameters\n" + "".join(f"{n} = {v!r}\n" for n, v in overrides.items()))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        code = 1
        try:
            with os.fdopen(write, "wb") as pipe:
                pipe.write(json.dumps(run_cells(cells)).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    output.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, output)
    kind, number, message = json.loads(content) if content else ("died", 0, "")
    if kind == "NotTestable":
        raise execute.Untestable(message.partition(execute.NOT_TESTABLE)[2] or message)
    if kind:
        raise execute.Failure(f"{file.stem}, cell [{number}]: {kind}: {message}")


def run_cells(cells: list[str]) -> tuple[str, int, str]:
    """Name of the error ("" for none), number of its cell and its message."""
    os.chdir(paths.ROOT)
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for number, source in enumerate(cells, 1):
            result = shell.run_cell(source, store_history=True)
            if error := result.error_before_exec or result.error_in_exec:
                where = traceback.extract_tb(error.__traceback__)[-1]
                at = (
                    ""
                    if type(error).__name__ in ("BadInput", "NotTestable")
                    else f" ({where.name}: {where.line})"
                )
                return type(error).__name__, number, f"{error}{at}"
    return "", 0, ""


def run(folder: Path, profile: str, parameters: dict) -> tuple[int, dict[str, str]]:
    """Run every notebook with small values and these; the exit status, and number -> what became of it."""
    project = Project(params=folder / "params")
    place = project.params / profile
    place.mkdir(parents=True)
    values = TINY | parameters
    for number, file in sources.find(project.notebooks).items():
        chosen = {"profile": profile}
        for name, declared in sources.parameters(sources.read(file), file.name).items():
            if name in values:
                value, listed = values[name], declared.kind.startswith("list")
                chosen[name] = [value] if listed and not isinstance(value, list) else value
                if isinstance(value, list) and not listed:
                    chosen[name] = value[0]
        (place / f"{number}.yaml").write_text(yaml.safe_dump(chosen), encoding="utf-8")
    status = main([profile, "--jobs", "1"], project)
    summary = artefacts.read_json(folder / "outputs" / profile / "run.json")
    assert (folder / "outputs" / profile / "index.html").is_file()
    return status, {r["number"]: r.get("error") or r.get("why") or r["status"] for r in summary["notebooks"]}


def release(folder: Path, movies: dict[int, str], ratings=None, tags=None) -> Path:
    """A folder in the layout of ml-latest, with a small poster for each movie.

    Args:
        movies: id -> genres, as "Action|Comedy".
        ratings: (user, movie) pairs, or None for no such file.
        tags: (user, movie, tag, seconds), or None.
    """
    folder.mkdir(parents=True)
    lines = [f"{movie},Title {movie} ({1990 + movie % 20}),{genres}" for movie, genres in movies.items()]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *lines]) + "\n", encoding="utf-8")
    if ratings is not None:
        lines = [f"{user},{movie},4.0,{1_000_000_000 + n}" for n, (user, movie) in enumerate(ratings)]
        text = "\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n"
        (folder / "ratings.csv").write_text(text, encoding="utf-8")
    if tags is not None:
        lines = [f"{user},{movie},{tag},{seconds}" for user, movie, tag, seconds in tags]
        text = "\n".join(["userId,movieId,tag,timestamp", *lines]) + "\n"
        (folder / "tags.csv").write_text(text, encoding="utf-8")
    pictures(folder / "posters", {movie: f"{movie}.jpg" for movie in movies})
    return folder


def pictures(folder: Path, names: dict[int, str]) -> None:
    """A small picture of noise for each number, under its name."""
    folder.mkdir(parents=True)
    for number, name in names.items():
        pixels = np.random.default_rng(number).integers(0, 256, (40, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)


def lists(folder: Path) -> None:
    """Sixty invented photos in the published formats of YFCC100M, Pinterest and Flickr style."""
    photos, words = range(1, 61), [f"word{letter}" for letter in "abcdefghijklmnopqrst"]
    base = folder / "yfcc100m"
    pictures(base / "images", {k: f"{k}.jpg" for k in photos})
    with open(base / "yfcc100m_dataset", "w", encoding="utf-8") as stream:
        for k in photos:
            given = ",".join(words[(k + j) % 20] for j in range(4))
            fields = [k, f"{k % 7}@N00", "nick", "null", 1_200_000_000 + 60 * k, "", f"photo+{k}", "", given]
            stream.write("\t".join(map(str, [*fields, *[""] * 13, 0])) + "\n")
    concepts = "".join(f"{k}\t{'outdoor' if k % 2 else 'people'}:0.9\n" for k in photos)
    (base / "yfcc100m_autotags").write_text(concepts)
    base = folder / "pinterest"
    pictures(base / "images", {k: f"{k}.jpg" for k in photos})
    repins = "".join(f"{user}|{pin}|{pin % 3}|{user}\n" for user, pin in crowd(40, list(photos)))
    (base / "repins.csv").write_text(repins)
    (base / "category_id.txt").write_text("animals|0\narchitecture|1\nart|2\n")
    base = folder / "flickr" / "flickr_style"
    pictures(base / "images", {k: f"{k}_ab.jpg" for k in photos})
    rows = [f"{k},http://x/{k}_ab.jpg,http://www.flickr.com/photos/{k % 7}@N00/{k},{k % 2}" for k in photos]
    table = "".join(f"{row},train\n" for row in rows)
    (base / "flickr_style.csv").write_text(",image_url,page_url,label,_split\n" + table)
    (base / "style_names.txt").write_text("Detailed\nHDR\n")


SHOPS = {
    "features and no pictures": ("behance", shops.behance),
    "features, titles and labels, no pictures": ("amazon", shops.amazon_2014),
    "pictures of products": ("amazon", shops.amazon_2023),
}
PARTS = ("views", "tags", "times", "labels", "attributes", "owners", "images")


def crowd(people: int, movies: list[int], share: float = 0.5, seed: int = 0) -> list[tuple[int, int]]:
    """Who rated what, drawn: (user from 1, movie)."""
    rng = np.random.default_rng(seed)
    return [(user, movie) for user in range(1, people + 1) for movie in movies if rng.random() < share]


def written(
    rated: list[tuple[int, int]], words: list[str], first: int = 0
) -> list[tuple[int, int, str, int]]:
    """A tag of `words` for each rating, a minute apart; users are numbered from `first` + 1."""
    return [
        (first + user, movie, words[(user + movie) % len(words)], 1_100_000_000 + 60 * n)
        for n, (user, movie) in enumerate(rated)
    ]


def collections(folder: Path | None = None) -> dict[str, dict]:
    """Name -> parameters: simulated crowds without one part, or two neighbours of `PARTS` so that each is in
    a pair (all pairs would take twelve minutes more), and small releases of an odd kind.

    Args:
        folder: where the releases are written, if anywhere.
    """
    found = {"complete": {"finetune_epochs": 1}}  # all weights trained, once
    found |= {f"no {part}": {"leave_out": [part]} for part in PARTS}
    found |= {f"no {a}, no {b}": {"leave_out": [a, b]} for a, b in [*pairwise([*PARTS, PARTS[0]])][::2]}
    genres = ["Action", "Comedy|Drama", "Drama", "Action|Comedy", "Crime"]
    sixty = {movie: genres[movie % 5] for movie in range(1, 61)}
    words = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    seen = crowd(40, list(sixty))
    alone = [(1, movie) for movie in sixty]
    odd = {
        "few distinct tags": (sixty, seen, written(seen, ["red", "green", "blue", "old"])),
        "no filtering needed": (sixty, [(u, m) for u in range(1, 31) for m in sixty], written(seen, words)),
        "one user with everything": (sixty, alone, written(alone, words)),
        "a single class": (dict.fromkeys(sixty, "Drama"), seen, written(seen, words)),
        "no genres": (dict.fromkeys(sixty, "(no genres listed)"), seen, written(seen, words)),
        "30 items": ({m: sixty[m] for m in range(1, 31)}, crowd(40, list(range(1, 31))), None),
        "30 items with tags": (
            {m: sixty[m] for m in range(1, 31)}, crowd(40, list(range(1, 31))),
            written(crowd(40, list(range(1, 31))), words),
        ),
        "tags and no ratings": (sixty, None, written(seen, words)),
        "ratings and no tags": (sixty, seen, None),
    }  # fmt: skip
    for name, content in odd.items():
        few = {"hashtags_dropped": 0, "words_dropped": 0} if name == "few distinct tags" else {}
        found[name] = few | {"dataset": "movielens", "data_dir": str(folder and folder / name)}
        if folder and not (folder / name).exists():
            release(folder / name, *content)
    mine = folder and folder / "own"
    if folder and not mine.exists():
        release(mine, dict.fromkeys(range(1, 31), ""))
        (mine / "movies.csv").unlink()
        (mine / "posters").rename(mine / "images")
        viewed = crowd(40, list(range(1, 31)))
        views = "".join(f"user {user},{item}\n" for user, item in viewed)
        (mine / "views.csv").write_text("user,item\n" + views, encoding="utf-8")
        tags = "".join(",".join(map(str, row)) + "\n" for row in written(viewed, words))
        (mine / "tags.csv").write_text("user,item,tag,time\n" + tags, encoding="utf-8")
    found["a folder of one's own"] = {"dataset": "own", "data_dir": str(mine)}
    apart = folder and folder / "two releases"
    if folder and not apart.exists():
        release(apart / "ml-one", sixty, ratings=seen)
        release(apart / "ml-two", sixty, ratings=crowd(3, [1, 2, 3]), tags=written(seen, words, first=5000))
        shutil.move(apart / "ml-one" / "posters", apart / "posters")
        shutil.rmtree(apart / "ml-two" / "posters")
    for name, (dataset, write) in SHOPS.items():
        found[name] = {"dataset": dataset, "data_dir": str(folder and folder / name), "words_dropped": 0}
        if folder and not (folder / name).exists():
            write(folder / name, 60, 300)
            if name.startswith("features, titles"):
                shops.vectors(folder / name / "image_features_x.b", [shops.asin(i) for i in range(300)])
            elif dataset == "amazon":
                shops.pictures(folder / name / "images", [shops.asin(i) for i in range(100)])
    found["two releases whose users differ"] = {"dataset": "movielens", "data_dir": str(apart)}
    if folder and not (folder / "flickr").exists():
        lists(folder)
    for name in ("yfcc100m", "pinterest", "flickr"):
        found[name] = {"dataset": name, "data_dir": str(folder and folder / name)}
    return found


if __name__ == "__main__":
    base = Path(sys.argv[1])
    os.environ["CROWD_OUTPUTS"] = str(base / "outputs")
    execute.perform = perform
    report.write_html = lambda executed, target, profile: target.write_text("page")
    for module in pkgutil.walk_packages(helpers.__path__, "helpers."):
        if module.name not in ("helpers.run", "helpers.crowd.spark"):  # the second needs an extra
            importlib.import_module(module.name)
    for slow in ("torch._dynamo", "pandera.pandas", "seaborn"):  # what the forks would import each time
        importlib.import_module(slow)
    torch.set_num_threads(1)
    known = collections(base / f"data-{os.getpid()}")
    for wanted in sys.argv[2:]:
        print(f"== {wanted}", flush=True)
        became = run(base, re.sub(r"\W+", "-", wanted), known[wanted])
        (base / f"{wanted}.json").write_text(json.dumps(became), encoding="utf-8")

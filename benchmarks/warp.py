"""WARP's search for a violating negative, 4,096 examples of 10,000 tags: ours against the paper's loop.

python -m benchmarks.warp --tags 10000 --size 64

The loop is the paper's, one example after the other with NumPy for the scores. The other peer scores every
tag with one matrix product and picks the first violator among drawn ones, which is what one writes without a
compiler. All draw the same negatives, so all must find the same violators.
"""

import numpy as np

from benchmarks.common import compare, parser, show
from helpers.people import warp
from helpers.words.bags import Bags

SEED = 7


def by_loop(phi, V, positive, row, true):
    """Section 3 of Denton et al. 2015 as it is written: int64 (B,), the violators, −1 where there is none."""
    found = np.full(len(phi), -1)
    for b in range(len(phi)):
        mine = set(true[1][true[0][row[b]] : true[0][row[b] + 1]].tolist())
        threshold, draws, attempt = phi[b] @ V[positive[b]] - np.float32(warp.MARGIN), 0, 0
        while draws < warp.MOST_DRAWS:
            y = warp.candidate(SEED, b, attempt, len(V))
            attempt += 1
            if y in mine:
                continue
            draws += 1
            if phi[b] @ V[y] > threshold:
                found[b] = y
                break
    return found


def by_matrix(phi, V, positive, row, true, drawn):
    """All scores at once, then the first violator among drawn negatives int (B, n): int64 (B,)."""
    scores = phi @ V.T
    threshold = scores[np.arange(len(phi)), positive] - np.float32(warp.MARGIN)
    mine = Bags(*true).rows(row)
    scores[np.repeat(np.arange(len(phi)), np.diff(mine.indptr)), mine.indices] = -np.inf
    violates = np.take_along_axis(scores, drawn, axis=1) > threshold[:, None]
    first = violates.argmax(axis=1)
    return np.where(violates.any(axis=1), drawn[np.arange(len(phi)), first], -1)


def main(arguments: list[str] | None = None) -> None:
    made = parser(__doc__.splitlines()[0], examples=4096, tags=10_000, size=64, true=5, margin_percent=5)
    options = made.parse_args(arguments)
    B, K, rng = options.examples, options.tags, np.random.default_rng(0)
    phi, V = (rng.normal(0, options.size**-0.5, (n, options.size)).astype(np.float32) for n in (B, K))
    sets = [np.sort(rng.choice(K, options.true, replace=False)) for _ in range(B)]
    true = (np.arange(B + 1) * options.true, np.concatenate(sets).astype(np.int32))
    positive, row = true[1][:: options.true].astype(np.int64), np.arange(B)
    # a model in the middle of its training: few tags stand above the true one
    best = np.argpartition(-(phi @ V.T), K * options.margin_percent // 100, axis=1)
    V_of_positive = V[best[:, K * options.margin_percent // 100]]
    phi += 0.5 * (V[positive] - V_of_positive)
    drawn = np.array([[warp.candidate(SEED, b, a, K) for a in range(warp.MOST_DRAWS)] for b in range(B)])
    given = phi, V, positive, row, true
    runs = {
        "ours": lambda: warp.violators(*given, seed=SEED).negative,
        "all scores at once": lambda: by_matrix(*given, drawn),
        "the paper's loop": lambda: by_loop(*given),
    }
    values = {name: run() for name, run in runs.items()}
    alike = {name: float((value == values["ours"]).mean()) for name, value in values.items()}
    draws = warp.violators(*given, seed=SEED).draws
    print(f"{B} examples, {K} tags: {np.median(draws):.0f} draws each (median); the same violator: {alike}")
    # a score at the margin may fall on either side, because sums of 32-bit numbers depend on their order
    assert min(alike.values()) > 0.999
    show("WARP, search of a batch", compare(runs, options.repeats))


if __name__ == "__main__":
    main()

"""WARP with 10,000 tags: the search for a violating negative in a batch, and time to the same held-out AUC.

    python -m benchmarks.warp --tags 10000 --size 64

The search: ours, the paper's loop (one example after the other with NumPy for the scores), and every tag
scored with one matrix product, which is what one writes without a compiler. All draw the same negatives, so
all must find the same violators. Training of a vector for each user and tag, d = 100, one thread: ours,
lightfm-next, and torch with all scores of a batch at once, which is slow and gets fewer epochs.
"""

import numpy as np
import scipy.sparse as sp
import torch
from lightfm import LightFM

from benchmarks import crowds
from benchmarks.common import compare, curves, parser, report, to_mark
from helpers.crowd.filtering import to_csr
from helpers.measures import ranking
from helpers.measures.metrics import at_k
from helpers.people import warp
from helpers.words.bags import Bags

SEED, D, DRAWS = 7, 100, 100
STEP = 0.03  # of 0.02, 0.03, 0.05 and 0.1 the best for lightfm-next and for ours


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


def with_torch(train, n_items: int, epochs: int, batch: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """The same loss and AdaGrad; each batch scores all tags, and then tries DRAWS random ones."""
    torch.manual_seed(SEED)
    X, V = (torch.nn.Embedding(n, D, sparse=True) for n in (len(train[0]) - 1, n_items))
    for table in (X, V):
        torch.nn.init.normal_(table.weight, std=0.01)
    optimiser = torch.optim.Adagrad([X.weight, V.weight], STEP, initial_accumulator_value=1.0)
    rows, weights = np.repeat(np.arange(len(train[0]) - 1), np.diff(train[0])), warp.rank_weights(n_items)
    for _ in range(epochs):
        for chosen in torch.randperm(len(rows)).split(batch):
            u, positive = rows[chosen], torch.from_numpy(train[1][chosen]).long()
            mine, at = Bags(*train).rows(u), np.arange(len(u))
            with torch.no_grad():
                scores = X.weight[u] @ V.weight.T
                threshold = scores[at, positive] - 1
                scores[np.repeat(at, np.diff(mine.indptr)), mine.indices] = -torch.inf
                drawn = torch.randint(n_items, (len(u), DRAWS))
                violates = scores.gather(1, drawn) > threshold[:, None]
                first = violates.float().argmax(1)
                weight = torch.from_numpy(weights[n_items // (first + 1)]) * violates.any(1)
            apart = V(drawn[at, first]) - V(positive)
            loss = (weight * (1 + (X(torch.from_numpy(u)) * apart).sum(1))).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return X.weight.detach().numpy(), V.weight.detach().numpy()


def search(options) -> None:
    """The search of a batch of 4,096 examples."""
    B, K, rng = options.examples, options.tags, np.random.default_rng(0)
    phi, V = (rng.normal(0, options.size**-0.5, (n, options.size)).astype(np.float32) for n in (B, K))
    sets = [np.sort(rng.choice(K, options.true, replace=False)) for _ in range(B)]
    true = (np.arange(B + 1) * options.true, np.concatenate(sets).astype(np.int32))
    positive, row = true[1][:: options.true].astype(np.int64), np.arange(B)
    # a model in the middle of its training: few tags stand above the true one
    best = np.argpartition(-(phi @ V.T), K * options.margin_percent // 100, axis=1)
    phi += 0.5 * (V[positive] - V[best[:, K * options.margin_percent // 100]])
    drawn = np.array([[warp.candidate(SEED, b, a, K) for a in range(warp.MOST_DRAWS)] for b in range(B)])
    given = phi, V, positive, row, true
    runs = {
        "ours": lambda: warp.violators(*given, seed=SEED).negative,
        "all scores at once": lambda: by_matrix(*given, drawn),
        "the paper's loop": lambda: by_loop(*given),
    }
    values = {name: run() for name, run in runs.items()}
    alike = {name: float((value == values["ours"]).mean()) for name, value in values.items()}
    # a score at the margin may fall on either side, because sums of 32-bit numbers depend on their order
    assert min(alike.values()) > 0.999, alike
    report("WARP, search of a batch", compare(runs, options.repeats), options)


def training(options) -> None:
    """Time to the same AUC, and to the same precision among the first ten, on held-out views."""
    n_users, n_items = options.users, options.tags
    user, item = crowds.views(n_users, n_items, options.views)
    held = np.random.default_rng(0).random(len(user)) < 0.2
    train, test = to_csr(user[~held], item[~held], n_users), to_csr(user[held], item[held], n_users)
    some = np.arange(min(n_users, 1000))
    matrix = sp.csr_matrix((np.ones(len(train[1]), np.float32), *train[::-1]), shape=(n_users, n_items))

    def with_ours(epochs: int):
        return ranking.dot_scorer(*warp.fit_tables(train, n_items, D, epochs, STEP, SEED, most=DRAWS))

    def with_lightfm(epochs: int):
        model = LightFM(D, loss="warp", learning_rate=STEP, max_sampled=DRAWS, random_state=SEED)
        model.fit(matrix, epochs=epochs, num_threads=1)
        return ranking.dot_scorer(model.user_embeddings, model.item_embeddings, model.item_biases)

    def measures(_, scorer) -> dict[str, float]:
        scores = scorer(some)
        scores[np.repeat(some, np.diff(train[0])[some]), train[1][: train[0][len(some)]]] = -np.inf
        hits = at_k(scores, Bags(*test).rows(some), 10)["precision"]
        return {"AUC": ranking.recommender_auc(scorer, train, test, some).mean, "P@10": hits.mean}

    runs = {"ours": with_ours, "lightfm-next": with_lightfm}
    runs["all scores at once"] = lambda epochs: ranking.dot_scorer(*with_torch(train, n_items, epochs))
    tries = {"ours": (1, 2, 4, 6, 8, 10, 12), "lightfm-next": (1, 2, 4, 6, 8), "all scores at once": (1, 2)}
    torch.set_num_threads(1)
    found = curves(runs, measures, tries)
    for measure, slack in (("AUC", 5e-4), ("P@10", 1e-3)):
        times, more = to_mark(found, runs, measure, "lightfm-next", slack, options.repeats)
        report(f"WARP, time to equal {measure}", times, options, 5, **more)


def main(arguments: list[str] | None = None) -> None:
    numbers = {"examples": 4096, "tags": 10_000, "size": 64, "true": 5, "margin_percent": 5}
    options = parser(__doc__, repeats=3, users=20_000, views=40, **numbers).parse_args(arguments)
    search(options)
    training(options)


if __name__ == "__main__":
    main()

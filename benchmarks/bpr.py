"""BPR, d = 64: time to the same AUC on held-out views, ours against cornac and implicit.

python -m benchmarks.bpr --users 20000 --items 20000
"""

import numpy as np

from benchmarks import crowds
from benchmarks.common import compare, parser, show
from helpers.crowd import bpr, peers
from helpers.crowd.factorize import Factors
from helpers.crowd.filtering import to_csr
from helpers.measures import ranking

D = 64
# (eta, lambda), the best of eta 0.05 to 0.3 and lambda 0.001 to 0.03; ours also lowers eta with the epochs
STEPS = {"ours": (0.3, 0.03), "cornac": (0.1, 0.02), "implicit": (0.1, 0.001)}


def with_cornac(dataset, threads, epochs):
    from cornac.models import BPR

    eta, lam = STEPS["cornac"]
    model = BPR(k=D, max_iter=epochs, learning_rate=eta, lambda_reg=lam, num_threads=threads, seed=1)
    return model.fit(dataset)


def cornac_scorer(model, dataset, n_users, n_items):
    X, Y = np.zeros((n_users, D), np.float32), np.zeros((n_items, D), np.float32)
    bias = np.full(n_items, model.i_biases.min(), np.float32)  # for items without a training view
    X[list(dataset.uid_map)] = model.u_factors[list(dataset.uid_map.values())]
    items = list(dataset.iid_map)
    Y[items] = model.i_factors[list(dataset.iid_map.values())]
    bias[items] = model.i_biases[list(dataset.iid_map.values())]
    return ranking.dot_scorer(X, Y, bias)


def main() -> None:
    options = parser(__doc__.splitlines()[0], users=20_000, items=20_000, views=40, threads=2).parse_args()
    n_users, n_items, threads = options.users, options.items, options.threads
    user, item = crowds.views(n_users, n_items, options.views)
    held = np.random.default_rng(0).random(len(user)) < 0.2
    train, test = to_csr(user[~held], item[~held], n_users), to_csr(user[held], item[held], n_users)
    some = np.arange(min(n_users, 1000))

    def with_ours(epochs: int) -> tuple[Factors, np.ndarray]:
        eta, lam = STEPS["ours"]
        return bpr.fit_bpr(train, n_items, D, lam, eta, max_epochs=epochs, threads=threads)

    def with_implicit(epochs: int) -> Factors:
        eta, lam = STEPS["implicit"]
        return peers.bpr(train, n_items, D, lam, eta, epochs, threads=threads)

    runs = {"ours": with_ours, "implicit": with_implicit}
    scorers = {
        "ours": lambda found: ranking.dot_scorer(found[0].X, found[0].Y, found[1]),
        "implicit": lambda found: ranking.dot_scorer(found.X, found.Y),
    }
    try:
        from cornac.data import Dataset
    except ImportError:
        print("cornac is not installed (pip install -e '.[bench]')")
    else:
        dataset = Dataset.from_uir(
            [*zip(user[~held].tolist(), item[~held].tolist(), np.ones((~held).sum()).tolist(), strict=True)]
        )
        runs["cornac"] = lambda epochs: with_cornac(dataset, threads, epochs)
        scorers["cornac"] = lambda model: cornac_scorer(model, dataset, n_users, n_items)
    curves = {}
    for name, run in runs.items():
        curves[name] = {
            epochs: ranking.recommender_auc(scorers[name](run(epochs)), train, test, some).mean
            for epochs in (5, 10, 15, 20, 25, 30, 40)
        }
        print(name, {epochs: round(auc, 4) for epochs, auc in curves[name].items()})
    # the mark is what cornac reaches at its best, or where it is absent what we do
    mark = max(curves.get("cornac", curves["ours"]).values())
    needed = {n: next((e for e, v in c.items() if v >= mark - 5e-4), None) for n, c in curves.items()}
    print(f"{(~held).sum():,} positives, {threads} threads, to AUC {mark:.4f}: epochs {needed}")
    reached = {n: (lambda n=n: runs[n](needed[n])) for n in runs if needed[n]}
    if len(reached) > 1:
        show("BPR, time to the mark", compare(reached, options.repeats), 5)
    once = {n: (lambda n=n: runs[n](10)) for n in runs}
    show("BPR, ten epochs whatever they reach", compare(once, options.repeats))


if __name__ == "__main__":
    main()

"""BPR, d = 64: time to the same AUC on held-out views, ours against cornac and implicit.

python -m benchmarks.bpr --users 20000 --items 20000
"""

import numpy as np
from cornac.models import BPR

from benchmarks import crowds
from benchmarks.common import curves, parser, report, to_mark
from helpers.crowd import bpr, peers
from helpers.crowd.factorize import Factors
from helpers.crowd.filtering import to_csr
from helpers.measures import ranking

D = 64
# (eta, lambda), the best of eta 0.05 to 0.3 and lambda 0.001 to 0.03; ours also lowers eta with the epochs
STEPS = {"ours": (0.3, 0.03), "cornac": (0.1, 0.02), "implicit": (0.1, 0.001)}


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, users=20_000, items=20_000, views=40, threads=2).parse_args(arguments)
    n_users, n_items, threads = options.users, options.items, options.threads
    user, item = crowds.views(n_users, n_items, options.views)
    held = np.random.default_rng(0).random(len(user)) < 0.2
    train, test = to_csr(user[~held], item[~held], n_users), to_csr(user[held], item[held], n_users)
    some, dataset = np.arange(min(n_users, 1000)), crowds.for_cornac(user[~held], item[~held])

    def with_ours(epochs: int) -> tuple[Factors, np.ndarray]:
        eta, lam = STEPS["ours"]
        return bpr.fit_bpr(train, n_items, D, lam, eta, max_epochs=epochs, threads=threads)

    def with_implicit(epochs: int) -> Factors:
        eta, lam = STEPS["implicit"]
        return peers.bpr(train, n_items, D, lam, eta, epochs, threads=threads)

    def with_cornac(epochs: int) -> BPR:
        eta, lam = STEPS["cornac"]
        model = BPR(k=D, max_iter=epochs, learning_rate=eta, lambda_reg=lam, num_threads=threads, seed=1)
        return model.fit(dataset)

    def auc(name: str, model) -> dict[str, float]:
        if name == "cornac":
            model = crowds.of_cornac(model, dataset, n_users, n_items)
        factors, bias = (model, 0.0) if name == "implicit" else model
        scorer = ranking.dot_scorer(factors.X, factors.Y, bias)
        return {"AUC": ranking.recommender_auc(scorer, train, test, some).mean}

    runs = {"ours": with_ours, "implicit": with_implicit, "cornac": with_cornac}
    print(f"{(~held).sum():,} positives, {threads} threads")
    found = curves(runs, auc, dict.fromkeys(runs, (5, 10, 15, 20, 25, 30, 40)))
    times, more = to_mark(found, runs, "AUC", "cornac", 5e-4, options.repeats)
    report("BPR, time to equal AUC", times, options, 5, **more)


if __name__ == "__main__":
    main()

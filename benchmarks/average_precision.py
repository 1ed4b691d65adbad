"""mAP of 200 classes and 10,000 items with ties: ours, scikit-learn, torchmetrics.

python -m benchmarks.average_precision
"""

import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks.common import compare, parser, show
from helpers.measures.metrics import mean_average_precision


def main() -> None:
    options = parser(__doc__.splitlines()[0], items=10_000, classes=200).parse_args()
    rng = np.random.default_rng(0)
    truth = rng.random((options.items, options.classes)) < 0.03
    scores = np.round(rng.normal(size=truth.shape) + truth, 2).astype(np.float32)  # two digits: many ties
    runs = {
        "ours": lambda: mean_average_precision(truth, scores).mean,
        "scikit-learn": lambda: average_precision_score(truth, scores, average="macro"),
    }
    try:
        import torch
        from torchmetrics.functional.classification import multilabel_average_precision
    except ImportError:
        print("torchmetrics is not installed (pip install torchmetrics)")
    else:
        tensors = torch.from_numpy(scores).sigmoid(), torch.from_numpy(truth).long()
        runs["torchmetrics"] = lambda: float(multilabel_average_precision(*tensors, options.classes))
    values = {name: float(run()) for name, run in runs.items()}
    print(values)
    assert abs(values["ours"] - values["scikit-learn"]) < 1e-12
    show("mAP", compare(runs, options.repeats), 5)


if __name__ == "__main__":
    main()

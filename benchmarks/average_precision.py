"""mAP of 200 classes and 10,000 items with ties: ours, scikit-learn, torchmetrics.

python -m benchmarks.average_precision
"""

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torchmetrics.functional.classification import multilabel_average_precision

from benchmarks.common import compare, parser, report
from helpers.measures.metrics import mean_average_precision


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, items=10_000, classes=200).parse_args(arguments)
    rng = np.random.default_rng(0)
    truth = rng.random((options.items, options.classes)) < 0.03
    scores = np.round(rng.normal(size=truth.shape) + truth, 2).astype(np.float32)  # two digits: many ties
    tensors = torch.from_numpy(scores).sigmoid(), torch.from_numpy(truth).long()
    runs = {
        "ours": lambda: mean_average_precision(truth, scores).mean,
        "scikit-learn": lambda: average_precision_score(truth, scores, average="macro"),
        "torchmetrics": lambda: multilabel_average_precision(*tensors, options.classes),
    }
    values = {name: float(run()) for name, run in runs.items()}
    assert abs(values["ours"] - values["scikit-learn"]) < 1e-12, values
    assert abs(values["ours"] - values["torchmetrics"]) < 1e-5, values  # it computes in 32 bits
    report("mAP", compare(runs, options.repeats), options, 5, values=values)


if __name__ == "__main__":
    main()

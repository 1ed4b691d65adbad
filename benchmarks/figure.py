"""The figure of a machine's results: `python -m benchmarks.figure benchmarks/results/<machine>.json`."""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import NullFormatter


def draw(file: Path) -> Path:
    """Bars of ratios to the best peer with the targets' marks, and what methods reach in how many seconds, as
    SVG beside the file of results."""
    content = json.loads(file.read_text(encoding="utf-8"))
    results = {name: found for name, found in content["results"].items() if "ratio" in found}
    learnt = {name: found for name, found in results.items() if "curves" in found}
    height = 1.2 + 0.4 * len(results)
    figure, axes = plt.subplots(
        1 + len(learnt), figsize=(7, height + 3 * len(learnt)), layout="constrained",
        height_ratios=[height] + [3] * len(learnt), squeeze=False,
    )  # fmt: skip
    bars, *others = axes[:, 0]
    ratios = [found["ratio"] for found in results.values()]
    names = [f"{name}\n(against {found['best_peer']})" for name, found in results.items()]
    colours = ["C3" if found.get("met") is False else "C0" for found in results.values()]
    bars.barh(names, ratios, color=colours)
    for row, found in enumerate(results.values()):
        bars.text(found["ratio"], row, f" {found['ratio']:.3g}", va="center", fontsize=8)
        if "target" in found:
            bars.plot([found["target"]] * 2, [row - 0.45, row + 0.45], "k", lw=2)
    bars.set(xscale="log", xlabel="time of the best peer / our time; black: target; red: missed")
    bars.set_xlim(min([0.5, *ratios]), max([2.0, *ratios]) * 1.6)
    bars.invert_yaxis()
    bars.axvline(1, color="grey", lw=0.8)
    bars.set_title(", ".join(str(v) for v in (content["machine"]["processor"],
                             f"{content['machine']['cores']} cores", content["machine"]["device"].get("name"))
                             if v), fontsize=9)  # fmt: skip
    for ax, (name, found) in zip(others, learnt.items(), strict=True):
        measure = found["measure"]
        for method, curve in pd.DataFrame(found["curves"]).groupby("method", sort=False):
            ax.plot(curve["seconds"], curve[measure], "o-", ms=3, label=method)
        ax.set(xscale="log", xlabel="seconds of training", ylabel=f"held-out {measure}")
        ax.set_title(name, fontsize=9)
        ax.legend(fontsize=8)
    for ax in axes[:, 0]:
        ax.tick_params(labelsize=8)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    made = file.with_suffix(".svg")
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "0"}):  # equal results, equal files
        figure.savefig(made, metadata={"Date": None})
    plt.close(figure)
    return made


if __name__ == "__main__":
    print(draw(Path(sys.argv[1])))

"""BLEU against minutes of training, drawn from what `quality_by_time.py --out` wrote.

    python benchmarks/draw_quality.py PICTURE.svg NAME=RESULT.json [NAME=RESULT.json ...]

A colour for each name, which may come more than once; a line for each seed, greedy translations of the test set by the
best model so far; at its end a dot for the finished training and a triangle for the same model with a beam.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("results", nargs="+", metavar="NAME=RESULT.json")
    arguments = parser.parse_args()
    plt.rcParams["svg.hashsalt"] = "attentio"  # the same figures give the same file
    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    named = [argument.partition("=")[::2] for argument in arguments.results]
    names = list(dict.fromkeys(name for name, _ in named))
    unnamed = set(names)  # those that the legend does not have yet
    for name, path in named:
        number = names.index(name)
        for run in json.loads(Path(path).read_text(encoding="utf-8"))["runs"]:
            (beam,) = (key for key in run if key.startswith("beam ") and key != "beam 1")
            end = run["trained"]["seconds"] / 60
            curve = [*run["greedy_bleu_by_minute"], [end, run["beam 1"]["bleu"]["value"]]]
            label = f"{name}: greedy, then {beam}" if name in unnamed else None
            unnamed.discard(name)
            axes.plot(*zip(*curve, strict=True), color=f"C{number}", linewidth=1.4, label=label)
            axes.plot(end, curve[-1][1], "o", color=f"C{number}", markersize=4)
            axes.plot(end, run[beam]["bleu"]["value"], "^", color=f"C{number}", markersize=6)
    axes.set_xlabel("minutes since the command")
    axes.set_ylabel("BLEU on the held-out test")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(arguments.picture, metadata={"Date": None})


if __name__ == "__main__":
    main()

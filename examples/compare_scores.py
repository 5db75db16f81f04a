"""Compare two attention scores: the same data, seed and time, and one word between them.

python examples/compare_scores.py additive dot --max-time 2m
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ATTENTIO = Path(sys.executable).with_name("attentio")


def attentio(*arguments: str) -> dict[str, Any]:
    """Return what a command prints as JSON."""
    done = subprocess.run([ATTENTIO, *arguments, "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main(first: str, second: str, *options: str) -> dict[str, dict[str, float]]:
    """Train with each score, and print quality and alignment error on the held-out part of the small world."""
    found: dict[str, dict[str, float]] = {}
    with TemporaryDirectory() as folder:
        for score in (first, second):
            run = f"{folder}/{score}"
            attentio("train", "small-world", "--out", run, "--attention", score, *options)
            (test,) = attentio("evaluate", run, "--resamples", "0")["tests"].values()
            found[score] = {
                "BLEU": test["bleu"]["value"],
                "chrF": test["chrf"]["value"],
                "AER": 100 * test["alignment"]["error_rate"],
            }
            print(f"{score:<12}" + "   ".join(f"{name} {value:6.2f}" for name, value in found[score].items()))
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *sys.argv[3:])

"""How good is a translator after so many minutes of training?

    python benchmarks/quality_by_time.py DATA [--minutes 10] [--seeds 1 2] [--preset small] [-o section.key=value ...]

Trains once for each seed through the command line, scores the held-out test greedily and with a beam, and prints a
table with the bootstrap interval of each run and the mean over seeds; with --out also as JSON. The seed also moves the
split, so the spread over seeds holds both. The best model so far is copied at a few moments on the way and translates
the same test greedily afterwards: the curve of BLEU against minutes, of one training that is planned to its end.
"""

import argparse
import datetime
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe_machine

COMMAND = (sys.executable, "-c", "from attentio.cli import main; main()")
MOMENTS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0)  # minutes since the command began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--preset", default="small")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("-o", "--set", dest="overrides", action="append", default=[])
    parser.add_argument("--out", type=Path, help="write the result here as JSON")
    arguments = parser.parse_args()
    machine = describe_machine()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in arguments.seeds:
            run = Path(folder) / f"seed-{seed}"
            options = [option for override in arguments.overrides for option in ("-o", override)]
            options += ["--preset", arguments.preset, "--seed", str(seed), "--max-time", f"{60 * arguments.minutes}s"]
            trained, copies = train_and_copy("train", arguments.data, "--out", str(run), *options, "--json", run=run)
            del trained["run"]  # a folder that is gone when the figures are read
            curve = [
                (round(event["seconds"]), event["dev_chrf"])
                for event in map(json.loads, (run / "log.jsonl").read_text(encoding="utf-8").splitlines())
                if event["event"] == "evaluation"
            ]
            row: dict[str, Any] = {"seed": seed, "trained": trained, "dev_chrf_by_second": curve}
            row["greedy_bleu_by_minute"] = [(minute, bleu(copy)) for minute, copy in copies.items()]
            for beam in (1, arguments.beam):
                (row[f"beam {beam}"],) = attentio("evaluate", str(run), "--beam", str(beam), "--json")["tests"].values()
            rows.append(row)
            print(describe(row, arguments.beam), flush=True)
    for beam in (1, arguments.beam):
        means = {
            metric: statistics.mean(row[f"beam {beam}"][metric]["value"] for row in rows) for metric in ("bleu", "chrf")
        }
        print(f"mean of {len(rows)} seeds, beam {beam}: BLEU {means['bleu']:.2f}, chrF2 {means['chrf']:.2f}")
    print(rows[0]["beam 1"]["bleu"]["signature"])
    print(machine)
    if arguments.out is not None:
        result = {
            "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
            "machine": machine,
            "command": ["quality_by_time.py", *(Path(word).name if "/" in word else word for word in sys.argv[1:])],
            "runs": rows,
        }
        arguments.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def attentio(*arguments: str) -> dict[str, Any]:
    """Runs the command line and returns the JSON object it prints; its progress goes to standard error."""
    found = subprocess.run([*COMMAND, *arguments], stdout=subprocess.PIPE, check=True, text=True, encoding="utf-8")
    return json.loads(found.stdout)


def train_and_copy(*arguments: str, run: Path) -> tuple[dict[str, Any], dict[float, Path]]:
    """Runs a training; what it prints, and by `MOMENTS` a copy of the run with the best model of that moment."""
    copies: dict[float, Path] = {}
    began = time.monotonic()
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        due = list(MOMENTS)
        while process.poll() is None:
            time.sleep(0.2)
            if due and time.monotonic() - began >= 60 * due[0]:
                minute = due.pop(0)
                copy = run.with_name(f"{run.name}-at-{minute:g}")
                if copied(run, copy):
                    copies[minute] = copy
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(process.returncode)
    return json.loads(printed), copies


def copied(run: Path, copy: Path) -> bool:
    """Copies what evaluating needs; False where there is no model yet, or it is replaced at this very moment."""
    try:
        shutil.copytree(run / "model", copy / "model")
    except (OSError, shutil.Error):
        return False
    shutil.copy2(run / "config.toml", copy)
    (copy / "data").symlink_to(run / "data")
    return True


def bleu(run: Path) -> float:
    """Of greedy translations of the run's own test set."""
    (scores,) = attentio("evaluate", str(run), "--resamples", "0", "--json")["tests"].values()
    return scores["bleu"]["value"]


def describe(row: dict[str, Any], beam: int) -> str:
    """One run in one line."""
    parts = [f"seed {row['seed']}: {row['trained']['steps']:,} steps, {row['trained']['seconds']:.0f} s"]
    for name in ("beam 1", f"beam {beam}"):
        for metric in ("bleu", "chrf"):
            score = row[name][metric]
            parts.append(f"{name} {score['metric']} {score['value']:.2f} [{score['low']:.2f}, {score['high']:.2f}]")
    return ", ".join(parts)


if __name__ == "__main__":
    main()

"""Does a training reach what the planner expects, in the time that it says?

    python benchmarks/planner.py table rows.jsonl --data cmn-2018.txt deu.txt   # fills src/attentio/train/runs.csv
    python benchmarks/planner.py left-out                                       # each corpus expected from the others
    python benchmarks/planner.py check cmn-2018.txt:700:60s small-world:700:60s  # plans, trains, compares

`rows.jsonl` is what `small_corpora.py` wrote. The two figures of each corpus are computed again from the same pairs.
Runs of another corpus, size or preset stay in the table.
`check` draws pairs by seed, plans, trains for the time given and scores 500 other pairs, as `small_corpora.py` does.
"""

import argparse
import csv
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from small_corpora import draw, read_all

from attentio.data.prepare import prepare
from attentio.metrics.quality import corpus_chrf
from attentio.train.expectation import MOST_PAIRS, Run, done, left_out, runs, traits
from attentio.train.plan import StepPlan
from attentio.train.planner import plan_training
from attentio.train.run import train_files
from attentio.train.settings import effective_config, nested, read_duration
from attentio.train.state import batches
from attentio.translator import Translator

TABLE = Path(__file__).resolve().parents[1] / "src" / "attentio" / "train" / "runs.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    table = parts.add_parser("table")
    table.add_argument("rows", type=Path, nargs="+")
    table.add_argument("--data", nargs="*", default=[], help="files of the corpora that are no built-in ones")
    table.add_argument("--origin", default="small_corpora.py")
    parts.add_parser("left-out")
    check = parts.add_parser("check")
    check.add_argument("runs", nargs="+", metavar="DATA:PAIRS:TIME")
    check.add_argument("--seed", type=int, default=11)
    check.add_argument("--out", type=Path, help="append one line of JSON for each run here")
    arguments = parser.parse_args()
    if arguments.part == "table":
        write_table(arguments.rows, {Path(file).stem: file for file in arguments.data}, arguments.origin)
    elif arguments.part == "left-out":
        show_left_out()
    else:
        torch.set_num_threads(1)
        found = [check_run(*each.rsplit(":", 2), seed=arguments.seed) for each in arguments.runs]
        for row in found:
            print(json.dumps(row, ensure_ascii=False))
            if arguments.out is not None:
                with arguments.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        inside = sum(row["low"] <= row["chrf"] <= row["high"] for row in found)
        timely = sum(abs(row["seconds"] / row["planned_seconds"] - 1) <= 0.15 for row in found)
        print(f"{inside} of {len(found)} within the interval, {timely} within 15 % of the time")


def written(pairs: list[tuple[str, str]], folder: str) -> Path:
    path = Path(folder) / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return path


def write_table(files: list[Path], data: dict[str, str], origin: str) -> None:
    """Put runs in the table, with the figures of the corpus and the share of the planned updates that each made."""
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    known: dict[str, list[tuple[str, str]]] = {}
    figures: dict[tuple[str, int, int], tuple[Any, int]] = {}
    found: list[Run] = []
    for row in rows:
        name, pairs, seed = str(row["data"]), row["pairs"], row["seed"]
        if name not in known:
            known[name] = read_all(data.get(name, name), None)
        if (name, pairs, seed) not in figures:
            train, _ = draw(known[name], pairs, seed)
            with tempfile.TemporaryDirectory() as folder:
                config = effective_config(
                    settings=nested({"data.train": [str(written(train, folder))], "data.test": 0, "train.seed": seed})
                )
                prepared = prepare(config.data, Path(folder) / "data", seed=seed)
                planned = StepPlan.of(config.train, steps_per_epoch=len(batches(prepared.train, config.train)))
                figures[name, pairs, seed] = traits(prepared.training_pairs(MOST_PAIRS)), planned.total_steps
        figure, total = figures[name, pairs, seed]
        preset, *changes = row["setting"].split()
        if any(not change.startswith("train.max_steps=") for change in changes):
            continue
        limit = min([total, *(int(change.partition("=")[2]) for change in changes)])
        share = limit / total if preset == "auto" else row["steps"] / total
        found.append(
            Run(
                name, pairs, preset, seed, row["steps"], round(min(1.0, share), 3),
                round(figure.retrieved, 2), round(figure.seen, 3), round(row["chrf"], 2), origin,
            )
        )  # fmt: skip
    new = {run[:3] for run in found}  # corpus, pairs and preset
    found += [run for run in runs() if run[:3] not in new]
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Run._fields)
        writer.writerows(sorted(set(found)))
    print(f"{len(found)} runs in {TABLE}")


def show_left_out() -> None:
    """Print the mean of each corpus and size against what the other corpora let expect."""
    grouped: dict[tuple[str, int, float], list[tuple[float, float]]] = defaultdict(list)
    for run, expected in left_out(runs()):
        grouped[run.corpus, run.pairs, round(run.share, 1)].append((run.chrf, expected))
    for (corpus, pairs, share), values in sorted(grouped.items()):
        measured, expected = (sum(column) / len(column) for column in zip(*values, strict=True))
        print(f"{corpus:<12} {pairs:>6,} pairs, share {share:.1f}: {measured:5.1f}, expected {expected:5.1f}")


def check_run(data: str, pairs: str, duration: str, *, seed: int) -> dict[str, Any]:
    """Plan, train and score once."""
    train, test = draw(read_all(data, None), int(pairs), seed)
    with tempfile.TemporaryDirectory() as folder:
        file = written(train, folder)
        settings = {"data.test": 0, "train.seed": seed, "train.max_seconds": read_duration(duration)}
        plan = plan_training(effective_config(settings=nested({"data.train": [str(file)]}, settings)))
        began = time.perf_counter()
        result = train_files(file, Path(folder) / "run", settings=settings)
        seconds = time.perf_counter() - began
        translator = Translator.load(Path(folder) / "run")
        outputs = [translation.text for translation in translator.translate([source for source, _ in test])]
        references = translator.bundle.target.cleaner.lines([target for _, target in test])
    expected, known = plan.expected, plan.traits
    assert expected is not None, "there are too few pairs"
    assert known is not None
    return {
        "data": Path(data).stem, "pairs": int(pairs), "time": duration, "seed": seed,
        "chrf": round(corpus_chrf(outputs, references), 2),
        "expected": expected.chrf, "low": expected.low, "high": expected.high,
        "seconds": round(seconds, 1), "planned_seconds": round(plan.seconds, 1),
        "updates": result.steps, "planned_updates": plan.updates, "part": round(done(plan.updates, plan.share), 3),
        "retrieved": round(known.retrieved, 2), "seen": round(known.seen, 3), "ended": result.ended,
    }  # fmt: skip


if __name__ == "__main__":
    main()

"""Is decoding as fast as it was? Two source trees translate the same sentences with the same model, by turns.

    python benchmarks/old_and_new.py RUN... --old DIR --text FILE

RUN is a run folder that both trees can open. DIR is the other tree: a checkout that holds `src/attentio`. The first
column of FILE holds the sentences, separated by tabs from what follows. Only translating is timed: a process for each
turn loads the model and translates a few sentences first. With one thread, seconds are those of the processor, so that
other programs disturb little. Both trees must give the same translations.
"""

import argparse
import json
import sys
from pathlib import Path

from measure import by_turns, ratios, run, spread
from report import Table, add_options, publish

HERE = Path(__file__).resolve().parents[1]
TIMED = """\
import hashlib, json, sys, time
from attentio.search.batched import SearchConfig
from attentio.translator import Translator
folder, text, beam, trace, threads = json.loads(sys.argv[1])
clock = time.process_time if threads == 1 else time.perf_counter
sentences = open(text, encoding="utf-8").read().splitlines()
translator = Translator.load(folder, device="cpu")
config = SearchConfig(beam)
translator.translate(sentences[:64], config, trace=trace)
started = clock()
found = translator.translate(sentences, config, trace=trace)
seconds = clock() - started
digest = hashlib.sha256("\\n".join(one.text for one in found).encode()).hexdigest()
print(json.dumps([len(sentences) / seconds, digest]))
"""


def rate(tree: Path, run_folder: Path, text: Path, beam: int, *, trace: bool, threads: int) -> tuple[float, str]:
    """Sentences a second that a tree translates, and what tells its translations from others."""
    given = json.dumps([str(run_folder), str(text), beam, trace, threads])
    command = [sys.executable, "-c", TIMED, given]
    lines = run(command, threads=threads, environment={"PYTHONPATH": str(tree / "src")}).lines
    speed, digest = json.loads(lines[-1][1])
    return speed, digest


def compared(run_folder: Path, text: Path, arguments: argparse.Namespace) -> list[tuple[tuple[str, ...], object]]:
    """A row for each way of searching, with the figures behind it."""
    rows: list[tuple[tuple[str, ...], object]] = []
    trees = {"old": arguments.old, "new": HERE}
    ways = [(beam, False) for beam in arguments.beams] + [(arguments.beams[0], True)]
    for beam, trace in ways:
        found = by_turns(
            {
                name: lambda _number, tree=tree, beam=beam, trace=trace: rate(
                    tree, run_folder, text, beam, trace=trace, threads=arguments.threads
                )
                for name, tree in trees.items()
            },
            arguments.rounds,
        )
        digests = {digest for samples in found.values() for _, digest in samples}
        speeds = {name: [speed for speed, _ in samples] for name, samples in found.items()}
        name = f"{run_folder.name}, {'greedy' if beam == 1 else f'beam {beam}'}{', traces' if trace else ''}"
        same = "yes" if len(digests) == 1 else "no"
        shown = (spread(speeds["old"]), spread(speeds["new"]), spread(ratios(speeds["new"], speeds["old"]), 2), same)
        rows.append(((name, *shown), {"name": name, **speeds, "same": same}))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--old", type=Path, required=True, metavar="DIR", help="the other source tree")
    parser.add_argument("--text", type=Path, required=True, metavar="FILE", help="sentences, in the first column")
    parser.add_argument("--sentences", type=int, default=1000, help="how many of them, evenly spaced")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder for the sentences")
    add_options(parser)
    arguments = parser.parse_args()
    lines = [line.split("\t")[0] for line in arguments.text.read_text(encoding="utf-8").splitlines()]
    arguments.work.mkdir(parents=True, exist_ok=True)
    text = arguments.work / "sentences.txt"
    every = max(1, len(lines) // arguments.sentences)
    text.write_text("".join(f"{line}\n" for line in lines[::every][: arguments.sentences]), encoding="utf-8")
    found = [row for folder in arguments.runs for row in compared(folder, text, arguments)]
    notes = (
        f"{arguments.sentences:,} sentences, {arguments.threads} threads, loading not counted. Sentences a second and "
        f"their ratio by round: median (least–greatest) of {arguments.rounds} rounds."
    )
    columns = ("", "old", "new", "new / old", "same translations")
    rows, samples = [row for row, _ in found], {"rows": [sample for _, sample in found]}
    publish("old-and-new", [Table("Decoding, two source trees by turns", columns, rows, samples, notes)], arguments)


if __name__ == "__main__":
    main()

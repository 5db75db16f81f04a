"""What is an exported model worth: how soon it answers, how fast it translates, and whether it says the same.

    python benchmarks/runtime.py RUN... --text FILE --work DIR

Each RUN is exported to ONNX below DIR, in 32 and in 8 bits. The first column of FILE holds the sentences. A process for
each turn opens a model, translates a few sentences, and is then timed: one sentence after the other, and in batches.
How long the command takes for one sentence, from its start, is told apart.
"""

import argparse
import json
import sys
from itertools import product
from pathlib import Path

from measure import ATTENTIO, by_turns, ratios, run, spread
from report import Table, add_options, publish

TIMED = """\
import json, sys, time
from attentio.search.batched import SearchConfig
from attentio.translator import Translator
folder, text, beam, batch = json.loads(sys.argv[1])
sentences = open(text, encoding="utf-8").read().splitlines()
translator = Translator.load(folder)
config = SearchConfig(beam, max_tokens=1 << 20, stop_loops=False)
def translate(texts):
    return [one for n in range(0, len(texts), batch) for one in translator.translate(texts[n : n + batch], config)]
translate(sentences[:8])
started = time.perf_counter()
found = translate(sentences)
seconds = time.perf_counter() - started
print(json.dumps([len(sentences) / seconds, [[one.text, one.score] for one in found]]))
"""
TORCH = "torch"
TIE = 1e-4

Found = tuple[float, list[list[object]]]


def exported(folder: Path, precision: str, arguments: argparse.Namespace) -> Path:
    """The run as graphs."""
    out = arguments.work / f"{folder.name}-{precision}"
    if not out.exists():
        words = ["export", str(folder), "--to", "onnx", "--precision", precision, "--out", str(out), "--unchecked"]
        run([*ATTENTIO, *words], threads=arguments.threads)
    return out


def translated(model: Path, text: Path, beam: int, batch: int, threads: int) -> Found:
    """Sentences a second, and the answers with their scores."""
    command = [sys.executable, "-c", TIMED, json.dumps([str(model), str(text), beam, batch])]
    rate, answers = json.loads(run(command, threads=threads).lines[-1][1])
    return rate, answers


def agreement(found: list[list[object]], wanted: list[list[object]]) -> tuple[int, int]:
    """How many answers are the same, and how many others have the same score within rounding."""
    same = sum(one[0] == other[0] for one, other in zip(found, wanted, strict=True))
    ties = sum(
        one[0] != other[0] and abs(float(str(one[1])) - float(str(other[1]))) < TIE
        for one, other in zip(found, wanted, strict=True)
    )
    return same, ties


def contestants(folder: Path, arguments: argparse.Namespace) -> dict[str, Path]:
    """The run, and what it was exported to."""
    return {TORCH: folder, **{f"exported, {bits}": exported(folder, bits, arguments) for bits in arguments.precisions}}


def speeds(folder: Path, text: Path, arguments: argparse.Namespace) -> Table:
    """A row for each way of translating and each contestant."""
    models, sentences = contestants(folder, arguments), len(text.read_text(encoding="utf-8").splitlines())
    rows: list[tuple[str, ...]] = []
    samples: dict[str, object] = {}
    for beam, batch in product(arguments.beams, arguments.batches):
        way = f"batches of {batch}, {'greedy' if beam == 1 else f'beam {beam}'}"
        found = by_turns(
            {
                name: lambda _number, model=model, beam=beam, batch=batch: translated(
                    model, text, beam, batch, arguments.threads
                )
                for name, model in models.items()
            },
            arguments.rounds,
        )
        own = [rate for rate, _ in found[TORCH]]
        for name, turns in found.items():
            rates = [rate for rate, _ in turns]
            same, ties = agreement(turns[-1][1], found[TORCH][-1][1])
            rows.append((f"{way}: {name}", spread(rates), spread(ratios(rates, own), 2), str(same), str(ties)))
            samples[f"{way}: {name}"] = {"rates": rates, "same": same, "ties": ties}
    columns = ("", "sentences/s", "to torch", "same answers", "ties")
    notes = (
        f"{sentences:,} sentences, {arguments.threads} threads, loading not counted. Ties have another answer with "
        f"the same score within {TIE}. Median (least–greatest) of {arguments.rounds} rounds."
    )
    return Table(f"An exported model, {folder.name}", columns, rows, samples, notes)


def starts(folders: list[Path], text: Path, arguments: argparse.Namespace) -> Table:
    """Seconds and memory of the command for one sentence."""
    first = text.read_text(encoding="utf-8").split("\n")[0] + "\n"
    models = {
        f"{folder.name}: {name}": model for folder in folders for name, model in contestants(folder, arguments).items()
    }
    waits = {
        name: lambda _number, model=model: run(
            [*ATTENTIO, "translate", str(model)], threads=arguments.threads, stdin=first
        )
        for name, model in models.items()
    }
    for wait in waits.values():
        wait(0)  # brings its files into the system's cache
    found = by_turns(waits, arguments.rounds)
    rows = [
        (
            name,
            spread([turn.seconds for turn in turns], 2),
            spread([(turn.peak_bytes or 0) / 1e6 for turn in turns], 0),
        )
        for name, turns in found.items()
    ]
    samples = {name: [turn.seconds for turn in turns] for name, turns in found.items()}
    notes = f"The whole command, beam 5. Median (least–greatest) of {arguments.rounds} rounds."
    return Table("One sentence from a cold start", ("", "seconds", "MB"), rows, dict(samples), notes)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--text", type=Path, required=True, metavar="FILE", help="sentences, in the first column")
    parser.add_argument("--sentences", type=int, default=1000, help="how many of them, evenly spaced")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64], help="sentences at once")
    parser.add_argument("--precisions", nargs="+", default=["fp32", "int8"], choices=["fp32", "int8"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder for exported models")
    add_options(parser)
    arguments = parser.parse_args(words)
    lines = [line.split("\t")[0] for line in arguments.text.read_text(encoding="utf-8").splitlines()]
    arguments.work.mkdir(parents=True, exist_ok=True)
    text = arguments.work / "sentences.txt"
    every = max(1, len(lines) // arguments.sentences)
    text.write_text("".join(f"{line}\n" for line in lines[::every][: arguments.sentences]), encoding="utf-8")
    tables = [starts(arguments.runs, text, arguments), *(speeds(folder, text, arguments) for folder in arguments.runs)]
    publish("runtime", tables, arguments)


if __name__ == "__main__":
    main()

"""How long until the first useful result of a command?

    python benchmarks/cold_start.py DATA                    # Attentio alone
    python benchmarks/cold_start.py DATA --peers DIR        # beside OpenNMT-py, Eole and CTranslate2

Two waits: for the translation of one sentence, and for the first update of a training whose data are prepared. Every
command is a process of its own, started with its files in the system's cache.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import ATTENTIO, by_turns, ratios, run, spread
from peers import PEERS, TRAINERS, Peers, first_update
from report import Table, add_options, publish
from workload import MODELS, Workload, new_run, trained

TORCH = "Python with torch, nothing else"
VERSION = "Attentio, its version"
ATTENTIO_NAME = "Attentio"

Wait = Callable[[int], float]
"""Seconds waited in one round."""


def translations(
    models: list[str], workload: Workload, peers: Peers | None, folder: Path, arguments: argparse.Namespace
) -> dict[str, Wait]:
    """One sentence from a cold start, by contestant and model."""
    sentence = workload.test[0][0]
    numbers = folder / "sentence.txt"
    numbers.write_text(
        workload.numbers("test", "source").read_text(encoding="ascii").split("\n")[0] + "\n", encoding="ascii"
    )

    def command(*words: str, stdin: str = "") -> Wait:
        return lambda _: run(words, threads=arguments.threads, stdin=stdin).seconds

    found = {TORCH: command(sys.executable, "-c", "import torch"), VERSION: command(*ATTENTIO, "--version")}
    for model in models:
        own = trained(workload, model, steps=arguments.train_steps, threads=arguments.threads)
        found[f"{ATTENTIO_NAME}, {model}"] = command(*ATTENTIO, "translate", str(own), stdin=f"{sentence}\n")
        if peers is None:
            continue
        for peer in PEERS:
            if model in peer.models:
                path = peers.trained(peer, model, workload, steps=arguments.train_steps)
                found[f"{peer}, {model}"] = lambda _, peer=peer, path=path: (
                    peers.translate(peer, path, numbers, folder / "out.txt", beam=1, batch=1).seconds
                )
    return found


def updates(
    models: list[str], workload: Workload, peers: Peers | None, folder: Path, arguments: argparse.Namespace
) -> dict[str, Wait]:
    """The first update of a training, by contestant and model."""

    def ours(model: str) -> Wait:
        def wait(_: int) -> float:
            command = new_run(workload, folder / "run", MODELS[model])
            words = command[len(ATTENTIO) :]
            return first_update([sys.executable], "attentio.cli:main", words, threads=arguments.threads)

        return wait

    found: dict[str, Wait] = {}
    for model in models:
        found[f"{ATTENTIO_NAME}, {model}"] = ours(model)
        if peers is None:
            continue
        for peer in TRAINERS:
            found[f"{peer}, {model}"] = lambda _, peer=peer, model=model: peers.first_update(
                peer, model, workload, folder / peer.name
            )
    return found


def table(title: str, found: dict[str, list[float]], rounds: int, notes: str = "") -> Table:
    """One row a contestant; the ratio is its wait to that of Attentio with the same model."""
    rows: list[tuple[str, ...]] = []
    for name, seconds in found.items():
        own = found.get(f"{ATTENTIO_NAME}, {name.rpartition(', ')[2]}")
        rows.append((name, spread(seconds, 2), "–" if own is None else spread(ratios(seconds, own), 2)))
    notes = f"{notes} Median (least–greatest) of {rounds} rounds.".strip()
    return Table(title, ("", "seconds", "to Attentio"), rows, dict(found), notes)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="parallel file")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="folder of the peers' environments and models")
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=sorted(MODELS))
    parser.add_argument("--train-steps", type=int, default=1500, help="updates before translating, as decoding_speed")
    parser.add_argument("--test", type=int, default=1000, help="pairs held out")
    parser.add_argument("--rounds", type=int, default=7)
    add_options(parser)
    arguments = parser.parse_args(words)
    peers = None if arguments.peers is None else Peers(arguments.peers, threads=arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload = Workload.of(
            arguments.data,
            folder if peers is None else peers.folder,
            dev=max(1, arguments.test // 2),
            test=arguments.test,
        )
        tables: list[Table] = []
        for title, contestants, notes in (
            ("One sentence translated", translations, "The peers' sentence is tokenized already."),
            ("First update of a training", updates, "Data prepared, vocabularies made."),
        ):
            waits = contestants(arguments.models, workload, peers, folder, arguments)
            for wait in waits.values():
                wait(0)  # brings its files into the system's cache
            tables.append(table(title, by_turns(waits, arguments.rounds), arguments.rounds, notes))
    publish("cold-start", tables, arguments)


if __name__ == "__main__":
    main()

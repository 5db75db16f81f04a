"""How fast is a file of sentences translated into another?

    python benchmarks/decoding_speed.py DATA                    # Attentio alone
    python benchmarks/decoding_speed.py DATA --peers DIR        # beside OpenNMT-py, Eole and CTranslate2

Models R (recurrent) and T (Transformer), 256 wide, trained alike by each contestant and kept below DIR, beside the
prepared data; CTranslate2 translates with the T of OpenNMT-py. Each command is timed on all test sentences and, to tell
what starting and loading take, on one sentence. Attentio reads and writes text; the peers read and write the numbers of
its pieces.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from measure import ATTENTIO, by_turns, ratios, run, spread
from peers import CTRANSLATE2, PEERS, Peer, Peers
from report import Table, add_options, publish
from workload import MODELS, Workload, trained

NOTES = """\
{sentences:,} sentences, a file in, a file out, after {steps:,} updates of training; the peers in batches of {batch}
sentences, Attentio in its own. `by CTranslate2` is `--engine ctranslate2`: the same model, searched by it. Sentences a
second: of the whole command, and with the time of the same command for one sentence taken off both. Ratios are of the
latter, in one round. Tokens: mean length of a translation, its end counted.
BLEU says that it is one. Median (least–greatest) of {rounds} rounds."""


class Decoding(NamedTuple):
    """One file translated: seconds for all sentences and for one, and the translations as numbers or text."""

    all_seconds: float
    one_seconds: float
    lines: list[str]

    def rate(self, *, loaded: bool) -> float | None:
        """Sentences a second; `loaded`: without what one sentence takes. None where that is below the noise."""
        if not loaded:
            return len(self.lines) / self.all_seconds
        taken = self.all_seconds - self.one_seconds
        return (len(self.lines) - 1) / taken if taken > 0 and len(self.lines) > 1 else None


class Own(NamedTuple):
    """A way in which Attentio translates. models: with which it can."""

    precision: str
    engine: str = "attentio"
    models: tuple[str, ...] = ("R", "T")


OURS = {
    "Attentio": Own("fp32"),
    "Attentio, bf16": Own("bf16"),
    "Attentio by CTranslate2": Own("fp32", "ctranslate2", ("T",)),
    "Attentio by CTranslate2, int8": Own("int8", "ctranslate2", ("T",)),
}

Translate = Callable[[Path, Path], float]
"""Translates the first file into the second; seconds it took."""


def attentio(run_folder: Path, beam: int, own: Own, threads: int) -> Translate:
    """Attentio's command."""
    options = ["--beam", str(beam), "--precision", own.precision, "--engine", own.engine]

    def translate(source: Path, out: Path) -> float:
        command = [*ATTENTIO, "translate", str(run_folder), str(source), "--out", str(out), *options]
        return run(command, threads=threads).seconds

    return translate


def other(peers: Peers, peer: Peer, model: Path, beam: int, batch: int, arithmetic: str) -> Translate:
    """A peer's command."""

    def translate(source: Path, out: Path) -> float:
        return peers.translate(peer, model, source, out, beam=beam, batch=batch, arithmetic=arithmetic).seconds

    return translate


def decoding(translate: Translate, source: Path, folder: Path) -> Decoding:
    """All sentences of `source`, then its first alone."""
    out = folder / "translated"
    first = folder / "first"
    first.write_text(source.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")
    all_seconds = translate(source, out)
    lines = out.read_text(encoding="utf-8").split("\n")[:-1]
    return Decoding(all_seconds, translate(first, folder / "translated-first"), lines)


def measured(
    model: str, workload: Workload, peers: Peers | None, folder: Path, arguments: argparse.Namespace
) -> list[Table]:
    """A table for each beam."""
    text = folder / "test.txt"
    text.write_text("".join(f"{source}\n" for source, _ in workload.test), encoding="utf-8")
    numbers = workload.numbers("test", "source")
    run_folder = trained(workload, model, steps=arguments.train_steps, threads=arguments.threads)
    tables: list[Table] = []
    for beam in arguments.beams:
        translators: dict[str, tuple[Translate, Path]] = {
            name: (attentio(run_folder, beam, own, arguments.threads), text)
            for name, own in OURS.items()
            if model in own.models
        }
        for peer in PEERS:
            if peers is None or model not in peer.models:
                continue
            path = peers.trained(peer, model, workload, steps=arguments.train_steps)
            for arithmetic in ("float32", "int8") if peer is CTRANSLATE2 else ("float32",):
                name = str(peer) if arithmetic == "float32" else f"{peer}, {arithmetic}"
                translators[name] = (other(peers, peer, path, beam, arguments.batch, arithmetic), numbers)
        found = by_turns(
            {
                name: lambda _number, translate=translate, source=source: decoding(translate, source, folder)
                for name, (translate, source) in translators.items()
            },
            arguments.rounds,
        )
        tables.append(table(f"Decoding, model {model}, beam {beam}", found, workload, arguments))
    return tables


def table(title: str, found: dict[str, list[Decoding]], workload: Workload, arguments: argparse.Namespace) -> Table:
    """One row a contestant, with the ratio of each way of Attentio to it."""
    loaded = {name: [decoding.rate(loaded=True) for decoding in decodings] for name, decodings in found.items()}
    ours = [name for name in found if name in OURS]
    rows: list[tuple[str, ...]] = []
    samples: dict[str, object] = {}
    for name, decodings in found.items():
        lines = decodings[-1].lines
        texts = lines if name in OURS else [workload.target_text(line) for line in lines]
        lengths = [workload.target_length(text) if name in OURS else len(text.split()) + 1 for text in lines]
        tokens, bleu = sum(lengths) / len(lengths), workload.bleu(texts)
        rows.append(
            (
                name,
                spread([decoding.rate(loaded=False) for decoding in decodings]),
                spread(loaded[name]),
                *(to_it(loaded[own], loaded[name]) for own in ours),
                spread([decoding.one_seconds for decoding in decodings], 2),
                f"{tokens:.1f}",
                f"{bleu:.1f}",
            )
        )
        samples[name] = {
            "all_seconds": [decoding.all_seconds for decoding in decodings],
            "one_seconds": [decoding.one_seconds for decoding in decodings],
            "tokens": tokens,
            "bleu": bleu,
        }
    columns = (
        "",
        "sentences/s, whole",
        "sentences/s, loaded",
        *(f"{own} to it" for own in ours),
        "one sentence, s",
        "tokens",
        "BLEU",
    )
    notes = NOTES.format(
        sentences=len(workload.test), steps=arguments.train_steps, batch=arguments.batch, rounds=arguments.rounds
    ).replace("\n", " ")
    return Table(title, columns, rows, samples, notes)


def to_it(ours: list[float | None], its: list[float | None]) -> str:
    """The ratios of each round in which both could be told from the noise."""
    both = [(mine, other) for mine, other in zip(ours, its, strict=True) if mine and other]
    return spread(ratios([mine for mine, _ in both], [other for _, other in both]), 2)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="parallel file")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="folder of the peers' environments and models")
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=sorted(MODELS))
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--train-steps", type=int, default=1500, help="updates before translating")
    parser.add_argument("--test", type=int, default=1000, help="sentences translated")
    parser.add_argument("--batch", type=int, default=64, help="sentences in a batch of a peer")
    parser.add_argument("--rounds", type=int, default=5)
    add_options(parser)
    arguments = parser.parse_args(words)
    peers = None if arguments.peers is None else Peers(arguments.peers, threads=arguments.threads)
    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload = Workload.of(
            arguments.data,
            folder if peers is None else peers.folder,
            dev=max(1, arguments.test // 2),
            test=arguments.test,
        )
        for model in arguments.models:
            tables += measured(model, workload, peers, folder, arguments)
    publish("decoding-speed", tables, arguments)


if __name__ == "__main__":
    main()

"""What costs more as things grow? Preparing and training with the size of the corpus, translating with the length.

    python benchmarks/growth.py DATA
    python benchmarks/growth.py DATA --sizes 20000 2000000 --lengths 16 256
    python benchmarks/growth.py DATA --sizes 2000000 20000000 --prepare-only

A corpus of any size is made of DATA, a tab-separated file: every pair of it is two pairs of DATA side by side, spread
over all combinations, none twice. So pairs of all sizes have the same words and lengths.
"""

import argparse
import itertools
import math
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from measure import ATTENTIO, by_turns, ratios, run, spread
from peers import first_update
from report import Table, add_options, publish
from workload import FAMILIES, MODELS, Training, Workload, new_run, train

from attentio.bundle import Bundle
from attentio.data.prepare import PreparedData
from attentio.runtime.memory import keep_freed_memory
from attentio.search.decode import decode
from attentio.search.strategy import Beam, Greedy
from attentio.text.special import SPECIAL
from attentio.train.settings import dump_config, effective_config

PREPARE = """\
import sys
from pathlib import Path
from attentio.train.settings import load_config
from attentio.data.prepare import prepare
prepare(load_config(Path(sys.argv[1])).data, Path(sys.argv[2]), seed=1)
"""
HELD_OUT = 200
SOURCE_LENGTH = 16
BEAM = 5
GOLDEN = 0.6180339887  # of all combinations: so far apart are those that follow each other
NEVER = -1e9  # added to the logit of the end, so that a translation is as long as it is allowed to be


class Grown(NamedTuple):
    """A corpus of one size: what preparing it took, in seconds and bytes."""

    pairs: int
    workload: Workload
    seconds: float
    peak_bytes: int | None


def write_grown(pairs: list[tuple[str, str]], count: int, path: Path) -> None:
    """`count` different combinations of two of `pairs`, as tab-separated lines."""
    if count > len(pairs) ** 2:
        raise SystemExit(f"error: {len(pairs):,} pairs have only {len(pairs) ** 2:,} combinations, not {count:,}.")
    combinations = len(pairs) ** 2
    step = next(n for n in itertools.count(int(combinations * GOLDEN)) if math.gcd(n, combinations) == 1)
    with path.open("w", encoding="utf-8") as file:
        for number in (place * step % combinations for place in range(count)):
            (source, target), (more_source, more_target) = pairs[number // len(pairs)], pairs[number % len(pairs)]
            file.write(f"{source} {more_source}\t{target}{more_target}\n")


def grow(pairs: list[tuple[str, str]], count: int, folder: Path, threads: int) -> Grown:
    """Makes a corpus of `count` pairs and prepares it in a process of its own."""
    folder.mkdir()
    corpus = folder / "corpus.tsv"
    write_grown(pairs, count, corpus)
    # The same vocabulary for all sizes, so that the model is the same.
    settings = (f"data.train=['{corpus}']", f"data.dev={HELD_OUT}", f"data.test={HELD_OUT}", "train.seed=1")
    settings += ("data.source_vocab_size=4000", "data.lowercase_source=false")
    (folder / "config.toml").write_text(dump_config(effective_config(overrides=settings)), encoding="utf-8")
    prepared = folder / "prepared"
    command = [sys.executable, "-c", PREPARE, str(folder / "config.toml"), str(prepared)]
    finished = run(command, threads=threads)
    workload = Workload(folder, settings, 1, PreparedData.load(prepared))
    return Grown(count, workload, finished.seconds, finished.peak_bytes)


def preparing(corpora: list[Grown]) -> Table:
    """Preparing alone, a row for each size."""
    rows = [
        (
            f"{grown.pairs:,}",
            f"{grown.seconds:.1f}",
            f"{grown.pairs / grown.seconds:,.0f}",
            _megabytes([grown.peak_bytes]),
        )
        for grown in corpora
    ]
    samples = {
        f"{grown.pairs:,} pairs": {"seconds": grown.seconds, "peak_bytes": grown.peak_bytes} for grown in corpora
    }
    columns = ("pairs", "prepare, s", "pairs/s", "prepare, peak MB")
    return Table("By size of the corpus", columns, rows, samples, "Once each, the start of Python included.")


def by_size(corpora: list[Grown], folder: Path, arguments: argparse.Namespace) -> Table:
    """Preparing, starting and training, a row for each size."""
    settings = MODELS[arguments.model]

    def training(grown: Grown) -> tuple[float, Training]:
        words = new_run(grown.workload, folder / "run", settings)[len(ATTENTIO) :]
        waited = first_update([sys.executable], "attentio.cli:main", words, threads=arguments.threads)
        trained = train(grown.workload, folder / "run", settings, steps=arguments.steps, threads=arguments.threads)
        return waited, trained

    found = by_turns(
        {f"{grown.pairs:,} pairs": lambda _, grown=grown: training(grown) for grown in corpora}, arguments.rounds
    )
    speeds = {
        name: [trained.tokens_per_second(arguments.skip) for _, trained in values] for name, values in found.items()
    }
    smallest = next(iter(speeds.values()))
    rows: list[tuple[str, ...]] = []
    samples: dict[str, Any] = {}
    for grown, (name, values) in zip(corpora, found.items(), strict=True):
        rows.append(
            (
                f"{grown.pairs:,}",
                f"{grown.seconds:.1f}",
                f"{grown.pairs / grown.seconds:,.0f}",
                _megabytes([grown.peak_bytes]),
                spread([waited for waited, _ in values], 2),
                spread(speeds[name]),
                spread(ratios(speeds[name], smallest), 2),
                _megabytes([trained.peak_bytes for _, trained in values]),
            )
        )
        samples[name] = {
            "prepare_seconds": grown.seconds,
            "prepare_peak_bytes": grown.peak_bytes,
            "first_update_seconds": [waited for waited, _ in values],
            "tokens_per_second": speeds[name],
            "train_peak_bytes": [trained.peak_bytes for _, trained in values],
        }
    columns = ("pairs", "prepare, s", "pairs/s", "prepare, peak MB", "first update, s", "target tokens/s")
    columns += ("to the smallest", "train, peak MB")
    notes = (
        f"Model {arguments.model} with the batches of `attentio train`, {arguments.steps} updates, the first "
        f"{arguments.skip} not timed; preparing and the wait for the first update include the start of Python. "
        f"Median (least–greatest) of {arguments.rounds} rounds."
    )
    return Table("By size of the corpus", columns, rows, samples, notes)


def by_length(smallest: Grown, folder: Path, arguments: argparse.Namespace) -> Table:
    """Seconds of greedy and beam search by length of the translation, for each family."""
    rows: list[tuple[str, ...]] = []
    samples: dict[str, Any] = {}
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as the command does
    for model in FAMILIES:
        train(smallest.workload, folder / model, MODELS[model], steps=10, threads=arguments.threads)
        for beam in (1, BEAM):
            seconds = _seconds_by_length(folder / model, beam, arguments)
            each = {length: [s / length for s in values] for length, values in seconds.items()}
            first = each[arguments.lengths[0]]
            for length, values in each.items():
                name = "greedy" if beam == 1 else f"beam {beam}"
                milliseconds = spread([1e3 * value for value in values], 2)
                rows.append((f"{model}, {name}", f"{length}", milliseconds, spread(ratios(values, first), 2)))
            samples[f"{model} beam {beam}"] = seconds
    notes = (
        f"A batch of {arguments.sentences} sentences of {SOURCE_LENGTH} tokens, translations forced to the length. "
        f"Median (least–greatest) of {arguments.rounds} rounds."
    )
    columns = ("", "tokens of a translation", "milliseconds a token", "to the shortest")
    return Table("By length of the translation", columns, rows, samples, notes)


def _seconds_by_length(run_folder: Path, beam: int, arguments: argparse.Namespace) -> dict[int, list[float]]:
    bundle = Bundle.load(run_folder)
    model = bundle.ready()
    with torch.no_grad():
        model.decoder.bias[SPECIAL.eos] = NEVER
    torch.manual_seed(0)
    ordinary = (len(SPECIAL), bundle.source.tokenizer.vocab_size)
    sources = torch.randint(*ordinary, (arguments.sentences, SOURCE_LENGTH - 1)).tolist()  # the end is added

    def search(length: int) -> float:
        limits = [length] * arguments.sentences
        started = time.perf_counter()
        strategy = Greedy() if beam == 1 else Beam(beam)
        found = [hypotheses[0] for hypotheses in decode(model, sources, strategy, max_lengths=limits)]
        seconds = time.perf_counter() - started
        reached = statistics.mean(len(hypothesis.tokens) for hypothesis in found)
        assert reached >= length - 1, f"translations of {reached} tokens, not {length}"
        return seconds

    search(arguments.lengths[0])
    return dict(
        zip(
            arguments.lengths,
            by_turns(
                {
                    f"{run_folder.name}, beam {beam}, {length} tokens": lambda _, length=length: search(length)
                    for length in arguments.lengths
                },
                arguments.rounds,
            ).values(),
            strict=True,
        )
    )


def _megabytes(peaks: list[int | None]) -> str:
    return spread([None if peak is None else peak / 1e6 for peak in peaks])


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="tab-separated parallel file")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 200_000, 1_000_000, 2_000_000])
    parser.add_argument("--prepare-only", action="store_true", help="train nothing, and translate nothing")
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 32, 64, 128, 256])
    parser.add_argument("--model", choices=sorted(MODELS), default="R", help="trained at every size")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--skip", type=int, default=50, help="updates at the beginning that are not timed")
    parser.add_argument("--sentences", type=int, default=32, help="translated at once")
    parser.add_argument("--rounds", type=int, default=3)
    add_options(parser)
    arguments = parser.parse_args(words)
    lines = arguments.data.read_text(encoding="utf-8-sig").splitlines()
    pairs = [(source, target) for source, target, *_ in (line.split("\t") for line in lines if "\t" in line)]
    name = tempfile.mkdtemp()
    try:
        folder = Path(name)
        corpora: list[Grown] = []
        for size in arguments.sizes:
            sys.stderr.write(f"preparing {size:,} pairs\n")
            corpora.append(grow(pairs, size, folder / str(size), arguments.threads))
            if arguments.prepare_only:
                shutil.rmtree(folder / str(size))
        tables = [preparing(corpora)]
        if not arguments.prepare_only:
            tables = [by_size(corpora, folder, arguments), by_length(corpora[0], folder, arguments)]
    finally:
        shutil.rmtree(name, ignore_errors=True)
    publish("growth", tables, arguments)


if __name__ == "__main__":
    main()

"""The benchmarks run, on next to nothing, and what they take a peer's log or a clock to say is what it says.

No time is asserted and no peer is installed: with peers, they are run by hand.
"""

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.text.special import SPECIAL
from attentio.train.footprint import footprint
from attentio.train.settings import effective_config

Load: TypeAlias = Callable[[str], Any]

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"

# As OpenNMT-py and Eole print it; the facts between are left out.
LOG = """\
[2026-11-23 09:16:02,474 INFO] * number of parameters: 3761750
[2026-11-23 09:16:05,161 INFO] Step 10/   30; acc: 6.8; ppl: 2350.1; sents:     640; bsz:  550/ 634/64; 2050/2362 tok/s;      3 sec;
[2026-11-23 09:16:06,458 INFO] Step 20/   30; acc: 11.4; ppl: 1122.8; sents:     640; bsz:  467/ 619/64; 3602/4772 tok/s;      4 sec;
[2026-11-23 09:16:07,948 INFO] Step 30/   30; acc: 9.6; ppl: 633.0; sents:     640; bsz:  486/ 680/64; 3267/4566 tok/s;      5 sec;
[2026-11-23 09:16:21,563 INFO] Average bsz:  538/ 683/64
[2026-11-23 09:16:21,563 INFO] Train perplexity: 376.549
[2026-11-23 09:16:21,563 INFO] Validation perplexity: 20.0855
"""  # noqa: E501


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports a module of the benchmarks, which are no package."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(220, seed=5)), encoding="utf-8")
    return path


def test_the_log_of_a_peer_is_read_by_the_clock_of_the_benchmark(load: Load) -> None:
    measure, peers = load("measure"), load("peers")
    lines = [(10.0 + number, text) for number, text in enumerate(LOG.splitlines())]
    training = peers.read_log(measure.Finished(30.0, None, lines))
    assert training.course == [(11.0, 10, 6340), (12.0, 20, 6340 + 6190), (13.0, 30, 6340 + 6190 + 6800)]
    assert training.parameters == 3_761_750
    assert training.dev_loss == pytest.approx(3.0, abs=1e-5)  # e^3 = 20.0855
    assert training.tokens_per_second(10) == pytest.approx((6190 + 6800) / 2)
    assert training.tokens_per_second(11) == pytest.approx(6800)


def test_a_log_that_says_something_else_is_an_error(load: Load) -> None:
    measure, peers = load("measure"), load("peers")
    lines = [(1.0, text) for text in LOG.splitlines() if "perplexity" not in text]
    with pytest.raises(SystemExit, match="Validation perplexity"):
        peers.read_log(measure.Finished(1.0, None, lines))


@pytest.mark.parametrize(
    ("model", "theirs", "surplus"),
    [
        ("R", 3_761_750, 256 * 512 + 512),  # from the encoder's last states to the decoder's first ones
        ("T", 7_895_126, 9 * 4 * 256 + 6 * (1024 + 256)),  # biases of 9 attentions and 6 feed-forward layers
    ],
)
def test_the_models_are_those_of_the_peers(load: Load, model: str, theirs: int, surplus: int) -> None:
    """`theirs` is what OpenNMT-py and Eole count with vocabularies of 4,000 and 2,646."""
    config = effective_config(overrides=load("workload").MODELS[model])
    assert footprint(config, 4000, 2646)[0] == theirs + surplus


def test_numbers_for_the_peers_say_what_the_prepared_corpus_says(load: Load, corpus: Path, tmp_path: Path) -> None:
    workload = load("workload").Workload.of(corpus, tmp_path, dev=10, test=20)
    prepared = workload.prepared
    for part, sentences in (("train", len(prepared.train)), ("dev", 10), ("test", 20)):
        for side in ("source", "target"):
            assert len(workload.numbers(part, side).read_text().splitlines()) == sentences
    translated = workload.numbers("test", "target").read_text().splitlines()
    unknown = str(SPECIAL.unk)
    assert [workload.target_text(line) for line in translated if unknown not in line.split()] == [
        target for (_, target), line in zip(workload.test, translated, strict=True) if unknown not in line.split()
    ]
    assert [workload.target_length(target) for _, target in workload.test] == [
        len(line.split()) + 1 for line in translated
    ]
    assert workload.bleu([target for _, target in workload.test]) == pytest.approx(100)
    for side, tokenizer in (("source", prepared.source.tokenizer), ("target", prepared.target.tokenizer)):
        known = workload.numbers("vocab", side).read_text().split()[::2]
        assert known == [str(number) for number in range(4, tokenizer.vocab_size)]
        assert set(workload.numbers("train", side).read_text().split()) <= set(known)


def test_as_many_pairs_are_trained_on_with_batches_of_any_size(load: Load, corpus: Path, tmp_path: Path) -> None:
    module = load("workload")
    workload = module.Workload.of(corpus, tmp_path, dev=10, test=20)
    pairs = len(workload.prepared.train)
    assert module.steps_for(workload, ["train.batch_tokens=1"], 3 * pairs) == 3 * pairs  # a batch for each pair
    assert module.steps_for(workload, ["train.batch_tokens=1000000"], 3 * pairs) == 3  # one for all


@pytest.mark.slow
def test_a_command_is_watched(load: Load) -> None:
    measure = load("measure")
    program = "import sys, time; held = b'x' * 300_000_000; print(sys.stdin.read()); time.sleep(0.2); print('end')"
    finished = measure.run([sys.executable, "-c", program], threads=3, stdin="begin")
    assert [text for _, text in finished.lines] == ["begin", "end"]
    (began, _), (ended, _) = finished.lines
    assert 0 < ended - began <= finished.seconds
    threads = measure.run([sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"], threads=3)
    assert threads.lines[0][1] == "3"
    if sys.platform == "linux":
        assert 300_000_000 < finished.peak_bytes < 600_000_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is known on Linux only")
def test_memory_of_a_command_is_its_own(load: Load) -> None:
    held = bytearray(os.urandom(1000) * 300_000)  # what this process holds must not count
    small = load("measure").run([sys.executable, "-c", "import time; time.sleep(0.3)"], threads=1)
    assert small.peak_bytes < 100_000_000 < len(held)


def test_a_command_that_fails_shows_why(load: Load) -> None:
    command = [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"]
    with pytest.raises(SystemExit, match=r"the reason\nerror: .* ended with status 3\."):
        load("measure").run(command, threads=1)


def test_contestants_take_turns(load: Load) -> None:
    measure = load("measure")
    called: list[tuple[str, int]] = []

    def contestant(name: str) -> Callable[[int], int]:
        def take_turn(number: int) -> int:
            called.append((name, number))
            return 10 * number

        return take_turn

    assert measure.by_turns({"a": contestant("a"), "b": contestant("b")}, 2) == {"a": [0, 10], "b": [0, 10]}
    assert called == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_ratios_are_of_one_round_and_spread_shows_the_middle_and_the_ends(load: Load) -> None:
    measure = load("measure")
    assert measure.ratios([10.0, 30.0], [5.0, 10.0]) == [2.0, 3.0]
    assert measure.spread([7000.0, 9000.4, 8000.0]) == "8,000 (7,000–9,000)"
    assert measure.spread([1.234], 2) == "1.23"
    assert measure.spread([None, 2.0]) == "2"
    assert measure.spread([None]) == "–"


def test_a_grown_corpus_has_no_combination_twice(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "grown.tsv"
    load("growth").write_grown([("a", "甲"), ("b", "乙"), ("c", "丙")], 9, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sorted(lines) == sorted(
        f"{x} {y}\t{u}{v}" for x, u in ("a甲", "b乙", "c丙") for y, v in ("a甲", "b乙", "c丙")
    )
    with pytest.raises(SystemExit, match="9 combinations, not 10"):
        load("growth").write_grown([("a", "甲"), ("b", "乙"), ("c", "丙")], 10, path)


def test_what_a_group_of_workers_waits(load: Load) -> None:
    scaling = load("scaling")
    network = scaling.Network(bandwidth=1e6, latency=0.01)
    assert network.all_reduce(3e6, 2) == pytest.approx(3.02)  # two messages of 1.5 MB
    assert network.all_reduce(3e6, 3) == pytest.approx(4.04)  # four of 1 MB
    assert scaling.buckets_of(1000) == [1000]
    assert scaling.buckets_of((1 << 20) + (25 << 20) + 7) == [1 << 20, 25 << 20, 7]
    # One bucket is ready at the end only. Of several, all but the last are hidden by a long backward pass.
    assert network.exposed(1000, 2, 100.0) == network.all_reduce(1000, 2)
    size = (1 << 20) + 7
    assert network.exposed(size, 2, 100.0) == pytest.approx(network.all_reduce(7, 2))
    assert network.exposed(size, 2, 0.0) == pytest.approx(network.all_reduce(size, 2) + 0.02)
    assert network.efficiency(1000, 2, 1.0) == pytest.approx(1 / 1.021)


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [
        "training_speed.py DATA --models R T --steps 20 --skip 10 --rounds 1 --dev 5 --only-same",
        "decoding_speed.py DATA --models R --beams 1 2 --train-steps 10 --test 10 --rounds 1",
        "cold_start.py DATA --models R --train-steps 10 --test 10 --rounds 1",
        "growth.py DATA --sizes 500 900 --steps 30 --skip 10 --lengths 4 --sentences 2 --rounds 1",
        "runtime.py small-world --text DATA --work WORK --sentences 3 --precisions int8 --beams 1 --rounds 1",
        "scaling.py DATA --presets cnn-tiny --steps 20 --skip 10 --rounds 1 --dev 5",
        "serving.py --count 5 --clients 3 --seconds 0.5 --requests 8",
    ],
    ids=lambda command: command.split(".")[0],
)
def test_a_benchmark_runs(command: str, corpus: Path, tmp_path: Path) -> None:
    places = {"DATA": str(corpus), "WORK": str(tmp_path)}
    words = [places.get(word, word) for word in command.split()]
    done = subprocess.run(
        [sys.executable, BENCHMARKS / words[0], *words[1:], "--threads", "1"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (?!-)(.+) \|$", done.stdout, re.MULTILINE)
    assert len(rows) >= 2, done.stdout
    assert str(corpus.parent) not in done.stdout, "where files lie is shown"


@pytest.mark.long
def test_quality_by_time_and_its_picture(corpus: Path, tmp_path: Path) -> None:
    result, picture = tmp_path / "quality.json", tmp_path / "quality.svg"
    options = ["--minutes", "0.3", "--seeds", "3", "--preset", "cnn-tiny", "--beam", "2", "--out", str(result)]
    overrides = ("data.dev=10", "data.test=20", "train.max_steps=20", "train.evaluate_every=10", "train.device=cpu")
    options += [option for override in overrides for option in ("-o", override)]
    commands = (
        ["quality_by_time.py", str(corpus), *options],
        ["draw_quality.py", str(picture), f"tiny={result}"],
    )
    for script, *words in commands:
        command = [sys.executable, str(BENCHMARKS / script), *words]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
    (run,) = json.loads(result.read_text(encoding="utf-8"))["runs"]
    assert (run["seed"], run["trained"]["steps"]) == (3, 20)
    assert 0 <= run["beam 2"]["bleu"]["low"] <= run["beam 2"]["bleu"]["value"] <= run["beam 2"]["bleu"]["high"] <= 100
    assert len(run["dev_chrf_by_second"]) == 2
    drawn = picture.read_text(encoding="utf-8")
    assert drawn.startswith("<?xml")
    assert "tiny: greedy, then beam 2" in drawn


@pytest.mark.slow
def test_the_files_that_are_kept_hold_the_figures(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = load("report")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["/some/where/speed.py", "/a/b/pairs.tsv", "--write"])
    table = report.Table("Speed", ("", "s"), [("Attentio", "1.5")], {"Attentio": [1.5]}, "What it means.")
    report.publish("some-speed", [table], argparse.Namespace(threads=1, write=True))
    text, data = sorted((tmp_path / "results").iterdir(), key=lambda path: path.suffix, reverse=True)
    assert "| Attentio | 1.5 |" in text.read_text(encoding="utf-8")
    kept = json.loads(data.read_text(encoding="utf-8"))
    assert kept["command"] == ["speed.py", "pairs.tsv", "--write"]
    assert kept["tables"] == [{"title": "Speed", "notes": "What it means.", "samples": {"Attentio": [1.5]}}]

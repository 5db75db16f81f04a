"""The verb `compare`: a grid trained and compared, existing runs compared, resumed, interrupted, and refused."""

import csv
import json
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from attentio.data.heldout import HeldOut
from attentio.errors import ResourceError, UsageError
from attentio.experiment.grid import budget_settings
from attentio.experiment.stages import train_run
from attentio.runtime.files import write_json
from attentio.runtime.processes import Stopped, Workers, answer_of, done, job_of
from attentio.runtime.stop import StopRequest
from attentio.train import run as training
from attentio.train.settings import load_config

Command = Callable[..., Any]
Refused = Callable[[Any, int], str]

AXIS = ["--vary", "attention.score=dot,additive"]
SMALL = [
    *("-o", "model.embedding_size=8", "-o", "model.hidden_size=8", "-o", "train.evaluate_pairs=2"),
    *("-o", "data.dev=6", "-o", "data.test=12", "--device", "cpu", "--resamples", "100"),
]
BUDGET = ["--budget", "4 steps"]
WORLD = ["small-world", "-o", "data.small_world_pairs=200"]


def in_this_process(
    _self: Workers,
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    answer: Path,
    *,
    watch: Callable[[], None] | None = None,
    threads: int | None = None,
) -> Any:
    """In place of `Workers.call`: the same job without a process of its own, which takes seconds to start."""
    assert threads is None
    answer.parent.mkdir(parents=True, exist_ok=True)
    found = done(json.loads(json.dumps(job_of(function, arguments, answer))))
    write_json(answer, found)
    if watch is not None:
        watch()
    return answer_of(found)


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workers, "call", in_this_process)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scores with two seeds each, four updates, on the small world. Not to be changed."""
    from attentio.cli import main

    folder = tmp_path_factory.mktemp("grid") / "bench"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workers, "call", in_this_process)
        patch.setattr(
            sys,
            "argv",
            ["attentio", "compare", *WORLD, *AXIS, *SMALL, *BUDGET, "--seeds", "2", "--out", str(folder), "-q"],
        )
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    return folder


@pytest.fixture
def copy(grid: Path, tmp_path: Path) -> Path:
    """The grid, to be changed."""
    return Path(shutil.copytree(grid, tmp_path / "bench"))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The run folders that are trained from here on."""
    run_training, seen = training.run_training, list[str]()

    def noted(config: Any, out: Path, **options: Any) -> dict[str, Any]:
        seen.append("/".join(out.parts[-2:]))
        return run_training(config, out, **options)

    monkeypatch.setattr(training, "run_training", noted)
    return seen


def compared(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "compare.json").read_text(encoding="utf-8"))


def held_out_of(run: Path) -> list[HeldOut]:
    return [HeldOut.load(path) for path in sorted((run / "data").glob("test*.tsv"))]


# A grid


@pytest.mark.slow
def test_what_a_comparison_leaves(grid: Path) -> None:
    assert sorted(path.name for path in grid.iterdir()) == [
        *("bench.json", "compare.csv", "compare.html", "compare.json", "data", "results", "runs")
    ]
    runs = sorted(str(path.relative_to(grid)) for path in (grid / "runs").glob("*/*"))
    assert runs == [f"runs/attention.score={score}/seed-{seed}" for score in ("additive", "dot") for seed in (1, 2)]
    for run in runs:
        assert sorted(path.name for path in (grid / run).iterdir()) == [
            *("checkpoints", "config.toml", "data", "log.jsonl", "model")
        ]
    shown = compared(grid)
    assert (shown["schema"], shown["baseline"], shown["axes"]) == (1, "dot", ["attention.score"])
    assert [cell["name"] for cell in shown["cells"]] == ["dot", "additive"]
    for cell in shown["cells"]:
        assert [run["seed"] for run in cell["runs"]] == [1, 2]
        assert cell["steps"]["mean"] == 4
        assert cell["memory_bytes"]["mean"] > 50e6
        assert cell["sentences_per_second"]["mean"] > 0
        assert cell["tokens_per_second"]["mean"] > 0
        (result,) = cell["tests"].values()
        assert 0 <= result["error_rate"]["mean"] <= 1  # the small world knows its links
        assert result["entropy"]["mean"] > 0
        assert len(cell["runs"][0]["curve"]) == 1
    parameters = [cell["parameters"]["mean"] for cell in shown["cells"]]
    assert parameters[1] > parameters[0]  # additive has matrices of its own


@pytest.mark.slow
def test_scores_and_alignment_error_are_those_of_evaluate(attentio: Command, grid: Path) -> None:
    """The same runs, evaluated by the other verb."""
    for cell in compared(grid)["cells"]:
        (mine,) = cell["tests"].values()
        rates: list[float] = []
        for place, run in enumerate(cell["runs"]):
            shown = json.loads(attentio("evaluate", run["run"], "--json", "--resamples", 0, "--beam", 1).out)
            (theirs,) = shown["tests"].values()
            assert mine["scores"]["BLEU"]["by_seed"][place] == pytest.approx(theirs["bleu"]["value"])
            assert mine["scores"]["chrF2"]["by_seed"][place] == pytest.approx(theirs["chrf"]["value"])
            rates.append(theirs["alignment"]["error_rate"])
        assert mine["error_rate"]["mean"] == pytest.approx(sum(rates) / len(rates))


@pytest.mark.slow
def test_all_are_tested_on_the_same_sentences_which_none_has_seen(grid: Path) -> None:
    from attentio.data.prepare import PreparedData

    runs = sorted((grid / "runs").glob("*/*"))
    assert [load_config(run / "config.toml").train.seed for run in runs] == [1, 2, 1, 2]
    assert {load_config(run / "config.toml").data.split_seed for run in runs} == {1}
    held = [held_out_of(run) for run in runs]
    assert all(tests == held[0] for tests in held)
    assert len(held[0][0].sources) > 8
    data = PreparedData.load(runs[0] / "data")
    assert data.report.leak is not None
    assert data.report.leak.either == 0
    assert (runs[0] / "data" / "test.tsv").samefile(next((grid / "data").iterdir()) / "test.tsv")  # no second copy


@pytest.mark.slow
def test_seeds_differ_in_their_weights(grid: Path) -> None:
    weights = {(run / "model" / "model.safetensors").read_bytes() for run in (grid / "runs").glob("*/*")}
    assert len(weights) == 4


@pytest.mark.slow
def test_the_same_command_again_trains_nothing_and_says_the_same(
    attentio: Command, copy: Path, trainings: list[str]
) -> None:
    before = compared(copy)
    outcome = attentio("compare", *WORLD, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--out", copy, "--json")
    assert outcome.status == 0
    assert trainings == []
    moved = json.loads(outcome.out.replace(str(copy), "B"))
    wanted = json.loads(json.dumps(before).replace(before["cells"][0]["runs"][0]["run"].split("/runs/")[0], "B"))
    for cell in (*moved["cells"], *wanted["cells"]):  # measured anew, as the folder has moved
        del cell["sentences_per_second"]
        for run in cell["runs"]:
            del run["sentences_per_second"]
    assert moved == wanted
    again = attentio("compare", *WORLD, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--out", copy, "--json")
    assert again.out == outcome.out


@pytest.mark.slow
def test_streams(attentio: Command, copy: Path) -> None:
    arguments = ["compare", *WORLD, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--out", copy]
    plain = attentio(*arguments)
    assert "additive against dot, " in plain.out
    assert max(map(len, plain.lines)) <= 100
    assert "4/4  additive, seed 2: " in plain.err
    assert f"report {copy / 'compare.html'}" in plain.err
    quiet = attentio(*arguments, "--quiet", "--json")
    assert quiet.err == ""
    assert json.loads(quiet.out) == compared(copy)
    wide = attentio(*arguments, "--wide", "--quiet")
    assert "monotonicity" in wide.out
    assert "monotonicity" not in plain.out


@pytest.mark.slow
def test_the_csv_says_what_the_json_says(grid: Path) -> None:
    with (grid / "compare.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["attention.score"] for row in rows] == ["dot", "additive"]
    for row, cell in zip(rows, compared(grid)["cells"], strict=True):
        result = cell["tests"]["test"]
        assert float(row["chrF2"]) == result["scores"]["chrF2"]["value"]
        assert float(row["BLEU_high"]) == result["scores"]["BLEU"]["high"]
        assert float(row["error_rate"]) == result["error_rate"]["mean"]
        assert float(row["parameters"]) == cell["parameters"]["mean"]
    assert rows[0]["chrF2_difference"] == ""
    assert float(rows[1]["chrF2_difference_corrected"]) > 0


@pytest.mark.slow
def test_no_sentence_of_the_corpus_is_in_what_is_shown(attentio: Command, copy: Path) -> None:
    sources = [source for source in held_out_of(next((copy / "runs").glob("*/*")))[0].sources if len(source) > 20]
    assert len(sources) > 5
    for name in ("compare.html", "compare.json", "compare.csv"):
        text = (copy / name).read_text(encoding="utf-8")
        assert not any(source in text for source in sources)
    assert "I love you." in (copy / "compare.html").read_text(encoding="utf-8")
    again = ["compare", *WORLD, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--out", copy, "-q"]
    assert attentio(*again, "--test-sentences", 3).status == 0
    text = (copy / "compare.html").read_text(encoding="utf-8")
    assert text.count('<h3 id="sentence-') == 3
    assert "I love you." not in text


@pytest.mark.slow
def test_no_sentences_of_ours_in_that_language(attentio: Command, tmp_path: Path) -> None:
    """Nothing is shown rather than something of the user's."""
    from attentio.corpora.small_world.grammar import sample

    file = tmp_path / "pairs.tsv"
    file.write_text("".join(f"{pair.target}\t{pair.source}\n" for pair in sample(80, 5)), encoding="utf-8")
    settings = ["-o", "data.source_language=xx", *SMALL, *BUDGET, "--seeds", 1, "--out", tmp_path / "b"]
    outcome = attentio("compare", file, *AXIS, *settings)
    assert outcome.status == 0
    assert "the report has no maps: give sentences in xx with --sentence" in outcome.err
    assert "<h3 id=" not in (tmp_path / "b" / "compare.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_another_search_or_baseline_trains_nothing(attentio: Command, copy: Path, trainings: list[str]) -> None:
    again = ["compare", *WORLD, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--out", copy, "-q", "--json"]
    sentences = ["--sentence", "The cat is sleeping.", "--sentence", "Yes."]
    shown = json.loads(attentio(*again, "--beam", 3, "--baseline", "additive", *sentences).out)
    assert trainings == []
    text = (copy / "compare.html").read_text(encoding="utf-8")
    assert text.count('<h3 id="sentence-') == 2
    assert "The cat is sleeping." in text
    assert shown["baseline"] == "additive"
    assert shown["facts"]["Search"].startswith("beam 3")
    assert list(shown["cells"][0]["tests"]["test"]["differences"]) == ["BLEU", "chrF2"]
    assert shown["cells"][1]["tests"]["test"]["differences"] == {}


@pytest.mark.slow
def test_seeds_and_cells_may_be_added(attentio: Command, copy: Path, trainings: list[str]) -> None:
    axis = ["--vary", "attention.score=dot,additive,bilinear"]
    outcome = attentio("compare", *WORLD, *axis, *SMALL, *BUDGET, "--seeds", 3, "--out", copy, "-q", "--json")
    assert outcome.status == 0
    assert sorted(trainings) == [
        *("attention.score=additive/seed-3", "attention.score=bilinear/seed-1", "attention.score=bilinear/seed-2"),
        *("attention.score=bilinear/seed-3", "attention.score=dot/seed-3"),
    ]
    assert [len(cell["runs"]) for cell in json.loads(outcome.out)["cells"]] == [3, 3, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--budget", "5 steps"], "train.max_steps was 4, now 5"),
        ([*BUDGET, "-o", "model.dropout=0.5"], "model.dropout was 0.3, now 0.5"),
        ([*BUDGET, "--seeds", "1"], "another grid, with seed 2"),
        ([*BUDGET, "--vary", "attention.num_heads=1,2"], "another grid, with the cell dot"),
    ],
)
def test_another_grid_is_refused(
    attentio: Command, refused: Refused, copy: Path, trainings: list[str], change: list[str], words: str
) -> None:
    before = compared(copy)
    line = refused(attentio("compare", *WORLD, *AXIS, *SMALL, "--seeds", 2, *change, "--out", copy, "-q"), 2)
    assert words in line
    assert "another --out" in line
    assert trainings == []
    assert compared(copy) == before


@pytest.mark.slow
def test_changed_data_is_noticed(attentio: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    arguments = ["compare", pairs, *AXIS, *SMALL, *BUDGET, "--seeds", 1, "--out", tmp_path / "b", "-q"]
    assert attentio(*arguments).status == 0
    with pairs.open("a", encoding="utf-8") as file:
        file.write("One more.\t再来一个。\n")
    assert "changed since the comparison began" in refused(attentio(*arguments), 3)


@pytest.mark.slow
def test_a_preset_and_several_axes(attentio: Command, pairs: Path, tmp_path: Path) -> None:
    outcome = attentio(
        *("compare", pairs, "--vary", "preset=rnn-tiny,notebook", "--vary", "attention.window=full,local-p"),
        *(*SMALL, *BUDGET, "--seeds", 1, "--out", tmp_path / "b", "-q", "--json", "--baseline", "notebook,full"),
    )
    assert outcome.status == 0
    shown = json.loads(outcome.out)
    names = ["rnn-tiny, full", "rnn-tiny, local-p", "notebook, full", "notebook, local-p"]
    assert [cell["name"] for cell in shown["cells"]] == names
    assert shown["baseline"] == "notebook, full"
    assert "attention.score = bilinear, not dot" in shown["cells"][0]["also_differs"]
    assert shown["cells"][3]["also_differs"] == []
    assert (shown["comparisons"], shown["cells"][0]["settings"]["preset"]) == (6, "rnn-tiny")


@pytest.mark.slow
def test_data_settings_may_vary_while_the_test_sentences_stay(attentio: Command, pairs: Path, tmp_path: Path) -> None:
    arguments = ["compare", pairs, *SMALL, *BUDGET, "--seeds", 1, "-q", "--json"]
    axis = ["--vary", "data.target_tokenizer=char,word"]
    shown = json.loads(attentio(*arguments, *axis, "--out", tmp_path / "b").out)
    assert len(list((tmp_path / "b" / "data").iterdir())) == 2
    parameters = [cell["parameters"]["mean"] for cell in shown["cells"]]
    assert parameters[0] != parameters[1]
    held = [held_out_of(run) for run in sorted((tmp_path / "b" / "runs").glob("*/*"))]
    assert held[0] == held[1]
    outcome = attentio(*arguments, "--vary", "data.script=simplified,traditional", "--out", tmp_path / "c")
    assert outcome.status == 3
    assert "error: simplified and traditional hold out different test sentences." in outcome.err


@pytest.mark.slow
def test_a_time_is_a_budget(attentio: Command, pairs: Path, tmp_path: Path) -> None:
    arguments = ["--budget", "1s", "--seeds", 1, "--out", tmp_path / "b", "-q", "--json"]
    shown = json.loads(attentio("compare", pairs, *AXIS, *SMALL, *arguments).out)
    for cell in shown["cells"]:
        assert cell["training_seconds"]["mean"] >= 0.5
        config = load_config(Path(cell["runs"][0]["run"]) / "config.toml").train
        assert (config.max_seconds, config.max_steps, config.patience) == (1.0, None, 0)


# Failures


@pytest.mark.slow
def test_an_impossible_cell_fails_alone(attentio: Command, pairs: Path, tmp_path: Path) -> None:
    arguments = ["--vary", "attention.num_heads=1,3,2", *SMALL, *BUDGET, "--seeds", 1, "--out", tmp_path / "b"]
    outcome = attentio("compare", pairs, *arguments, "--json")
    assert outcome.status == 2
    assert "3, seed 1 failed: " in outcome.err
    assert "divisible by attention.num_heads = 3" in outcome.err
    assert "Traceback" not in outcome.err
    one, three, two = json.loads(outcome.out)["cells"]
    assert one["tests"]
    assert two["tests"]["test"]["differences"]
    assert (three["tests"], three["parameters"]) == ({}, None)
    assert "num_heads = 3" in three["runs"][0]["failure"]
    assert "num_heads = 3" in (tmp_path / "b" / "compare.html").read_text(encoding="utf-8")
    with (tmp_path / "b" / "compare.csv").open(encoding="utf-8", newline="") as file:
        assert [row["failed"] for row in csv.DictReader(file)] == ["0", "1", "0"]
    outcome = attentio("compare", pairs, *arguments, "--baseline", "3", "-q")
    assert "the baseline 3 has no result, so nothing is tested" in outcome.err
    assert "Δ chrF2" not in outcome.out


def injected(monkeypatch: pytest.MonkeyPatch, error: Exception, *, at: int) -> None:
    """Training number `at` (from 1) fails with `error`."""
    run_training, calls = training.run_training, iter(range(1, 100))

    def failing(*arguments: Any, **options: Any) -> dict[str, Any]:
        if next(calls) == at:
            raise error
        return run_training(*arguments, **options)

    monkeypatch.setattr(training, "run_training", failing)


@pytest.mark.slow
def test_out_of_memory_in_one_training(
    attentio: Command, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One seed of a cell is lost, the other is reported; the same command again mends it."""
    arguments = ["compare", pairs, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--out", tmp_path / "b", "--json"]
    with monkeypatch.context() as patch:
        injected(patch, ResourceError("out of memory on cpu.", hint="Try less.", code="E_OUT_OF_MEMORY"), at=2)
        outcome = attentio(*arguments)
    assert outcome.status == 5
    assert "2/4  additive, seed 1 failed: out of memory on cpu. Try less." in outcome.err
    cells = json.loads(outcome.out)["cells"]
    assert [len(cell["tests"]["test"]["scores"]["BLEU"]["by_seed"]) for cell in cells] == [2, 1]
    assert cells[1]["tests"]["test"]["differences"]["BLEU"]["p_value"] is None
    outcome = attentio(*arguments)
    assert outcome.status == 0
    assert all(run["failure"] is None for cell in json.loads(outcome.out)["cells"] for run in cell["runs"])


class AtOnce:
    """In place of `Workers.call`: trainings wait until two have begun, then each does its work, one at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Barrier(2)
        self.one = threading.Lock()
        self.threads = set[int | None]()
        monkeypatch.setattr(signal, "signal", lambda *_: signal.SIG_DFL)  # which only the main thread may call

    def do(
        self,
        function: Callable[..., Any],
        arguments: Mapping[str, Any],
        answer: Path,
        *,
        threads: int | None = None,
        **options: Any,
    ) -> Any:
        if function is train_run:
            self.threads.add(threads)
            self.begun.wait(timeout=120)
        with self.one:
            return in_this_process(Workers(StopRequest()), function, arguments, answer, **options)


@pytest.mark.slow
def test_two_trainings_at_once(attentio: Command, grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is still one's own. Figures are those of one after the other, the right ones beside each name."""
    workers = AtOnce(monkeypatch)
    monkeypatch.setattr(Workers, "call", staticmethod(workers.do))
    monkeypatch.setattr("attentio.experiment.runner.num_processors", lambda: 6)
    arguments = ["compare", *WORLD, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--out", tmp_path / "b"]
    with monkeypatch.context() as patch:
        injected(patch, ResourceError("out of memory on cpu.", code="E_OUT_OF_MEMORY"), at=3)
        outcome = attentio(*arguments, "--at-once", 2)
    assert outcome.status == 5
    assert workers.threads == {3}
    runs = [run for cell in compared(tmp_path / "b")["cells"] for run in cell["runs"]]
    assert [run["failure"] for run in runs].count(None) == 3
    assert "2 at once" in (tmp_path / "b" / "compare.html").read_text("utf-8")
    monkeypatch.setattr(Workers, "call", in_this_process)
    assert attentio(*arguments).status == 0
    assert [(cell["name"], cell["tests"], cell["steps"]) for cell in compared(tmp_path / "b")["cells"]] == [
        (cell["name"], cell["tests"], cell["steps"]) for cell in compared(grid)["cells"]
    ]


@pytest.mark.parametrize(
    ("error", "given_up"), [(ResourceError("disk full.", code="E_DISK_FULL"), True), (Stopped(15), False)]
)
def test_what_ends_all_of_several_at_once(
    attentio: Command, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, given_up: bool
) -> None:
    """A stop lets the other training save; a full disk does not wait for it, and what begins after it is killed."""
    begun, stopped, killed = threading.Barrier(2), threading.Event(), list[bool]()
    number = iter(range(100))
    real = AtOnce(monkeypatch).do

    def do(workers: Workers, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        if function is not train_run:
            return real(function, *arguments, **options)
        if next(number) < 2 and begun.wait(timeout=120) == 0:
            stopped.set()
            raise error
        stopped.wait(timeout=120)
        killed.append(workers.given_up.wait(timeout=20 if given_up else 0.5))
        raise Stopped(15)

    monkeypatch.setattr(Workers, "call", do)
    arguments = ["compare", pairs, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--at-once", 2, "--out", tmp_path / "b"]
    outcome = attentio(*arguments)
    assert outcome.status == (5 if given_up else 143)
    assert killed
    assert set(killed) == {given_up}
    assert not (tmp_path / "b" / "compare.json").exists()


@pytest.mark.slow
def test_a_bug_in_one_training_is_one_line(
    attentio: Command, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    injected(monkeypatch, ZeroDivisionError("division by zero"), at=1)
    arguments = ["compare", pairs, *AXIS, *SMALL, *BUDGET, "--seeds", 1, "--out", tmp_path / "b", "--json"]
    outcome = attentio(*arguments)
    assert outcome.status == 1
    (failure,) = [run["failure"] for run in json.loads(outcome.out)["cells"][0]["runs"]]
    assert failure.startswith("internal: ZeroDivisionError: division by zero (see ")


def test_a_full_disk_ends_it(
    attentio: Command, refused: Refused, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is nobody's fault among the cells, and the next one would fail, too."""
    injected(monkeypatch, ResourceError("disk full.", hint="Free some.", code="E_DISK_FULL"), at=1)
    arguments = ["compare", pairs, *AXIS, *SMALL, *BUDGET, "--seeds", 1, "--out", tmp_path / "b", "-q"]
    assert refused(attentio(*arguments), 5) == "error: disk full. Free some."
    assert not (tmp_path / "b" / "compare.json").exists()


def test_nothing_could_be_trained(attentio: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    arguments = ["--vary", "attention.num_heads=3,5", *SMALL, *BUDGET, "--seeds", 1, "--out", tmp_path / "b", "-q"]
    assert "num_heads = 3" in refused(attentio("compare", pairs, *arguments), 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to compare. Say what to vary"),
        (["--vary", "attention.score"], "cannot read the axis 'attention.score'"),
        (["--vary", "attention.score=dot,"], "cannot read the axis"),
        (["--vary", "attention.scor=dot,additive"], "unknown setting attention.scor. Did you mean score?"),
        (
            ["--vary", "attention.score=dot,aditive"],
            "no kind 'aditive'. Did you mean 'additive'?",
        ),
        (["--vary", "attention.window=full,quux"], "attention.window: there is no kind 'quux'. Known: full, "),
        (["--vary", "model.kernel_size=3,five"], "model.kernel_size: input should be a valid integer"),
        (["--vary", "model.dropout=0.1,9"], "model.dropout: input should be less than 1"),
        (["--vary", "preset=tiny,smal"], "unknown preset 'smal'. Did you mean small?"),
        (["--vary", "attention.score=dot,dot"], "attention.score has the value dot twice"),
        (["--vary", "attention.score=dot"], "one cell alone is no comparison"),
        ([*AXIS, *AXIS], "attention.score is varied twice"),
        (["--vary", "train.seed=1,2"], "train.seed cannot be varied: seeds are given with --seeds"),
        (["--vary", "data.test=5,6"], "data.test cannot be varied: all cells are tested on the same sentences"),
        ([*AXIS, "-o", "attention.score=dot"], "attention.score is set with -o and varied"),
        (["--vary", "preset=tiny,small", "--preset", "base"], "the preset is given and varied"),
        (
            [*AXIS, "--budget", "soon"],
            "cannot read the budget 'soon'. Write a time, as 90s, 3m or 2h, or \"500 steps\".",
        ),
        ([*AXIS, "--budget", "0 steps"], "cannot read the budget '0 steps'"),
        ([*AXIS, "--budget", "3m", "-o", "train.epochs=3"], "--budget and train.epochs both say when a training ends"),
        (["--vary", "train.max_steps=1,2", "--budget", "3m"], "--budget and train.max_steps both say"),
        ([*AXIS, "--baseline", "cosine"], "no cell 'cosine' for a baseline. There are: dot; additive."),
        ([*AXIS, "--on", "x.tsv"], "--on is for run folders"),
        ([*AXIS, "--preset", "smal"], "Did you mean small?"),
    ],
)
def test_mistakes_are_found_before_anything_is_done(
    attentio: Command, refused: Refused, pairs: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    assert words in refused(attentio("compare", pairs, *arguments, "--out", tmp_path / "b", "-q"), 2)
    assert not (tmp_path / "b").exists()


def test_no_seeds_and_no_data(attentio: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    outcome = attentio("compare", pairs, *AXIS, "--seeds", 0, "--out", tmp_path / "b")
    assert (outcome.status, outcome.out) == (2, "")
    assert "--seeds" in outcome.err
    assert "no data to train on" in refused(attentio("compare", *AXIS, "--out", tmp_path / "b"), 2)
    assert "no such file" in refused(attentio("compare", tmp_path / "x.tsv", *AXIS, "--out", tmp_path / "b", "-q"), 3)
    assert "DATA or --src, not both" in refused(attentio("compare", pairs, "--src", pairs, *AXIS), 2)
    line = refused(attentio("compare", pairs, *AXIS, *SMALL, "-o", "data.test=0", "--out", tmp_path / "b", "-q"), 3)
    assert "nothing is held out for testing. Hold some out: --test 500" in line


def test_a_folder_that_cannot_be_used(attentio: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    arguments = ["compare", pairs, *AXIS, *SMALL, *BUDGET, "-q", "--out"]
    assert "holds no comparison" in refused(attentio(*arguments, pairs), 2)
    assert "holds no comparison" in refused(attentio(*arguments, tmp_path), 2)
    assert "cannot be written (Not a directory)" in refused(attentio(*arguments, pairs / "b"), 5)
    assert sorted(tmp_path.iterdir()) == [pairs]


@pytest.mark.slow
def test_two_at_once_are_refused(attentio: Command, refused: Refused, copy: Path) -> None:
    with FileLock(copy / ".lock"):
        line = refused(attentio("compare", *WORLD, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--out", copy, "-q"), 2)
    assert f"{copy} is in use: another process is comparing there. Let it end" in line


# Existing runs


@pytest.fixture
def runs(grid: Path) -> list[Path]:
    return sorted((grid / "runs").glob("*/*"))  # additive twice, dot twice


@pytest.mark.slow
def test_existing_runs_give_the_same_figures(
    attentio: Command, grid: Path, runs: list[Path], tmp_path: Path, trainings: list[str]
) -> None:
    outcome = attentio(
        "compare",
        *runs,
        "--baseline",
        "dot",
        "--out",
        tmp_path / "b",
        "-q",
        "--json",
        "--device",
        "cpu",
        "--resamples",
        100,
    )
    assert outcome.status == 0
    shown, before = json.loads(outcome.out), compared(grid)
    assert shown["axes"] == ["attention.score"]
    assert [cell["name"] for cell in shown["cells"]] == ["additive", "dot"]
    assert shown["cells"][0]["tests"] == before["cells"][1]["tests"]
    assert shown["cells"][1]["tests"] == before["cells"][0]["tests"]
    assert shown["cells"][0]["steps"] == before["cells"][1]["steps"]
    assert shown["cells"][0]["memory_bytes"] is None
    assert trainings == []
    named = attentio(
        "compare", *runs, "--baseline", runs[2], "--out", tmp_path / "b", "-q", "--json", "--device", "cpu"
    )
    assert json.loads(named.out)["baseline"] == "dot"


@pytest.mark.slow
def test_runs_on_a_file_of_their_own(attentio: Command, runs: list[Path], tmp_path: Path) -> None:
    """Sentences that a run was trained on are left out, up to case and punctuation; nothing else is."""
    from attentio.data.prepare import PreparedData

    data = PreparedData.load(runs[0] / "data")
    seen = data.source.tokenizer.decode(data.train.source[3].tolist())
    file = tmp_path / "mine.tsv"
    file.write_text(
        f"{seen.upper()}!!\t新的句子。\nThis is quite new, is it not?\t这是新的，不是吗？\n", encoding="utf-8"
    )
    shown = json.loads(attentio("compare", *runs, "--on", file, "--out", tmp_path / "b", "-q", "--json").out)
    assert shown["sentences"] == {"mine": 1}
    assert shown["left_out"] == {"mine": {"seen in training by a run": 1}}
    assert shown["facts"]["Left out"].startswith("1 test sentences")
    assert shown["facts"]["Tested on"] == "mine.tsv"
    assert "1 of 2 test sentences are left out: a run had seen them in training" in shown["notes"]
    assert shown["cells"][0]["tests"]["mine"]["error_rate"] is None
    file.write_text(f"{seen}\t新的句子。\n", encoding="utf-8")
    outcome = attentio("compare", *runs, "--on", file, "--out", tmp_path / "c", "-q")
    assert outcome.status == 3
    assert "every test sentence was seen in training" in outcome.err


@pytest.mark.slow
def test_a_mistyped_folder_is_said_to_be_one(
    attentio: Command, refused: Refused, runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ["--out", tmp_path / "b", "-q"]
    wrong = runs[2].with_name("seed-11")
    line = refused(attentio("compare", runs[0], wrong, *out), 3)
    assert line == f"error: there is no {wrong}. Did you mean {runs[2]}?"
    assert f"there is no {tmp_path / 'x'}." in refused(attentio("compare", tmp_path / "x", tmp_path / "y", *out), 3)
    assert f"{tmp_path} is no run folder." in refused(attentio("compare", tmp_path, runs[0], *out), 3)
    monkeypatch.chdir(tmp_path)
    assert "nothing to compare. Say what to vary" in refused(attentio("compare", "demo", *out), 2)
    Path("demo").symlink_to(runs[0])
    assert "nothing to compare. Say what to vary" in refused(attentio("compare", "demo", *out), 2)
    assert "--seeds is about training" in refused(attentio("compare", "demo", runs[1], "--seeds", 2, *out), 2)


@pytest.mark.slow
def test_a_test_file_has_an_encoding_of_its_own(attentio: Command, runs: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_bytes("This is quite new, is it not?;这是新的，不是吗？\nno other side;\n".encode("gb18030"))
    reading = ["--encoding", "gb18030", "--delimiter", ";"]
    outcome = attentio("compare", *runs[1:3], "--on", file, *reading, "--out", tmp_path / "b", "-q", "--json")
    assert outcome.status == 0, outcome.err
    shown = json.loads(outcome.out)
    assert shown["sentences"] == {"mine": 1}
    assert sum(shown["left_out"]["mine"].values()) == 1
    assert "1 of 2 pairs are not scored: " in outcome.err


@pytest.mark.slow
def test_runs_with_different_test_sets_are_refused(
    attentio: Command, refused: Refused, train: Command, pairs: Path, tmp_path: Path
) -> None:
    for score, seed in (("dot", 1), ("additive", 2)):
        train(pairs, "--out", tmp_path / score, "--attention", score, "--seed", seed, "-q")
    both = [tmp_path / "dot", tmp_path / "additive"]
    line = refused(attentio("compare", *both, "--out", tmp_path / "b", "-q"), 3)
    assert "hold out different test sentences. Give the same sentences to all: --on FILE." in line
    (tmp_path / "new.tsv").write_text("Quite a new sentence.\t新的句子。\n", encoding="utf-8")
    assert attentio("compare", *both, "--on", tmp_path / "new.tsv", "--out", tmp_path / "b", "-q").status == 0


@pytest.mark.slow
def test_what_else_differs_is_said(attentio: Command, train: Command, pairs: Path, tmp_path: Path) -> None:
    train(pairs, "--out", tmp_path / "dot", "--attention", "dot", "-q")
    train(pairs, "--out", tmp_path / "wide", "--attention", "additive", "-q", "-o", "model.dropout=0.6")
    runs = [tmp_path / "dot", tmp_path / "wide"]
    outcome = attentio("compare", *runs, "--out", tmp_path / "b", "-q")
    assert "additive also differs: model.dropout = 0.6, not 0." in outcome.out
    assert "model.dropout = 0.6, not 0." in (tmp_path / "b" / "compare.html").read_text(encoding="utf-8")
    shown = json.loads(attentio("compare", *runs, "--vary", "model.dropout", "--out", tmp_path / "b", "--json").out)
    assert [cell["name"] for cell in shown["cells"]] == ["0.4", "0.6"]
    assert shown["cells"][1]["also_differs"] == ["attention.score = additive, not dot"]


@pytest.mark.slow
def test_runs_that_cannot_be_compared(
    attentio: Command, refused: Refused, runs: list[Path], grid: Path, pairs: Path, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "b", "-q"]
    assert "one run alone is no comparison" in refused(attentio("compare", runs[0], *out), 2)
    assert "one run alone is no comparison" in refused(attentio("compare", runs[0], runs[0], *out), 2)
    shutil.copytree(runs[0], tmp_path / "again")
    twice = [*runs, tmp_path / "again"]
    assert "the same settings and the same seed. Give each training once." in refused(
        attentio("compare", *twice, *out), 2
    )
    assert "differ in nothing but their seed" in refused(attentio("compare", *runs[:2], *out), 2)
    assert "data to train on, or run folders, not both" in refused(attentio("compare", runs[0], pairs, *out), 2)
    assert "--seeds is about training" in refused(attentio("compare", *runs, "--seeds", 2, *out), 2)
    assert "these runs are trained. Name the setting alone" in refused(attentio("compare", *runs, *AXIS, *out), 2)
    line = refused(attentio("compare", *runs, "--vary", "model.dropout", *out), 2)
    assert "the runs do not differ in model.dropout. They differ in attention.score." in line
    line = refused(attentio("compare", *runs, "--vary", "model.dropot", *out), 2)
    assert "unknown setting model.dropot. Did you mean model.dropout?" in line
    line = refused(attentio("compare", runs[0], runs[2] / "model", *out), 3)
    assert "has no config.toml. Give the whole run folder" in line
    assert not (tmp_path / "b").exists()
    assert "holds a grid" in refused(attentio("compare", *runs, "--out", grid, "-q"), 2)


@pytest.mark.slow
def test_a_damaged_run_fails_alone(attentio: Command, copy: Path, tmp_path: Path) -> None:
    runs = sorted((copy / "runs").glob("*/*"))
    with (runs[0] / "model" / "model.safetensors").open("r+b") as file:
        file.truncate(100)
    outcome = attentio("compare", *runs, "--out", tmp_path / "b", "--json", "--device", "cpu")
    assert outcome.status == 4
    assert "is truncated" in outcome.err
    assert [len(cell["runs"]) for cell in json.loads(outcome.out)["cells"]] == [2, 2]


# Parts


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("90s", {"max_seconds": 90}),
        ("3m", {"max_seconds": 180}),
        ("500 steps", {"max_steps": 500}),
        ("1steps", {"max_steps": 1}),
        ("20 updates", {"max_steps": 20}),
    ],
)
def test_budgets(text: str, end: dict[str, Any]) -> None:
    assert budget_settings(text) == {**end, "epochs": 1_000_000, "patience": 0}


def test_no_budget_and_none_that_can_be_read() -> None:
    assert budget_settings(None) == {}
    for text in ("", "steps", "1.5 steps", "-3m", "3 weeks"):
        with pytest.raises(UsageError, match="cannot read the budget"):
            budget_settings(text)


@pytest.mark.long
def test_faithfulness_is_that_of_evaluate(attentio: Command, copy: Path, trainings: list[str]) -> None:
    again = ["compare", *WORLD, *AXIS, *SMALL, *BUDGET, "--seeds", 2, "--out", copy, "-q"]
    printed = attentio(*again, "--faithfulness")
    assert printed.status == 0
    assert trainings == []
    assert "faithfulness of attention" in printed.out
    page = (copy / "compare.html").read_text(encoding="utf-8")
    assert "Does attention show what translations depend on?" in page
    for cell in compared(copy)["cells"]:
        (mine,) = cell["tests"].values()
        maps = ["attention", "layer 1", "layer 2", "erasure", "gradient x input", "uniform", "random"]
        assert list(mine["faithfulness"]) == maps
        values: list[float] = []
        rates: list[float] = []
        for run in cell["runs"]:
            shown = attentio("evaluate", run["run"], "--json", "--resamples", 0, "--beam", 1, "--faithfulness").out
            (theirs,) = json.loads(shown)["tests"].values()
            values.append(theirs["faithfulness"]["maps"]["layer 3"]["comprehensiveness"]["value"])
            rates.append(theirs["explanations"]["erasure"]["error_rate"])
        found = mine["faithfulness"]["attention"]["comprehensiveness"]
        assert found["value"] == pytest.approx(sum(values) / 2, abs=1e-5)
        assert found["low"] <= found["value"] <= found["high"]
        assert mine["explanations"]["erasure"]["mean"] == pytest.approx(sum(rates) / 2)
    with (copy / "compare.csv").open(encoding="utf-8", newline="") as file:
        assert all(row["comprehensiveness"] for row in csv.DictReader(file))

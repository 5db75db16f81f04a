"""Filling a comparison: what is not there yet is prepared, trained and evaluated; then all is compared.

Here is the order of things; the work itself is done by processes of their own (`workers`, `jobs`).
"""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from attentio import __version__
from attentio.errors import AttentioError, DataError, UsageError
from attentio.experiment.differing import flat, grouped, varied, what_else, written
from attentio.experiment.folder import Bench, claim_plan, claim_runs, digest
from attentio.experiment.grid import GridCell
from attentio.experiment.log import Clock, Watch, read_log
from attentio.experiment.outcome import Outcome
from attentio.experiment.page import SentenceMaps
from attentio.experiment.statistics import CellRuns, Measured, ReferenceSet, compare
from attentio.experiment.workers import INTERRUPTED, JobError, Stopped, Workers, num_processors
from attentio.metrics.focus import Focus
from attentio.runtime.files import read_json
from attentio.runtime.stop import StopRequest
from attentio.text.script import base_language
from attentio.trace import AttentionTrace
from attentio.train.reporter import Display, Silent
from attentio.train.settings import RunConfig, load_config

# Ours, so that a report shows no sentence of the user's unless asked to; short, and understood at a glance.
SENTENCES = {
    "en": ("I love you.", "Where is my book?", "My sister bought two books yesterday."),
    "zh": ("我爱你。", "我的书在哪里？", "我姐姐昨天买了两本书。"),
}


class ReportOptions(NamedTuple):
    """What is measured of trained models, and how it is told; it may differ from one command to the next."""

    baseline: str | None
    beam: int
    length_penalty: float
    resamples: int
    sentences: list[str] | None
    test_sentences: int
    device: str


@dataclass
class _Taken:
    """What was measured so far, by name of cell; where the maps of each seed are; and what went wrong."""

    measured: dict[str, list[Measured]]
    maps: dict[str, dict[int, Path]]
    errors: list[AttentioError] = field(default_factory=list[AttentioError])
    notes: list[str] = field(default_factory=list[str])

    @classmethod
    def nothing(cls, names: Sequence[str]) -> "_Taken":
        return cls({name: [] for name in names}, {name: {} for name in names})

    def failed(self, name: str, seed: int, run: Path, error: AttentioError) -> None:
        self.errors.append(error)
        self.measured[name].append(Measured(seed, str(run), failure=str(error)))


@dataclass(frozen=True)
class _Assessor:
    """Evaluates trained models on the shared test sets, each once."""

    bench: Bench
    workers: Workers
    options: ReportOptions
    sentences: list[str]

    def __call__(self, run: Path, answer: Path, maps: Path, device: str, *, own: bool) -> dict[str, Any]:
        """What is measured of a run; taken from `answer` if the same was measured of the same model before.

        own: whether the test sets are the run's own, with the word links it holds out.
        """
        arguments = {
            "run": str(run),
            "tests": str(self.bench.tests),
            "beam": self.options.beam,
            "length_penalty": self.options.length_penalty,
            "sentences": self.sentences,
            "maps": str(maps),
            "device": device,
            "own": own,
        }
        model = read_json(run / "model" / "manifest.json")
        key = digest([arguments, __version__, model, read_json(self.bench.tests)])
        found = (read_json(answer) or {}).get("answer")
        if found and found["key"] == key:
            return found
        return self.workers.do("evaluate", {**arguments, "key": key}, answer)


def compare_grid(
    cells: list[GridCell],
    num_seeds: int,
    budget: str | None,
    out: Path,
    options: ReportOptions,
    *,
    at_once: int = 1,
    display: Callable[[], Display] = Silent,
) -> Outcome:
    """Trains what is not done yet, `at_once` at a time, evaluates and compares. Raises Stopped on Ctrl-C or SIGTERM."""
    names = {cell.name: [cell.folder, cell.name.replace(" ", "")] for cell in cells}
    axes = {key: list(dict.fromkeys(cell.values[key] for cell in cells)) for key in cells[0].values}
    baseline = _named(options.baseline, names)
    first = cells[0].config.train.seed
    seeds = list(range(first, first + num_seeds))
    bench = Bench(out)
    with StopRequest() as stop, closing(display()) as shown:
        with TemporaryDirectory(prefix="attentio-") as folder:
            check = {"configs": [cell.config.model_dump(mode="json") for cell in cells]}
            Workers(stop).do("check", check, Path(folder) / "check.json")
        with bench.claimed(shown.line) as lock:
            workers = Workers(stop, (lock,))
            claim_plan(bench, cells, seeds)
            data, failures = _prepare(bench, workers, cells, shown)
            usable = {str(data[cell.name]): cell.name for cell in reversed(cells) if cell.name not in failures}
            about = _gather(bench, workers, folders={name: folder for folder, name in reversed(usable.items())})
            assess = _Assessor(bench, workers, options, _sentences(options, about["source_language"], bench.tests))
            taken = _Taken.nothing(list(names))
            # All cells with the first seed, then with the next.
            todo = [_Training.of(cell, seed, bench, failures.get(cell.name)) for seed in seeds for cell in cells]
            _train(todo, data, workers, shown, at_once=at_once)
            _evaluate(todo, assess, taken, shown)
    settings = {cell.name: flat(cell.config) for cell in cells}
    runs = [
        CellRuns(
            name=cell.name,
            settings=dict(cell.values),
            runs=taken.measured[cell.name],
            also_differs=what_else(settings[cell.name], settings[baseline], list(axes)),
        )
        for cell in cells
    ]
    facts = _facts(about, options) | {
        "Budget": f"{budget} for each training" if budget else "the epochs of the settings, for each training",
        "Seeds": f"{num_seeds} for each cell",
        **({"Trained": f"{at_once} at once, each with its share of the processors"} if at_once > 1 else {}),
    }
    return _outcome(runs, list(axes), baseline, assess, taken, facts)


@dataclass
class _Training:
    """One cell with one seed: where it is, and, when it has been trained, what became of it."""

    cell: GridCell
    config: RunConfig
    run: Path
    answer: Path
    failure: JobError | None
    memory_bytes: int | None = None

    @classmethod
    def of(cls, cell: GridCell, seed: int, bench: Bench, failure: JobError | None) -> "_Training":
        train = cell.config.train.model_copy(update={"seed": seed})
        config = cell.config.model_copy(update={"train": train})
        answer = bench.result(cell.folder, seed, "training.json")
        return cls(cell, config, bench.run(cell.folder, seed), answer, failure)

    @property
    def seed(self) -> int:
        return self.config.train.seed

    def __str__(self) -> str:
        return f"{self.cell.name}, seed {self.seed}"


def _train(
    todo: Sequence[_Training], data: Mapping[str, Path], workers: Workers, shown: Display, *, at_once: int
) -> None:
    """Trains all, `at_once` at a time, each with its share of the processors; a failure ends one training alone."""
    clock = Clock(len(todo), todo[0].config.train.max_seconds, at_once=at_once)
    threads = None if at_once == 1 else max(1, num_processors() // at_once)

    def train(number: int) -> None:
        training = todo[number]
        log = training.run / "log.jsonl"
        watch = Watch(log, training.config, shown, clock, number, training.cell.name, training.seed)
        clock.begin(number)
        try:
            if training.failure is not None:
                raise training.failure
            training.memory_bytes = _trained(training, data[training.cell.name], workers, watch, threads)
            shown.line(f"{number + 1}/{len(todo)}  {training}: {_in_short(log)}")
        except JobError as error:
            training.failure = error
            shown.line(f"{number + 1}/{len(todo)}  {training} failed: {error}")
        finally:
            clock.end(number)

    if at_once == 1:
        for number in range(len(todo)):
            train(number)
        return
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for done in as_completed([pool.submit(train, number) for number in range(len(todo))]):
                done.result()
        except Stopped:  # the others save, too
            pool.shutdown(cancel_futures=True)
            raise
        except BaseException:  # a full disk, or an impatient second Ctrl-C
            workers.given_up.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _evaluate(todo: Sequence[_Training], assess: _Assessor, taken: _Taken, shown: Display) -> None:
    """Measures what was trained, one after the other: speeds are those of a machine that does nothing else."""
    for number, training in enumerate(todo):
        cell, seed, run = training.cell, training.seed, training.run
        maps = taken.maps[cell.name][seed] = assess.bench.result(cell.folder, seed, "maps")
        answer = assess.bench.result(cell.folder, seed, "evaluation.json")
        shown.show({"evaluating": f"{number + 1}/{len(todo)}", "cell": cell.name, "seed": str(seed)}, 1.0)
        try:
            if training.failure is not None:
                raise training.failure
            found = assess(run, answer, maps, training.config.train.device, own=True)
        except JobError as error:
            if error is not training.failure:
                shown.line(f"{training} failed: {error}")
            taken.failed(cell.name, seed, run, error)
        else:
            taken.measured[cell.name].append(_measured(seed, run, found, training.memory_bytes))


def compare_runs(
    folders: list[Path],
    vary: Sequence[str],
    out: Path,
    on: Path | None,
    options: ReportOptions,
    *,
    display: Callable[[], Display] = Silent,
) -> Outcome:
    """Evaluates existing runs on the same sentences, and compares. Raises Stopped on Ctrl-C or SIGTERM."""
    if valued := [text for text in vary if "=" in text]:
        hint = "Name the setting alone, as in --vary attention.score."
        raise UsageError(f"cannot vary {valued[0]}: these runs are trained.", hint=hint)
    if len({folder.resolve() for folder in folders}) < 2:
        raise UsageError("one run alone is no comparison.", hint="Give two run folders or more.")
    configs = [_config_of(folder) for folder in folders]
    groups = grouped(configs)
    if len(groups) < 2:
        raise UsageError("these runs differ in nothing but their seed.", hint="Give runs with different settings.")
    _check_seeds(folders, configs, groups)
    settings = [flat(configs[group[0]]) for group in groups]
    axes = varied(settings, vary)
    values = [", ".join(written(row.get(key)) for key in axes) for row in settings]
    names = {
        value if values.count(value) == 1 else f"{value} ({folders[group[0]]})": [str(folders[i]) for i in group]
        for value, group in zip(values, groups, strict=True)
    }
    baseline = _named(options.baseline, names)
    bench = Bench(out)
    taken = _Taken.nothing(list(names))
    with StopRequest() as stop, closing(display()) as shown, bench.claimed(shown.line) as lock:
        claim_runs(bench, folders)
        workers = Workers(stop, (lock,))
        about = _gather(bench, workers, runs=[str(folder) for folder in folders], on=None if on is None else str(on))
        assess = _Assessor(bench, workers, options, _sentences(options, about["source_language"], bench.tests))
        todo = [(name, i) for name, group in zip(names, groups, strict=True) for i in group]
        for number, (name, i) in enumerate(todo):
            shown.show({"evaluating": name, "run": str(folders[i])}, number / len(todo))
            seed, place = configs[i].train.seed, f"run-{digest(str(folders[i].resolve()))}"
            maps = taken.maps[name][seed] = bench.result(place, seed, "maps")
            answer = bench.result(place, seed, "evaluation.json")
            try:
                found = assess(folders[i], answer, maps, options.device, own=on is None)
                taken.measured[name].append(_measured(seed, folders[i], found, None))
            except JobError as error:
                taken.failed(name, seed, folders[i], error)
                shown.line(f"{folders[i]} failed: {error}")
    of_baseline = settings[list(names).index(baseline)]
    runs = [
        CellRuns(name, {key: row.get(key) for key in axes}, taken.measured[name], what_else(row, of_baseline, axes))
        for name, row in zip(names, settings, strict=True)
    ]
    facts = _facts(about, options) | {"Runs": f"{len(folders)}, trained before"}
    if on is not None:
        facts["Tested on"] = on.name
    return _outcome(runs, axes, baseline, assess, taken, facts)


def _check_seeds(folders: list[Path], configs: list[RunConfig], groups: list[list[int]]) -> None:
    """The same training twice would pass for two seeds that agree, and make luck look small."""
    for group in groups:
        by_seed: dict[int, Path] = {}
        for i in group:
            other = by_seed.setdefault(configs[i].train.seed, folders[i])
            if other is not folders[i]:
                raise UsageError(
                    f"{other} and {folders[i]} have the same settings and the same seed.",
                    hint="Give each training once.",
                )


def _config_of(folder: Path) -> RunConfig:
    if not (folder / "config.toml").exists():
        hint = "Give the whole run folder, as `attentio train` made it."
        raise DataError(f"{folder} has no config.toml.", hint=hint, file=folder)
    return load_config(folder / "config.toml")


def _named(asked: str | None, names: Mapping[str, Sequence[str]]) -> str:
    """The name of the baseline cell: asked for by its name or another it goes by, else the first."""
    if asked is None:
        return next(iter(names))
    for name, others in names.items():
        if asked == name or asked.rstrip("/") in others:
            return name
    raise UsageError(f"no cell {asked!r} for a baseline.", hint=f"There are: {'; '.join(names)}.")


def _prepare(
    bench: Bench, workers: Workers, cells: list[GridCell], shown: Display
) -> tuple[dict[str, Path], dict[str, JobError]]:
    """Prepares each distinct data once: its folder by cell, and why it cannot be had by cell.

    Raises the first reason when none can be had.
    """
    shown.show({"preparing": "the data"}, 0.0)
    keys = {cell.name: digest(cell.config.data.model_dump(mode="json")) for cell in cells}
    configs = {keys[cell.name]: cell.config.model_dump(mode="json") for cell in cells}
    folders = {key: str(bench.data(key)) for key in configs}
    answer = bench.folder / "results" / "prepared.json"
    errors: dict[str, Any] = workers.do("prepare", {"configs": configs, "folders": folders}, answer)
    if len(errors) == len(configs):
        raise JobError(next(iter(errors.values())))
    failures = {name: JobError(errors[key]) for name, key in keys.items() if key in errors}
    return {name: bench.data(key) for name, key in keys.items()}, failures


def _gather(
    bench: Bench,
    workers: Workers,
    *,
    folders: Mapping[str, str] | None = None,
    runs: Sequence[str] = (),
    on: str | None = None,
) -> dict[str, Any]:
    """Makes the test sets that all share, and says what they are."""
    arguments = {"folders": folders or {}, "runs": runs, "on": on, "tests": str(bench.tests)}
    return workers.do("gather", arguments, bench.folder / "results" / "gathered.json")


def _sentences(options: ReportOptions, language: str | None, tests: Path) -> list[str]:
    """Whose maps are shown: those asked for, else our own in the source language; and test sentences if asked for."""
    ours = SENTENCES.get(base_language(language) or "", ())
    wanted = list(options.sentences or (() if options.test_sentences else ours))
    sources = [source for held in read_json(tests)["tests"] for source in held["sources"]]
    every = max(1, len(sources) // max(1, options.test_sentences))
    return list(dict.fromkeys([*wanted, *sources[::every][: options.test_sentences]]))


def _trained(training: _Training, data: Path, workers: Workers, watch: Callable[[], None], threads: int | None) -> int:
    """Trains one run to its end, if it is not there yet; the largest memory of its process, in bytes."""
    done = (read_json(training.answer) or {}).get("answer")
    if not (done and done["ended"] and (training.run / "model").exists()):
        settings = training.config.model_dump(mode="json")
        arguments = {"config": settings, "run": str(training.run), "data": str(data), "answer": str(training.answer)}
        done = workers.do("train", arguments, training.answer, watch=watch, threads=threads)
    if not done["ended"]:
        raise JobError(INTERRUPTED)
    return int(done["memory_bytes"])


def _measured(seed: int, run: Path, found: Mapping[str, Any], memory: int | None) -> Measured:
    log = read_log(run / "log.jsonl")
    return Measured(
        seed=seed,
        run=str(run),
        parameters=found["parameters"],
        steps=log.steps,
        training_seconds=log.seconds,
        tokens_per_second=log.tokens_per_second,
        sentences_per_second=found["sentences_per_second"],
        memory_bytes=memory,
        curve=log.curve,
        focus={name: Focus(**result["focus"]) for name, result in found["tests"].items()},
        error_rate={
            name: result["error_rate"] for name, result in found["tests"].items() if result["error_rate"] is not None
        },
        translations={name: result["translations"] for name, result in found["tests"].items()},
    )


def _in_short(log: Path) -> str:
    found = read_log(log)
    best = f"best dev chrF {max(point.chrf for point in found.curve):.1f}, " if found.curve else ""
    return f"{best}{found.steps or 0:,} steps, {found.seconds or 0:.0f} s"


def _facts(about: Mapping[str, Any], options: ReportOptions) -> dict[str, str]:
    names = ", ".join(Path(name).name for name in about["data"])
    languages = " to ".join(name or "?" for name in (about["source_language"], about["target_language"]))
    left_out = about["left_out"]
    return {
        "Data": f"{names}: {about['train_pairs']:,} training pairs, {languages}",
        **({"Left out": f"{left_out:,} test sentences that a run had seen in training"} if left_out else {}),
        "Search": "greedy" if options.beam == 1 else f"beam {options.beam}, length penalty {options.length_penalty:g}",
        "Machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} logical processors",
    }


def _outcome(
    runs: list[CellRuns], axes: list[str], baseline: str, assess: _Assessor, taken: _Taken, facts: dict[str, str]
) -> Outcome:
    """The comparison of what was measured. Raises the first failure when there is nothing else."""
    if not any(run.failure is None for cell in runs for run in cell.runs):
        raise taken.errors[0]
    tests = read_json(assess.bench.tests)
    comparison = compare(
        runs,
        [ReferenceSet(held["name"], held["references"], tests["target_language"]) for held in tests["tests"]],
        baseline=baseline,
        resamples=assess.options.resamples,
    )
    maps: list[SentenceMaps] = []
    for number, sentence in enumerate(assess.sentences):
        traces: dict[str, AttentionTrace] = {}
        for cell in comparison.cells:
            for run in cell.measured[:1]:
                path = taken.maps[cell.name][run.seed] / f"{number}.json"
                if path.exists():
                    traces[cell.name] = AttentionTrace.load(path)
        maps.append(SentenceMaps(sentence, traces))
    if not maps:
        language = tests["source_language"] or "this language"
        taken.notes.append(f"the report has no maps: give sentences in {language} with --sentence")
    notes = taken.notes + [
        f"{cell.name}, seed {run.seed} failed: {run.failure}" for cell in runs for run in cell.runs if run.failure
    ]
    if not next(cell for cell in comparison.cells if cell.name == baseline).measured:
        notes.append(f"the baseline {baseline} has no result, so nothing is tested: name another with --baseline")
    return Outcome(comparison, axes, facts, maps, notes, taken.errors[0].exit_status if taken.errors else 0)

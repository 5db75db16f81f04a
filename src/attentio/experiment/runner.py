"""Fill a comparison: what is not there yet is prepared, trained and evaluated, then all is compared.

Here is the order of things. The work itself is done by processes of their own (`stages`), so nothing here loads torch.
"""

import csv
import io
import itertools
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
from attentio.experiment import stages
from attentio.experiment.folder import Bench
from attentio.experiment.grid import find_axes, flat_settings, group_runs, make_cells, other_differences, show_value
from attentio.experiment.page import SentenceMaps, page
from attentio.experiment.progress import Clock, Watch, read_log
from attentio.experiment.statistics import (
    COSTS,
    FOCUS,
    MEASURES,
    Cell,
    Comparison,
    Measured,
    ReferenceSet,
    compare_cells,
)
from attentio.metrics.focus import Focus
from attentio.runtime.files import read_json, sha256_of_json, write_json, write_text
from attentio.runtime.processes import JobError, Stopped, Workers, num_processors
from attentio.runtime.stop import StopRequest
from attentio.text.script import base_language
from attentio.trace import AttentionTrace
from attentio.train.folder import Run
from attentio.train.reporter import Display
from attentio.train.settings import RunConfig, load_config, nested

DEFAULT_SEEDS = 3
# Ours, so that a report shows no sentence of the user's unless asked to. Short, and understood at a glance.
SENTENCES = {
    "en": ("I love you.", "Where is my book?", "My sister bought two books yesterday."),
    "zh": ("我爱你。", "我的书在哪里？", "我姐姐昨天买了两本书。"),
}


class ReportOptions(NamedTuple):
    """What is measured of trained models, and how it is told. It may differ from one call to the next.

    baseline: the cell that others are tested against, None for the first. sentences: whose maps are shown, None for
    ours. test_sentences: how many test sentences have maps, too. device: for models that were trained before.
    faithfulness: whether attention is held against masking source tokens, too.
    """

    baseline: str | None = None
    beam: int = 1
    length_penalty: float = 1.0
    resamples: int = 1000
    sentences: Sequence[str] | None = None
    test_sentences: int = 0
    device: str = "auto"
    faithfulness: bool = False


@dataclass
class Outcome:
    """A comparison with what surrounds it. status: the exit status, that of the first failure."""

    comparison: Comparison
    axes: Sequence[str]
    facts: dict[str, str]
    maps: list[SentenceMaps]
    notes: list[str] = field(default_factory=list[str])
    status: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as the stable object that `--json` prints."""
        facts = {"schema": 1, "version": __version__, "axes": list(self.axes), "facts": self.facts}
        return {**facts, **self.comparison.as_dict(), "notes": self.notes}

    @property
    def records(self) -> list[dict[str, object]]:
        """One flat record for each cell and test set, as in compare.csv. What was not measured is None."""
        cells = self.comparison.cells
        return [_record(cell, test, self.axes) for cell in cells for test in cell.tests or ("",)]

    def write(self, folder: Path) -> None:
        """Write compare.json, compare.csv and compare.html. Raises ResourceError when that cannot be."""
        table = io.StringIO()
        records = self.records
        writer = csv.DictWriter(table, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        write_json(folder / "compare.json", self.as_dict())
        write_text(folder / "compare.csv", table.getvalue())
        write_text(folder / "compare.html", page(self.comparison, self.axes, self.facts, self.maps))


def _record(cell: Cell, test: str, axes: Sequence[str]) -> dict[str, object]:
    result = cell.tests.get(test)
    row: dict[str, object] = {"cell": cell.name, **{key: cell.settings[key] for key in axes}}
    row |= {"test": test, "seeds": len(cell.measured), "failed": len(cell.runs) - len(cell.measured)}
    for metric in ("chrF2", "BLEU"):
        score, found = (result.scores[metric], result.differences.get(metric)) if result else (None, None)
        for key, ending in (("value", ""), ("low", "_low"), ("high", "_high")):
            row[metric + ending] = getattr(score, key, None)
        row[f"{metric}_difference"] = getattr(found, "difference", None)
        for key in ("low", "high", "p_value", "corrected"):
            row[f"{metric}_difference_{key}"] = getattr(found, key, None)
    row |= {key: getattr(getattr(result, key, None), "mean", None) for key in FOCUS}
    attention = result.faithfulness.get("attention", {}) if result else {}
    row |= {key: getattr(attention.get(key), "value", None) for key in MEASURES}
    row |= {key: getattr(getattr(cell, key), "mean", None) for key in COSTS}
    return {**row, "also_differs": "; ".join(cell.also_differs)}


def run_comparison(
    vary: Sequence[str],
    settings: Mapping[str, Mapping[str, object]],
    out: Path,
    *,
    seeds: int = DEFAULT_SEEDS,
    budget: str | None = None,
    preset: str | None = None,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    options: ReportOptions | None = None,
    at_once: int = 1,
    display: Callable[[], Display] = Display,
) -> Outcome:
    """Train every combination of `vary` with several seeds on an equal budget, evaluate all, and compare.

    vary: axes as on the command line, such as `attention.score=dot,additive`. settings: those of all cells, by
    section, with the data in `settings["data"]["train"]`. budget: what each training gets (`90s`, `3m`, `500 steps`).
    out: folder for runs and results. The same call again trains only what is missing. at_once: trainings at one time.
    Nothing is written but what is needed to go on: `Outcome.write` makes the report.
    Raises UsageError for what makes no sense, and Stopped on Ctrl-C or SIGTERM.
    """
    cells = make_cells(vary, settings, preset=preset, config_file=config_file, overrides=overrides, budget=budget)
    options = _with_baseline(options, {cell.name: [cell.folder, cell.name.replace(" ", "")] for cell in cells})
    configs = {cell.name: cell.config.model_dump(mode="json") for cell in cells}
    first = cells[0].config.train.seed
    numbers = list(range(first, first + seeds))
    bench = Bench(out)
    with StopRequest() as stop, closing(display()) as shown:
        workers = Workers(stop)
        with TemporaryDirectory(prefix="attentio-") as folder:
            workers.call(stages.check, {"configs": list(configs.values())}, Path(folder) / "check.json")
        with bench.claimed():
            bench.claim_plan(cells, numbers)
            shown.show({"preparing": "the data"}, 0.0)
            # Each distinct data once.
            keys = {name: _digest(config["data"]) for name, config in configs.items()}
            data = {name: str(bench.data / key) for name, key in keys.items()}
            arguments = {
                "configs": {keys[name]: config for name, config in configs.items()},
                "folders": {keys[name]: folder for name, folder in data.items()},
            }
            errors = workers.call(stages.prepare_data, arguments, bench.results / "prepared.json")
            failures = {name: JobError(errors[key]) for name, key in keys.items() if key in errors}
            models = [  # all cells with the first seed, then with the next
                _Model(
                    cell=cell.name,
                    config=_with_training(cell.config, seed=seed),
                    run=bench.runs / cell.folder / f"seed-{seed}",
                    results=bench.results / cell.folder / f"seed-{seed}",
                    failure=failures.get(cell.name),
                )
                for seed in numbers
                for cell in cells
            ]
            usable = {folder: name for name, folder in reversed(data.items()) if name not in failures}
            folders = {name: folder for folder, name in reversed(usable.items())}
            tests = {"folders": folders, "trained": False, "on": None, "reading": {}}
            measuring = _Measuring.of(bench, workers, options, tests)
            _train(models, data, workers, shown, at_once)
            _evaluate(models, measuring, shown)
    facts = {
        "Budget": f"{budget} for each training" if budget else "the epochs of the settings, for each training",
        "Seeds": f"{seeds} for each cell",
        **({"Trained": f"{at_once} at once, each with its share of the processors"} if at_once > 1 else {}),
    }
    rows = {cell.name: flat_settings(cell.config) | dict(cell.values) for cell in cells}
    return measuring.outcome(rows, list(cells[0].values), models, facts)


def compare(
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    vary: Sequence[str],
    seeds: int = DEFAULT_SEEDS,
    budget: str | None = None,
    preset: str | None = None,
    settings: Mapping[str, object] | None = None,
    options: ReportOptions | None = None,
) -> Outcome:
    """Train and compare every combination of `vary` on parallel files or built-in corpora, as `attentio compare` does.

    settings: those of all trainings, by section or by name, `{"train.epochs": 3}`. The other arguments are those of
    `run_comparison`. The folder `out` holds the runs and the report afterwards. `records` of the result are dicts, for
    `pandas.DataFrame(result.records)`.
    """
    files = [data] if isinstance(data, str | Path) else data
    given = nested({"data": {"train": [str(file) for file in files]}}, settings or {})
    outcome = run_comparison(vary, given, Path(out), seeds=seeds, budget=budget, preset=preset, options=options)
    outcome.write(Path(out))
    return outcome


def compare_runs(
    folders: Sequence[Path],
    out: Path,
    *,
    vary: Sequence[str] = (),
    on: Path | None = None,
    reading: Mapping[str, object] | None = None,
    options: ReportOptions | None = None,
    display: Callable[[], Display] = Display,
) -> Outcome:
    """Evaluate trained runs on the same sentences, and compare.

    vary: the settings that tell the runs apart, by default one that differs. on: a file of test pairs, instead of what
    all of the runs hold out. reading: settings of `data` for that file, such as its encoding.
    Raises UsageError or DataError for runs that cannot be compared, and Stopped on Ctrl-C or SIGTERM.
    """
    folders = list(folders)
    if valued := [text for text in vary if "=" in text]:
        hint = "Name the setting alone, as in --vary attention.score."
        raise UsageError(f"cannot vary {valued[0]}: these runs are trained.", hint=hint)
    if len({folder.resolve() for folder in folders}) < 2:
        raise UsageError("one run alone is no comparison.", hint="Give two run folders or more.")
    if lacking := [folder for folder in folders if not (folder / "config.toml").exists()]:
        hint = "Give the whole run folder, as `attentio train` made it."
        raise DataError(f"{lacking[0]} has no config.toml.", hint=hint, file=lacking[0])
    configs = [load_config(folder / "config.toml") for folder in folders]
    groups = group_runs(configs)
    if len(groups) < 2:
        raise UsageError("these runs differ in nothing but their seed.", hint="Give runs with different settings.")
    for group in groups:  # the same training twice would pass for two seeds that agree, and make luck look small
        for i, j in itertools.combinations(group, 2):
            if configs[i].train.seed == configs[j].train.seed:
                same = f"{folders[i]} and {folders[j]} have the same settings and the same seed."
                raise UsageError(same, hint="Give each training once.")
    settings = [flat_settings(configs[group[0]]) for group in groups]
    axes = find_axes(settings, vary)
    values = [", ".join(show_value(row.get(key)) for key in axes) for row in settings]
    names = [
        value if values.count(value) == 1 else f"{value} ({folders[group[0]]})"
        for value, group in zip(values, groups, strict=True)
    ]
    members = dict(zip(names, groups, strict=True))
    options = _with_baseline(options, {name: [str(folders[i]) for i in group] for name, group in members.items()})
    bench = Bench(out)
    models = [
        _Model(
            cell=name,
            config=_with_training(configs[i], device=options.device),
            run=folders[i],
            results=bench.results / f"run-{_digest(str(folders[i].resolve()))}" / f"seed-{configs[i].train.seed}",
        )
        for name, group in members.items()
        for i in group
    ]
    with StopRequest() as stop, closing(display()) as shown, bench.claimed():
        bench.claim_runs(folders)
        tests = {
            "folders": {str(folder): str(Run(folder).data) for folder in folders},
            "trained": True,
            "on": None if on is None else str(on),
            "reading": dict(reading or {}),
        }
        measuring = _Measuring.of(bench, Workers(stop), options, tests)
        _evaluate(models, measuring, shown)
    facts = {"Runs": f"{len(folders)}, trained before", **({"Tested on": on.name} if on is not None else {})}
    return measuring.outcome(dict(zip(names, settings, strict=True)), axes, models, facts)


def _with_baseline(options: ReportOptions | None, names: Mapping[str, Sequence[str]]) -> ReportOptions:
    """Return the options with the baseline by the name of its cell: asked for by any of its names, else the first."""
    options = options or ReportOptions()
    asked = options.baseline
    for name, others in names.items():
        if asked is None or asked == name or asked.rstrip("/") in others:
            return options._replace(baseline=name)
    raise UsageError(f"no cell {asked!r} for a baseline.", hint=f"There are: {'; '.join(names)}.")


def _with_training(config: RunConfig, **changes: object) -> RunConfig:
    return config.model_copy(update={"train": config.train.model_copy(update=changes)})


def _digest(value: object) -> str:
    return sha256_of_json(value)[:12]


def _answered(file: Path) -> Any:
    return (read_json(file) or {}).get("answer")


@dataclass
class _Model:
    """One cell with one seed: where it is, and what became of it. results: the stem of the files with its figures."""

    cell: str
    config: RunConfig
    run: Path
    results: Path
    failure: AttentioError | None = None
    memory_bytes: int | None = None
    found: dict[str, Any] | None = None

    def file(self, kind: str) -> Path:
        return self.results.with_name(f"{self.results.name}.{kind}")

    def __str__(self) -> str:
        return f"{self.cell}, seed {self.config.train.seed}"

    def measured(self) -> Measured:
        if self.found is None:
            return Measured(self.config.train.seed, str(self.run), failure=str(self.failure))
        tests = self.found["tests"]
        return Measured(
            seed=self.config.train.seed,
            run=str(self.run),
            **read_log(self.run / "log.jsonl")._asdict(),
            parameters=self.found["parameters"],
            sentences_per_second=self.found["sentences_per_second"],
            memory_bytes=self.memory_bytes,
            focus={name: Focus(**test["focus"]) for name, test in tests.items()},
            error_rate={name: test["error_rate"] for name, test in tests.items() if test["error_rate"] is not None},
            translations={name: test["translations"] for name, test in tests.items()},
            faithfulness={name: test["faithfulness"] for name, test in tests.items()},
            explanations={name: test["explanations"] for name, test in tests.items()},
        )


def _train(models: Sequence[_Model], data: Mapping[str, str], workers: Workers, shown: Display, at_once: int) -> None:
    """Train all, `at_once` at a time, each with its share of the processors. A failure ends one training alone."""
    clock = Clock(len(models), models[0].config.train.max_seconds, at_once=at_once)
    threads = None if at_once == 1 else max(1, num_processors() // at_once)

    def train(number: int) -> None:
        model = models[number]
        log = model.run / "log.jsonl"
        watch = Watch(log, model.config.train, shown, clock, number, model.cell)
        clock.begin(number)
        try:
            if model.failure is not None:
                raise model.failure
            answer = model.file("training.json")
            done = _answered(answer)
            if not (done and done["ended"] and (model.run / "model").exists()):
                config = model.config.model_dump(mode="json")
                arguments = {"config": config, "run": str(model.run), "data": data[model.cell], "answer": str(answer)}
                done = workers.call(stages.train_run, arguments, answer, watch=watch, threads=threads)
            if not done["ended"]:
                raise JobError.of("the training was interrupted.", "E_STOPPED")
            model.memory_bytes = int(done["memory_bytes"])
            shown.line(f"{number + 1}/{len(models)}  {model}: {read_log(log)}")
        except JobError as error:
            model.failure = error
            shown.line(f"{number + 1}/{len(models)}  {model} failed: {error}")
        finally:
            clock.end(number)

    if at_once == 1:
        for number in range(len(models)):
            train(number)
        return
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for done in as_completed([pool.submit(train, number) for number in range(len(models))]):
                done.result()
        except Stopped:  # the others save, too
            pool.shutdown(cancel_futures=True)
            raise
        except BaseException:  # a full disk, or an impatient second Ctrl-C
            workers.given_up.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _evaluate(models: Sequence[_Model], measuring: "_Measuring", shown: Display) -> None:
    """Measure what was trained, one after the other: speeds are those of a machine that does nothing else."""
    for number, model in enumerate(models):
        seed = str(model.config.train.seed)
        shown.show(
            {"evaluating": f"{number + 1}/{len(models)}", "cell": model.cell, "seed": seed}, number / len(models)
        )
        if model.failure is None:
            try:
                model.found = measuring.measure(model)
            except JobError as error:
                model.failure = error
                shown.line(f"{model} ({model.run}) failed: {error}")


@dataclass(frozen=True)
class _Measuring:
    """Evaluates trained models on the shared test sets, each once, and compares them.

    about: what the test sets are. own: whether they are the runs' own, with the word links that those hold out.
    """

    bench: Bench
    workers: Workers
    options: ReportOptions
    about: dict[str, Any]
    sentences: list[str]
    own: bool

    @classmethod
    def of(cls, bench: Bench, workers: Workers, options: ReportOptions, tests: Mapping[str, Any]) -> "_Measuring":
        """Make the test sets that all share (`stages.gather_tests`), and choose the sentences whose maps are shown."""
        about = workers.call(stages.gather_tests, {**tests, "tests": str(bench.tests)}, bench.results / "gathered.json")
        ours = SENTENCES.get(base_language(about["source_language"]) or "", ())
        wanted = list(options.sentences or (() if options.test_sentences else ours))
        sources = [source for held in read_json(bench.tests)["tests"] for source in held["sources"]]
        every = max(1, len(sources) // max(1, options.test_sentences))
        sentences = list(dict.fromkeys([*wanted, *sources[::every][: options.test_sentences]]))
        return cls(bench, workers, options, about, sentences, tests["on"] is None)

    def measure(self, model: _Model) -> dict[str, Any]:
        """Return what is measured of a model, from the file of its answer if it answers the same question."""
        arguments = {
            "run": str(model.run),
            "tests": str(self.bench.tests),
            "beam": self.options.beam,
            "length_penalty": self.options.length_penalty,
            "sentences": self.sentences,
            "maps": str(model.file("maps")),
            "device": model.config.train.device,
            "own": self.own,
            "faithfulness": self.options.faithfulness,
        }
        manifest = read_json(model.run / "model" / "manifest.json")
        key = _digest([arguments, __version__, manifest, read_json(self.bench.tests)])
        answer = model.file("evaluation.json")
        found = _answered(answer)
        if found and found["key"] == key:
            return found
        return self.workers.call(stages.evaluate_run, {**arguments, "key": key}, answer)

    def outcome(
        self, rows: Mapping[str, Mapping[str, Any]], axes: list[str], models: Sequence[_Model], facts: Mapping[str, str]
    ) -> Outcome:
        """Return the comparison of what was measured. Raises the first failure when there is nothing else.

        rows: the settings of each cell by its name.
        """
        about, options, baseline = self.about, self.options, str(self.options.baseline)
        failed = [(model, model.failure) for model in models if model.failure is not None]
        if len(failed) == len(models):
            raise failed[0][1]
        tests = read_json(self.bench.tests)
        cells = [
            Cell(
                name,
                {key: row.get(key) for key in axes},
                tuple(model.measured() for model in models if model.cell == name),
                tuple(other_differences(row, rows[baseline], axes)),
            )
            for name, row in rows.items()
        ]
        sets = [
            ReferenceSet(held["name"], held["references"], tests["target_language"], held["left_out"])
            for held in tests["tests"]
        ]
        comparison = compare_cells(cells, sets, baseline=baseline, resamples=options.resamples)
        notes = [*about["notes"]]
        if seen := about["left_out"]:
            total = seen + sum(len(held["sources"]) for held in tests["tests"])
            notes.append(f"{seen:,} of {total:,} test sentences are left out: a run had seen them in training")
        if not self.sentences:
            language = tests["source_language"] or "this language"
            notes.append(f"the report has no maps: give sentences in {language} with --sentence")
        notes += [f"{model} failed: {failure}" for model, failure in failed]
        if not any(cell.measured for cell in cells if cell.name == baseline):
            notes.append(f"the baseline {baseline} has no result, so nothing is tested: name another with --baseline")
        names = ", ".join(Path(name).name for name in about["data"])
        languages = " to ".join(name or "?" for name in (about["source_language"], about["target_language"]))
        beam = f"beam {options.beam}, length penalty {options.length_penalty:g}"
        told = {
            "Data": f"{names}: {about['train_pairs']:,} training pairs, {languages}",
            **({"Left out": f"{seen:,} test sentences that a run had seen in training"} if seen else {}),
            "Search": "greedy" if options.beam == 1 else beam,
            "Machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} logical processors",
            **facts,
        }
        first = {model.cell: model for model in reversed(models) if model.found is not None}  # the first seed of each
        maps: list[SentenceMaps] = []
        for number, sentence in enumerate(self.sentences):
            paths = {name: model.file("maps") / f"{number}.json" for name, model in first.items()}
            traces = {name: AttentionTrace.load(path) for name, path in paths.items() if path.exists()}
            maps.append(SentenceMaps(sentence, traces))
        return Outcome(comparison, axes, told, maps, notes, failed[0][1].exit_status if failed else 0)

"""What workers do, each in a process of its own: check, prepare, gather test sentences, train, evaluate.

A job is a JSON object: the name of the work, its arguments, and the file for the answer. Imports stand inside the
functions, so that no process loads what its work does not need.
"""

import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from threading import Thread
from typing import TYPE_CHECKING, Any

from attentio.errors import AttentioError, DataError, ResourceError, UsageError
from attentio.experiment.folder import write_json
from attentio.experiment.workers import failure
from attentio.runtime.files import FULL_DISK, read_json

if TYPE_CHECKING:
    from attentio.data.heldout import HeldOut

FOCUS_PAIRS = 200  # of each test set, evenly spread: their attention is measured


def work() -> None:
    """A worker: does the job that is its argument, and leaves its answer in a file."""
    Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads(sys.argv[1])
    write_json(Path(job["answer"]), done(job))


def done(job: Mapping[str, Any]) -> dict[str, Any]:
    """What becomes of a job: its answer, or the error that stood in its way."""
    jobs: dict[str, Callable[..., Any]] = {
        "check": _check,
        "prepare": _prepare,
        "gather": _gather,
        "train": _train,
        "evaluate": _evaluate,
    }
    try:
        return {"answer": jobs[job["work"]](**job["arguments"])}
    except AttentioError as error:
        return {"error": {**error.as_dict(), "status": error.exit_status}}
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            where = f" while writing {error.filename}" if error.filename else ""
            return {"error": failure(f"disk full{where}.", "E_DISK_FULL", ResourceError.exit_status)}
        traceback.print_exc()
        log = Path(job["answer"]).with_suffix(".log")
        return {"error": failure(f"internal: {type(error).__name__}: {error} (see {log}).", "E_INTERNAL", 1)}


def _end_with_parent() -> None:
    """Ends this process as SIGTERM would when the pipe from its parent closes: a training saves first."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _check(configs: list[dict[str, Any]]) -> None:
    """Find mistakes before anything is written: missing files, a device that is not there."""
    from attentio.data.pipeline import Parts
    from attentio.runtime.device import resolve_device
    from attentio.train.settings import parse_config

    for settings in configs:
        config = parse_config(settings, where="settings")
        Parts.of(config.data)
        resolve_device(config.train.device)


def _prepare(configs: dict[str, dict[str, Any]], folders: dict[str, str]) -> dict[str, Any]:
    """Prepares the data of each of `configs` in its folder; the reason by key where that cannot be."""
    from attentio.data.prepare import is_prepared, prepare
    from attentio.train.settings import parse_config

    failures: dict[str, Any] = {}
    for key, settings in configs.items():
        config = parse_config(settings, where=key)
        folder = Path(folders[key])
        if folder.exists() and not is_prepared(config.data, folder, seed=config.train.seed):
            raise DataError(
                f"the data of {folder.parent.parent} changed since the comparison began.",
                hint="Restore the files, or choose another --out.",
                file=folder,
            )
        try:
            prepare(config.data, folder, seed=config.train.seed)
        except (DataError, UsageError) as error:
            failures[key] = {**error.as_dict(), "status": error.exit_status}
    return failures


def _gather(folders: dict[str, str], runs: list[str], on: str | None, tests: str) -> dict[str, Any]:
    """Writes the test sets that all share, free of what any of them was trained on, and says what they are.

    folders: of prepared data, by whose it is; runs: run folders, in their place. Raises DataError when the test sets
    differ.
    """
    from attentio.data.prepare import PreparedData

    names = runs or list(folders)
    places = [_data_of(Path(run)) for run in runs] or [Path(folder) for folder in folders.values()]
    prepared = [PreparedData.load(place) for place in places]
    found = [data.tests for data in prepared]
    if on is not None:
        found = [_read_by(Path(run), Path(on)) for run in runs]
    for name, data, tests_of in zip(names, prepared, found, strict=True):
        languages = [(one.source_language, one.target_language) for one in (prepared[0], data)]
        if languages[0] != languages[1]:
            first, other = (" to ".join(map(str, pair)) for pair in languages)
            raise DataError(f"{names[0]} translates {first}, {name} {other}: they cannot be compared.")
        if tests_of != found[0]:
            hint = (
                "Give the same sentences to all: --on FILE." if runs else "Vary nothing that changes what is held out."
            )
            what = "clean the test file differently" if on is not None else "hold out different test sentences"
            raise DataError(f"{names[0]} and {name} {what}.", hint=hint)
    if not found[0]:
        raise DataError(
            "nothing is held out for testing.",
            hint="Give a test file: --on FILE." if runs else "Hold some out: --test 500, or --test FILE.",
        )
    seen = _Seen()
    if on is not None or len({_fingerprint(data) for data in prepared}) > 1:
        for data in prepared:
            seen.add(data)
    kept = {name: seen.without(held) for name, held in found[0].items()}
    left_out = sum(len(held.sources) for held in found[0].values()) - sum(len(held.sources) for held in kept.values())
    if not any(held.sources for held in kept.values()):
        raise DataError("every test sentence was seen in training by one of the runs.", hint="Give another --on FILE.")
    sets = [
        {"name": name, "sources": held.sources, "references": held.references}
        for name, held in kept.items()
        if held.sources
    ]
    data = prepared[0]
    languages = {"source_language": data.source_language, "target_language": data.target_language}
    write_json(Path(tests), {"tests": sets, **languages})
    return {
        "left_out": left_out,
        **languages,
        "train_pairs": data.report.train,
        "data": [part.name for part in data.report.parts],
    }


def _data_of(run: Path) -> Path:
    from attentio.train.folder import Run

    return Run(run).data


def _read_by(run: Path, test: Path) -> "dict[str, HeldOut]":
    """A test file as the model of a run reads and cleans it."""
    from attentio.evaluation.scores import test_sets
    from attentio.translator import Translator

    return test_sets(run, test, Translator.load(run, device="cpu"), None)


def _fingerprint(data: Any) -> str:
    from attentio.data.prepare import MANIFEST

    return json.loads((data.folder / MANIFEST).read_text(encoding="utf-8"))["fingerprint"]


class _Seen:
    """The sentences that training or choosing has seen, up to case, punctuation and script."""

    def __init__(self) -> None:
        self._keys: tuple[set[str], set[str]] = (set(), set())
        self._han = (False, False)
        self._known: set[str] = set()

    def add(self, data: Any) -> None:
        fingerprint = _fingerprint(data)
        if fingerprint in self._known:
            return
        self._known.add(fingerprint)
        self._han = (data.source_cleaner.han, data.target_cleaner.han)
        sides = ((data.train.source, data.source_tokenizer), (data.train.target, data.target_tokenizer))
        texts = [[tokenizer.decode(side[i].tolist()) for i in range(len(side))] for side, tokenizer in sides]
        if data.dev is not None:
            texts[0].extend(data.dev.sources)
            texts[1].extend(line for lines in data.dev.references for line in lines)
        for side, lines in enumerate(texts):
            self._keys[side].update(self._keys_of(side, lines))

    def _keys_of(self, side: int, lines: Sequence[str]) -> list[str]:
        from attentio.data.filter import split_keys

        return split_keys(lines, han=self._han[side])

    def without(self, held: Any) -> Any:
        """The held-out sentences of which neither the source nor a reference was seen."""
        from attentio.data.heldout import HeldOut

        if not self._known:
            return held
        sources = self._keys_of(0, held.sources)
        kept = [
            i
            for i, lines in enumerate(held.references)
            if sources[i] not in self._keys[0] and self._keys[1].isdisjoint(self._keys_of(1, lines))
        ]
        return HeldOut(held.name, [held.sources[i] for i in kept], [held.references[i] for i in kept])


def _train(config: dict[str, Any], run: str, data: str, answer: str) -> dict[str, Any]:
    """Trains as `attentio train` does, on the data that was prepared, and says how it went."""
    from attentio.train.folder import Run
    from attentio.train.run import run_training
    from attentio.train.settings import dump_config, parse_config

    settings = parse_config(config, where=run)
    place = Run(Path(run))
    if not (place.checkpoints.exists() or place.model.exists()):
        place.folder.mkdir(parents=True, exist_ok=True)
        place.config.write_text(dump_config(settings), encoding="utf-8")
        _share(Path(data), place.data)
    summary = run_training(settings, place.folder)
    before = (read_json(Path(answer)) or {}).get("answer", {}).get("memory_bytes", 0)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {**summary, "memory_bytes": max(before, largest)}


def _share(data: Path, place: Path) -> None:
    """Puts prepared data into a run folder without a second copy, where the disk allows."""
    if place.exists():
        return
    partial = place.with_name(f"{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    shutil.copytree(data, partial, copy_function=link)
    partial.rename(place)


def _evaluate(
    run: str,
    tests: str,
    beam: int,
    length_penalty: float,
    sentences: list[str],
    maps: str,
    device: str,
    own: bool,
    key: str,
) -> dict[str, Any]:
    """Translations, alignment error, focus of attention, speed and maps of one trained model.

    own: whether the test sets are those that the run itself holds out, with word links where they are known. key: what
    this answers, which the answer repeats.
    """
    from attentio.data.prepare import PreparedData
    from attentio.evaluation.links import LinkScorer, held_out_sentences
    from attentio.metrics.focus import focus
    from attentio.search.batched import SearchConfig
    from attentio.train.folder import Run
    from attentio.translator import Translator

    translator = Translator.load(run, device=device)
    sets = json.loads(Path(tests).read_text(encoding="utf-8"))["tests"]
    sources: list[str] = [source for held in sets for source in held["sources"]]
    greedy, per_second = _timed(translator, sources)
    found = greedy if beam == 1 else translator.translate(sources, SearchConfig(beam, length_penalty))
    texts = iter([translation.text for translation in found])
    links = PreparedData.load(Run(Path(run)).data).links if own else {}
    results: dict[str, Any] = {}
    for held in sets:
        every = -(-len(held["sources"]) // FOCUS_PAIRS)
        chosen = held["sources"][::every], [lines[0] for lines in held["references"][::every]]
        traces = translator.align(*chosen)
        results[held["name"]] = {
            "translations": [next(texts) for _ in held["sources"]],
            "focus": focus(trace.words().matrix() for trace in traces).as_dict(),
            "error_rate": None,
        }
        if held["name"] in links:
            known = set(held["sources"])
            gold = [sentence for sentence in held_out_sentences(links[held["name"]]) if sentence.source in known]
            scored = LinkScorer(translator).score(gold)
            results[held["name"]]["error_rate"] = scored["error_rate"]
    shutil.rmtree(maps, ignore_errors=True)
    Path(maps).mkdir(parents=True)
    for number, translation in enumerate(
        translator.translate(sentences, SearchConfig(beam, length_penalty), trace=True)
    ):
        if translation.trace is not None:
            translation.trace.words().save(Path(maps) / f"{number}.json")
    return {
        "key": key,
        "parameters": translator.bundle.num_parameters,
        "sentences_per_second": per_second,
        "tests": results,
    }


def _timed(translator: Any, sources: Sequence[str]) -> tuple[list[Any], float]:
    """Greedy translations, and how many a second: the median of three passes, or of one that takes long enough."""
    translator.translate(sources[:32])  # libraries prepare themselves
    seconds: list[float] = []
    while True:
        started = time.perf_counter()
        found = translator.translate(sources)
        seconds.append(time.perf_counter() - started)
        if len(seconds) == 3 or sum(seconds) > 5:
            return found, len(sources) / median(seconds)

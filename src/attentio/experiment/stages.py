"""What a comparison does in processes of its own: check, prepare data, gather test sentences, train, evaluate.

Arguments and answers are JSON. Imports stand inside the functions, so that no process loads what it does not need.
"""

import math
import resource
import shutil
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from attentio.errors import AttentioError, DataError, UsageError
from attentio.runtime.files import read_json, write_json

FOCUS_PAIRS = 200  # of each test set, evenly spread: their attention is measured


def check(configs: list[dict[str, Any]]) -> None:
    """Find mistakes before anything is written: missing files, a device that is not there."""
    from attentio.data.source import origins
    from attentio.runtime.device import resolve_device
    from attentio.train.settings import parse_config

    for settings in configs:
        config = parse_config(settings, where="settings")
        origins(config.data)
        resolve_device(config.train.device)


def prepare_data(configs: dict[str, dict[str, Any]], folders: dict[str, str]) -> dict[str, Any]:
    """Prepare the data of each of `configs` in its folder. Return the error by key where that cannot be.

    Raises the first error when no data can be prepared.
    """
    from attentio.data.prepare import is_prepared, prepare
    from attentio.train.settings import parse_config

    failures: dict[str, AttentioError] = {}
    for key, settings in configs.items():
        config, folder = parse_config(settings, where=key), Path(folders[key])
        if folder.exists() and not is_prepared(config.data, folder, seed=config.train.seed):
            raise DataError(
                f"the data of {folder.parent.parent} changed since the comparison began.",
                hint="Restore the files, or choose another --out.",
                file=folder,
            )
        try:
            prepare(config.data, folder, seed=config.train.seed)
        except (DataError, UsageError) as error:
            failures[key] = error
    if len(failures) == len(configs):
        raise next(iter(failures.values()))
    return {key: {**error.as_dict(), "status": error.exit_status} for key, error in failures.items()}


def gather_tests(
    folders: dict[str, str], trained: bool, on: str | None, reading: dict[str, Any], tests: str
) -> dict[str, Any]:
    """Write the test sets that all share, free of what any of them was trained on. Return what they are.

    folders: of prepared data, by name. trained: whether these are the names of run folders. on: a file of test pairs
    for them. reading: settings of `data` for that file.
    Raises DataError when the test sets differ or are empty.
    """
    from attentio.data.prepare import PreparedData, data_fingerprint
    from attentio.evaluation.scores import read_test_file, reading_settings
    from attentio.evaluation.seen import SeenSentences
    from attentio.translator import Translator

    names = list(folders)
    prepared = [PreparedData.load(Path(folder)) for folder in folders.values()]
    languages = [(data.source.language, data.target.language) for data in prepared]
    notes: list[str] = []
    left_out: dict[str, dict[str, int]] = {}
    if on is None:
        found = [data.tests for data in prepared]
    else:
        found = []
        for name in names:
            translator = Translator.load(name, device="cpu")
            read = read_test_file(Path(on), translator, reading_settings(Path(name), Path(on), **reading))
            notes, left_out = read.notes, {read.held_out.name: dict(read.left_out)}
            found.append({read.held_out.name: read.held_out})
    what = "clean the test file differently" if on is not None else "hold out different test sentences"
    hint = "Give the same sentences to all: --on FILE." if trained else "Vary nothing that changes what is held out."
    for name, tests_of, pair in zip(names, found, languages, strict=True):
        if pair != languages[0]:
            first, other = (" to ".join(map(str, two)) for two in (languages[0], pair))
            raise DataError(f"{names[0]} translates {first}, {name} {other}: they cannot be compared.")
        if tests_of != found[0]:
            raise DataError(f"{names[0]} and {name} {what}.", hint=hint)
    if not found[0]:
        hint = "Give a test file: --on FILE." if trained else "Hold some out: --test 500, or --test FILE."
        raise DataError("nothing is held out for testing.", hint=hint)
    seen = SeenSentences()
    if on is not None or len({data_fingerprint(data.folder) for data in prepared}) > 1:
        for data in prepared:
            seen.add(data)
    sets: list[dict[str, Any]] = []
    num_seen = 0
    for name, held in found[0].items():
        kept = seen.unseen(held)
        reasons = left_out.get(name, {})
        if lost := len(held.sources) - len(kept.sources):
            num_seen += lost
            reasons["seen in training by a run"] = lost
        if kept.sources:
            sets.append({"name": name, "sources": kept.sources, "references": kept.references, "left_out": reasons})
    if not sets:
        raise DataError("every test sentence was seen in training by one of the runs.", hint="Give another --on FILE.")
    spoken = dict(zip(("source_language", "target_language"), languages[0], strict=True))
    write_json(Path(tests), {"tests": sets, **spoken})
    report = prepared[0].report
    facts = {"train_pairs": report.train, "data": [part.name for part in report.parts]}
    return {"left_out": num_seen, "notes": notes, **spoken, **facts}


def train_run(config: dict[str, Any], run: str, data: str, answer: str) -> dict[str, Any]:
    """Train as `attentio train` does, on the data that was prepared. Return how it went.

    answer: the file with the answer of an earlier, interrupted training of the same run.
    """
    from attentio.train.run import run_training
    from attentio.train.settings import parse_config

    summary = run_training(parse_config(config, where=run), Path(run), prepared=Path(data))
    before = (read_json(Path(answer)) or {}).get("answer", {}).get("memory_bytes", 0)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {**summary, "memory_bytes": max(before, largest)}


def evaluate_run(
    run: str,
    tests: str,
    beam: int,
    length_penalty: float,
    sentences: list[str],
    maps: str,
    device: str,
    own: bool,
    faithfulness: bool,
    key: str,
) -> dict[str, Any]:
    """Return translations, alignment error, focus of attention and speed of one trained model, and write its maps.

    own: whether the test sets are those that the run itself holds out, with word links where they are known.
    faithfulness: whether attention is held against masking source tokens, too.
    key: of this question, repeated in the answer.
    """
    from attentio.data.prepare import PreparedData
    from attentio.evaluation.faithfulness import measure_faithfulness
    from attentio.evaluation.links import LinkScorer, held_out_sentences
    from attentio.metrics.focus import focus
    from attentio.search.batched import SearchConfig
    from attentio.train.folder import Run
    from attentio.translator import Translator

    translator = Translator.load(run, device=device)
    config = SearchConfig(beam, length_penalty)
    sets = read_json(Path(tests))["tests"]
    sources: list[str] = [source for held in sets for source in held["sources"]]
    translator.translate(sources[:32], split=False)  # libraries prepare themselves
    seconds: list[float] = []
    while True:  # three times, or until it took long enough to be measured
        started = time.perf_counter()
        found = translator.translate(sources, split=False)
        seconds.append(time.perf_counter() - started)
        if len(seconds) == 3 or sum(seconds) > 5:
            break
    if beam > 1:
        found = translator.translate(sources, config, split=False)
    texts = iter([translation.text for translation in found])
    links = PreparedData.load(Run(Path(run)).data).links if own else {}
    results: dict[str, Any] = {}
    for held in sets:
        every = -(-len(held["sources"]) // FOCUS_PAIRS)
        traces = translator.align(held["sources"][::every], [lines[0] for lines in held["references"][::every]])
        result = results[held["name"]] = {
            "translations": [next(texts) for _ in held["sources"]],
            "focus": focus(trace.words().matrix() for trace in traces).as_dict(),
            "error_rate": None,
            "faithfulness": {},
            "explanations": {},
        }
        measured = measure_faithfulness(translator, held["sources"], beam=beam) if faithfulness else {}
        if measured:  # nothing of sentences of a single token
            last = measured.pop(traces[0].layers[-1])  # from which links are drawn, whatever a model calls it
            result["faithfulness"] = {
                name: [[None if math.isnan(value) else round(value, 6) for value in row] for row in rows.tolist()]
                for name, rows in {"attention": last, **measured}.items()
            }
        if held["name"] in links:
            known = set(held["sources"])
            gold = [sentence for sentence in held_out_sentences(links[held["name"]]) if sentence.source in known]
            result["error_rate"] = LinkScorer(translator).score(gold)["error_rate"]
            if faithfulness:
                drawn = LinkScorer(translator).score_explanations(gold)
                result["explanations"] = {name: score["error_rate"] for name, score in drawn.items()}
    shutil.rmtree(maps, ignore_errors=True)
    Path(maps).mkdir(parents=True)
    for number, translation in enumerate(translator.translate(sentences, config, split=False, trace=True)):
        if translation.trace is not None:
            translation.trace.words().save(Path(maps) / f"{number}.json")
    return {
        "key": key,
        "parameters": translator.bundle.num_parameters,
        "sentences_per_second": len(sources) / median(seconds),
        "tests": results,
    }

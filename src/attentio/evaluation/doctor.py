"""A run examined: are its files whole, what is wrong with what it learned, and how does it go on?

Figures are gathered here. What they mean stands in `evaluation.symptoms`, and for the text in `data`.
"""

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from attentio.bundle import Bundle
from attentio.data.checked import check_corpus
from attentio.data.corpus import Side
from attentio.data.findings import Finding
from attentio.data.heldout import HeldOut
from attentio.data.prepare import PreparedData
from attentio.data.split import split_keys
from attentio.errors import AttentioError, DataError, ModelError
from attentio.evaluation import symptoms
from attentio.evaluation.symptoms import Known, Spoken
from attentio.metrics.quality import evaluate
from attentio.search.batched import SearchConfig
from attentio.text.placeholders import PLACEHOLDERS, mask
from attentio.text.tokenizer import Tokenizer
from attentio.train.checkpoint import whole_checkpoints
from attentio.train.dev import DevSet
from attentio.train.folder import Run
from attentio.train.reporter import evaluations
from attentio.train.settings import RunConfig, load_config
from attentio.train.state import Progress, progress_of
from attentio.translator import Translator

SENTENCES = 200  # held-out sentences that are translated
QUICK = 60  # of them at the end of a training
TRACED = 50  # of them with their attention
RESAMPLES = 300
_NUMBERS = re.compile(rf"[\d{PLACEHOLDERS}]+")  # those that both sides have are placeholders in training


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a run.

    files: "whole", or what is wrong, by part of the run. newest: its newest whole checkpoint. go_on: what to type.
    findings: what is wrong with what it learned. left_out: what could not be examined, and why.
    """

    run: Path
    files: Mapping[str, str]
    newest: Path | None
    go_on: str
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return all(found == "whole" for found in self.files.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the diagnosis as the stable object that `--json` prints."""
        return {
            "run": str(self.run),
            "files": dict(self.files),
            "newest_checkpoint": None if self.newest is None else str(self.newest),
            "go_on": self.go_on,
            "findings": [finding.as_dict() for finding in self.findings],
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class _Files:
    states: dict[str, str]
    config: RunConfig | None
    bundle: Bundle | None
    data: PreparedData | None
    progress: Progress | None
    warmup: int  # updates of warm-up, as last planned
    newest: Path | None


def examine(folder: Path, *, sentences: int = SENTENCES) -> Diagnosis:
    """Return what is wrong with a run, or with a model alone. Nothing is written.

    sentences: held-out sentences that are translated, at most. Raises UsageError where there is neither run nor model.
    """
    run = Run(folder)
    files = _opened(run)
    found: list[Finding] = []
    left_out: list[str] = []
    if files.config is None:
        left_out.append("only a model is here, and nothing of its training")
    elif files.data is not None:
        languages = files.data.source.language, files.data.target.language
        try:
            found += check_corpus(files.config.data, languages)
        except AttentioError as error:
            left_out.append(f"the training files cannot be read again: {error.message}")
    if files.data is not None and files.bundle is not None:
        found += _of_text(files.data, files.config)
        found += _of_model(run, files, files.bundle, files.data, sentences)
    elif files.config is not None:
        left_out.append("what the model writes: its model or data is not whole, or not there yet")
    found = [_with_names(finding, folder, files.config) for finding in found]
    return Diagnosis(folder, files.states, files.newest, _go_on(run, files), found, left_out)


def _with_names(finding: Finding, folder: Path, config: RunConfig | None) -> Finding:
    """Return the finding with the names of this run and its data in what to type."""
    remedy = re.sub(r"\bRUN\b", lambda _: str(folder), finding.remedy)
    if config is not None and config.data.train and not config.data.target:
        remedy = re.sub(r"\bDATA\b", lambda _: " ".join(config.data.train), remedy)
    return replace(finding, remedy=remedy)


def _opened(run: Run) -> _Files:
    """Open and verify every part of a run. A part that must be there and is not counts as damaged."""
    states: dict[str, str] = {}
    config = bundle = data = progress = newest = None
    warmup = 0
    if run.config.exists():
        try:
            config = load_config(run.config)
            states["config.toml"] = "whole"
        except AttentioError as error:
            states["config.toml"] = error.message
    damaged: list[str] = []
    if run.checkpoints.exists():
        for number, checkpoint in enumerate(whole_checkpoints(run.checkpoints, damaged.append)):
            if number == 0:
                progress = progress_of(checkpoint, run.checkpoints)
                newest = run.checkpoints / f"step-{progress.step}"
                warmup = int(dict(checkpoint.state.get("plan", {})).get("warmup_steps") or 0)
        states["checkpoints"] = "; ".join(damaged) or "whole"
    try:
        bundle = Bundle.load(run.folder)
        states["model"] = "whole"
    except ModelError as error:
        begun = run.config.exists()
        if not begun and not run.model.exists():
            raise
        if run.model.exists() or (progress is not None and progress.best_chrf is not None):
            states["model"] = error.message
    if run.data.exists():
        try:
            data = PreparedData.load(run.data)
            _ = data.report
            states["data"] = "whole"
        except (DataError, ModelError) as error:
            states["data"] = error.message
    elif config is not None:
        states["data"] = f"{run.data}: missing."
    return _Files(states, config, bundle, data, progress, warmup, newest)


def _go_on(run: Run, files: _Files) -> str:
    again = f"attentio train --config {run.config} --out {run.folder}"
    broken = [name for name, state in files.states.items() if state != "whole"]
    if files.config is None:
        return f"attentio translate {run.folder}" if files.bundle is not None else "Restore it from a copy."
    if files.progress is None:
        if run.checkpoints.exists() and any(run.checkpoints.iterdir()):
            use = f" Its model still translates: attentio translate {run.folder}" if files.bundle is not None else ""
            return f"No checkpoint is whole. Start again: {again} --overwrite{use}"
        return f"{again} (nothing is trained yet)"
    if broken:
        return f"{again} (mends {', '.join(broken)} from step {files.progress.step:,})"
    if files.progress.ended is None:
        return f"{again} (goes on at step {files.progress.step:,})"
    return f"attentio translate {run.folder} (finished: {files.progress.ended})"


def _of_text(data: PreparedData, config: RunConfig | None) -> list[Finding]:
    held = [pair for each in _held_out(data) for pair in zip(each.sources, _firsts(each), strict=True)]
    if not held:
        return []
    train = _keys(data)
    sides = [_plain(split_keys([pair[side] for pair in held], han=_han(data)[side])) for side in (0, 1)]
    before: set[str] = set()
    start = None if config is None else config.train.start_from
    if start is not None:
        with contextlib.suppress(AttentioError):  # where only a model is left of that run
            before = _keys(PreparedData.load(Run(Path(start)).data))[0]
    return symptoms.held_out_text(list(zip(*sides, strict=True)), train, before)


def _held_out(data: PreparedData) -> list[HeldOut]:
    return [*([] if data.dev is None else [data.dev]), *data.tests.values()]


def _firsts(held: HeldOut) -> list[str]:
    return [texts[0] for texts in held.references]


def _han(data: PreparedData) -> tuple[bool, bool]:
    return data.source.cleaner.han, data.target.cleaner.han


def _plain(keys: Sequence[str]) -> list[str]:
    """Return keys without numbers, unless nothing else is there."""
    return [_NUMBERS.sub("0", key) if _NUMBERS.sub("", key) else key for key in keys]


def _keys(data: PreparedData) -> tuple[set[str], set[str]]:
    sides = zip(data.training_texts(), _han(data), strict=True)
    found = [set(_plain(split_keys(lines, han=han))) for lines, han in sides]
    return found[0], found[1]


def _of_model(run: Run, files: _Files, bundle: Bundle, data: PreparedData, sentences: int) -> list[Finding]:
    translator, progress = Translator(bundle), files.progress
    held = data.dev or next(iter(data.tests.values()), None)
    number = min((len(each.sources) for each in _held_out(data)), default=0)
    sample = HeldOut.from_pairs("training", data.training_pairs(sentences // 2))
    shown = sample if held is None else _part(held, sentences)
    config = SearchConfig(stop_loops=False)  # a loop that the search stops is a loop all the same
    outputs = [each.text for each in translator.translate(shown.sources, config, split=False)]
    spoken = Spoken(shown.sources, outputs, _firsts(shown))
    interval = None
    if held is not None:
        score = evaluate(outputs, shown.references, language=data.target.language, resamples=RESAMPLES).chrf
        interval = None if score.low is None or score.high is None else (round(score.low, 1), round(score.high, 1))
    traced = translator.translate(shown.sources[:TRACED], config, split=False, trace=True)
    heads = symptoms.measure_heads(each.trace.weights for each in traced if each.trace is not None)
    source_seen, target_seen = (
        _seen(*side)
        for side in ((data.train.source, data.source.tokenizer), (data.train.target, data.target.tokenizer))
    )
    wanted, written = (_tokens(data.target.tokenizer, texts, data) for texts in (spoken.references, outputs))
    found = [
        symptoms.same_output(spoken),
        symptoms.loops(spoken),
        symptoms.length(spoken),
        symptoms.copied_sources(spoken),
        *symptoms.attention(heads),
        symptoms.small_held_out(number, interval),
        symptoms.tokens_not_written(wanted, written, target_seen),
    ]
    if files.config is None or files.config.train.start_from is None:  # a first model may know tokens the text lacks
        found.append(symptoms.untrained_tokens(_tokens(data.source.tokenizer, shown.sources, data), source_seen))
    if progress is not None and held is not None:
        losses, strict = symptoms.training(evaluations(run.log))
        model = translator.model
        train, unseen = (_known(model, each, data) for each in (sample, _part(held, len(sample.sources))))
        found += [
            symptoms.warm_up(progress.step, files.warmup, progress.ended),
            symptoms.overfitting(train, unseen, losses),
            symptoms.underfitting(train, unseen, strict, progress.ended),
        ]
    return [finding for finding in found if finding is not None]


def _known(model: Any, held: HeldOut, data: PreparedData) -> Known:
    scores = DevSet(held, data, limit=len(held.sources))(model)
    return Known(scores.chrf, scores.loss)


def _part(held: HeldOut, most: int) -> HeldOut:
    every = -(-len(held.sources) // most)
    return HeldOut(held.name, held.sources[::every], held.references[::every])


def _seen(side: Side, tokenizer: Tokenizer) -> Mapping[str, int]:
    counts = np.bincount(side.tokens, minlength=tokenizer.vocab_size).tolist()
    return dict(zip(tokenizer.tokens, counts, strict=True))


def _tokens(tokenizer: Tokenizer, texts: Sequence[str], data: PreparedData) -> list[list[str]]:
    hidden = [mask(text).text if data.placeholders else text for text in texts]
    return [[tokenizer.tokens[i] for i in tokenizer.encode(text)] for text in hidden]

"""What a training that starts from a model takes over from it, and how the model does before and after."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attentio.bundle import Architecture, Bundle
from attentio.data.prepare import PreparedData, data_fingerprint, start_of
from attentio.data.start import Earlier, SideRules, Start, run_of
from attentio.errors import DataError, ModelError, ResourceError, UsageError
from attentio.model.lexicon import MOST
from attentio.runtime.files import read_json, sha256_of_json, write_json
from attentio.text.known import KnownWords
from attentio.text.special import SPECIAL
from attentio.text.tokenizer import fingerprint
from attentio.train.dev import DevSet
from attentio.train.folder import Run
from attentio.train.settings import RunConfig
from attentio.train.state import Progress

Say = Callable[[str], None]
TESTED = 2000  # sentences of a test set that are translated before and after

# Tensors with a row for each token, and the side of the vocabulary.
TOKEN_ROWS = {"encoder.embedding.table": 0, "decoder.embedding.table": 1, "decoder.output": 1, "decoder.bias": 1}
LEXICON = ("lexicon.tokens", "lexicon.after", "lexicon.shares")  # of source tokens, with MOST numbers for each


def architecture_of(config: RunConfig) -> Architecture:
    """Return what the model of a run is built from, beside its vocabularies."""
    return Architecture(model=config.model, attention=config.attention, self_attention=config.self_attention)


def first_model(config: RunConfig) -> Bundle:
    """Return the model to start from. Raises UsageError where it has another architecture."""
    start = Bundle.load(str(config.train.start_from))
    wanted, held = architecture_of(config).model_dump(), start.architecture.model_dump()
    for section, settings in held.items():
        for key, value in settings.items():
            here = wanted[section].get(key)
            if key not in ("dropout", "word_dropout") and here != value:
                raise UsageError(
                    f"{section}.{key} is {value!r} in {config.train.start_from}, and {here!r} here.",
                    hint="Leave model and attention as they are in the model that training starts from.",
                )
    return start


def with_token_rows(weights: Mapping[str, Tensor], vocab_sizes: tuple[int, int]) -> dict[str, Tensor]:
    """Return the weights, as of `unique_state_dict`, for larger vocabularies of source and target.

    The row of a new token is the mean of the rows that are no special tokens. All others stay as they are. A lexicon
    knows nothing of it.
    """
    extended = dict(weights)
    for name, side in TOKEN_ROWS.items():
        if name in extended and (more := vocab_sizes[side] - len(extended[name])) > 0:
            rows = extended[name]
            mean = rows[len(SPECIAL) :].mean(dim=0, keepdim=True)
            extended[name] = torch.cat([rows, mean.expand(more, *rows.shape[1:])])
    for name in LEXICON:
        if name in extended:
            known = extended[name]
            extended[name] = torch.cat([known, known.new_zeros(vocab_sizes[0] * MOST - len(known))])
    return extended


def start_for(config: RunConfig, run: Run | None, say: Say) -> Start | None:
    """Return what is taken over from the model to start from. A run that has begun no longer needs that model."""
    if config.train.start_from is None:
        return None
    if run is not None and run.has_begun:
        with contextlib.suppress(DataError, ModelError):
            return start_of(run.data)
    model = first_model(config)
    sides = [SideRules(side.language, side.cleaner, side.tokenizer) for side in (model.source, model.target)]
    earlier = None
    try:
        earlier = _earlier(Path(str(config.train.start_from)), model)
    except DataError as error:
        say(f"no earlier pairs are mixed in, so that the model may forget: {error.message}")
    return Start.of(sides, earlier, config.train.earlier_share, model.longest_source)


def _earlier(path: Path, model: Bundle) -> Earlier:
    """Return what the run of a model was trained on. Raises DataError where that is not at hand."""
    data = PreparedData.load(Run(run_of(path)).data)
    theirs, ours = ([fingerprint(side.tokenizer) for side in (of.source, of.target)] for of in (data, model))
    if theirs != ours:
        raise DataError(f"{data.folder} is not the data of this model.")
    return Earlier(data.train, data.train_links, data.dev, data.tests, data_fingerprint(data.folder))


def known_words(config: RunConfig, data: PreparedData) -> KnownWords | None:
    """Return the words that training saw, with those of the model that it started from, where both are known."""
    if config.train.start_from is None or data.source_words is None:
        return data.source_words
    with contextlib.suppress(ModelError):
        earlier = first_model(config).source.words
        return None if earlier is None else earlier | data.source_words
    return None


def score_before(run: Run, config: RunConfig, say: Say) -> None:
    """Score the model that training starts from on the test sets of the run, once, and keep the scores."""
    if "before" in _scores(run):
        return
    try:
        start = first_model(config)
    except ModelError as error:
        say(f"no scores from before the training: {error.message}")
        return
    tests = PreparedData.load(run.data).tests
    model = start.build().eval()
    scores = {name: DevSet(held, start, limit=TESTED).chrf(model) for name, held in tests.items()}
    _keep_scores(run, {"before": scores})


def _scores(run: Run) -> dict[str, Any]:
    """Return what `_keep_scores` kept, nothing where it is missing or was altered."""
    held = read_json(run.tests)
    scores = held.get("scores") if isinstance(held, dict) else None
    return scores if scores and held["sha256"] == sha256_of_json(scores) else {}


def _keep_scores(run: Run, scores: dict[str, Any]) -> None:
    write_json(run.tests, {"scores": scores, "sha256": sha256_of_json(scores)})


def score_after(run: Run, data: PreparedData, progress: Progress, say: Say) -> dict[str, dict[str, float | None]]:
    """Score the kept model on the test sets, and say it beside the scores from before."""
    held = {"before": {}} | _scores(run)
    step = progress.best_step or progress.step
    if held.get("step") != step:
        model = Bundle.load(run.folder).build().eval()
        after = {name: DevSet(test, data, limit=TESTED).chrf(model) for name, test in data.tests.items()}
        held |= {"after": after, "step": step}
        with contextlib.suppress(ResourceError):  # a finished run may stand where nothing can be written
            _keep_scores(run, held)
    tests: dict[str, dict[str, float | None]] = {}
    for name in data.tests:
        before, after = held["before"].get(name), held["after"][name]
        tests[name] = {"chrf_before": before, "chrf_after": after}
        change = "" if before is None else f"{before:.2f} before, "
        say(f"test   {name}: chrF {change}{after:.2f} after")
    return tests


def taken_over(config: RunConfig, data: PreparedData, tests: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what was taken over, as `--json` prints it. tests: what `score_after` gave."""
    return {
        "model": config.train.start_from,
        "new_source_tokens": data.new_tokens[0],
        "new_target_tokens": data.new_tokens[1],
        "earlier_pairs": data.earlier_pairs,
        "earlier_share": data.earlier_share,
        "tests": tests,
    }

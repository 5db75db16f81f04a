"""A run on held-out text: which text that is, the scores of its translations, the score of the links it draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from attentio.data.heldout import HeldOut
from attentio.data.prepare import PreparedData
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.data.source import read_pairs, settings_for
from attentio.errors import DataError, UsageError
from attentio.evaluation.faithfulness import score_faithfulness
from attentio.evaluation.links import LinkScorer, gold_sentences, held_out_sentences
from attentio.evaluation.seen import SeenSentences
from attentio.metrics.alignment import LinkRule
from attentio.metrics.quality import corpus_chrf, evaluate, learning_warning, same_output
from attentio.search import DEFAULT_BEAM
from attentio.search.batched import SearchConfig
from attentio.text.script import base_language, guess_language
from attentio.train.folder import Run, data_settings
from attentio.translator import Translator


@dataclass(frozen=True)
class TestFile:
    """A test file as a model reads and cleans it.

    pairs: how many pairs or lines the file has. left_out: why pairs are not scored, with their number.
    notes: what a reader of the scores must know, how the file was read included.
    """

    __test__ = False  # no test case, in spite of its name

    held_out: HeldOut
    pairs: int
    left_out: Mapping[str, int]
    notes: list[str]


def score_run(
    translator: Translator,
    run: Path,
    test: Path | None = None,
    *,
    beam: int = DEFAULT_BEAM,
    length_penalty: float = 1.0,
    resamples: int = 1000,
    scorer: LinkScorer | None = None,
    faithfulness: bool = False,
    **reading: object,
) -> dict[str, dict[str, Any]]:
    """Return the scores of each test set by name, as `--json` prints them, with alignment error where links are known.

    test: a file to score instead of what the run held out. Its entry says in `notes` what is not scored and what the
        training had seen.
    scorer: how alignment error is measured, by default argmax links of the last layer.
    faithfulness: whether attention is held against masking source tokens, too.
    reading: settings of `data` for the test file, as for `reading_settings`.
    """
    known: Mapping[str, Path] = {}
    facts: dict[str, Any] = {}
    if test is None:
        if said := [name for name, value in reading.items() if value is not None]:
            raise UsageError(f"--{said[0]} is about TEST, and none is given.")
        sets, known = held_out_sets(run), PreparedData.load(Run(run).data).links
    else:
        read = read_test_file(test, translator, reading_settings(run, test, **reading))
        sets = {read.held_out.name: read.held_out}
        seen = _num_seen(run, read.held_out)
        facts = {"pairs": read.pairs, "left_out": dict(read.left_out), "seen_in_training": seen, "notes": read.notes}
        if seen:
            told = f"{seen:,} of {len(read.held_out.sources):,} sentences were seen in training"
            facts["notes"] = [*read.notes, f"{told}: their scores say little"]
    if scorer is not None and not known and (scorer.rule != LinkRule() or scorer.reverse is not None):
        raise no_gold("what the run held out has no known word links")
    results: dict[str, dict[str, Any]] = {}
    for name, held_out in sets.items():
        config = SearchConfig(beam, length_penalty, workers=torch.get_num_threads())
        found = translator.translate(held_out.sources, config, split=False)
        outputs = [translation.text for translation in found]
        quality = evaluate(outputs, held_out.references, language=translator.target_language, resamples=resamples)
        share = same_output(outputs, held_out.references)
        results[name] = {**quality.as_dict(), "references": held_out.pairs, "same_output": round(share, 3), **facts}
        if warning := learning_warning(share, corpus_chrf(outputs, held_out.references, strict=True)):
            results[name]["notes"] = [*facts.get("notes", ()), warning]
        if faithfulness:
            found = score_faithfulness(translator, held_out.sources, beam=beam, resamples=resamples)
            results[name]["faithfulness"] = found
        if name in known:
            scoring, sentences = scorer or LinkScorer(translator), held_out_sentences(known[name])
            results[name]["alignment"] = scoring.score(sentences)
            if faithfulness:
                results[name]["explanations"] = scoring.score_explanations(sentences)
    return results


def score_attention(
    scorer: LinkScorer, run: Path, test: Path, gold: Path, *, gold_index: int, faithfulness: bool, **reading: object
) -> dict[str, dict[str, Any]]:
    """Return how the links that attention draws agree with gold links, by the name of the test file.

    faithfulness: whether links from erasure and gradient times input stand beside them.
    """
    config = reading_settings(run, test, **reading)
    sentences = gold_sentences(test, gold, index=gold_index, config=config)
    _check_direction(test, scorer.translator, [(sentence.source, sentence.target) for sentence in sentences])
    result: dict[str, Any] = {"alignment": scorer.score(sentences)}
    if faithfulness:
        result["explanations"] = scorer.score_explanations(sentences)
    return {test.stem: result}


def held_out_sets(run: Path) -> dict[str, HeldOut]:
    """Return the test sets that a run held out, by name. Raises DataError when there are none."""
    sets = PreparedData.load(Run(run).data).tests
    if not sets:
        raise DataError(f"{run} held nothing out for testing.", hint="Give a test file: attentio evaluate RUN TEST.")
    return sets


def read_test_file(test: Path, translator: Translator, config: DataConfig) -> TestFile:
    """Return the sentences of a parallel file as the model reads and cleans them.

    Raises DataError when there is no pair, or when the columns are clearly the other way round.
    """
    log = DropLog()
    pairs = list(read_pairs(test, config, log))
    left_out = {reason: count for reasons in log.counts.values() for reason, count in reasons.items()}
    first = {reason: f" (first: line {lines[0]})" for (_, reason), lines in log.first.items()}
    if not pairs:
        raise DataError(f"{test} has no sentence pairs.", file=test)
    _check_direction(test, translator, [(pair.source, pair.target) for pair in pairs])
    cleaners = translator.bundle.source.cleaner, translator.bundle.target.cleaner
    sources = cleaners[0].lines([pair.source for pair in pairs])
    targets = cleaners[1].lines([pair.target for pair in pairs])
    kept = [(source, target) for source, target in zip(sources, targets, strict=True) if source and target]
    if not kept:
        raise DataError(f"{test} has no pair with text on both sides.", file=test)
    rows = len(pairs) + sum(left_out.values())
    if len(kept) < len(pairs):
        left_out["without text after cleaning"] = len(pairs) - len(kept)
    notes = [*log.notes]
    if left_out:
        reasons = ", ".join(f"{count:,} {reason}{first.get(reason, '')}" for reason, count in left_out.items())
        notes.append(f"{sum(left_out.values()):,} of {rows:,} pairs are not scored: {reasons}")
    return TestFile(HeldOut.from_pairs(test.stem, kept), rows, left_out, notes)


def _num_seen(run: Path, held_out: HeldOut) -> int | None:
    """Return how many sentences the training of a run has seen, None where its data is not there."""
    seen = SeenSentences()
    try:
        seen.add(PreparedData.load(Run(run).data))
    except DataError:
        return None
    return len(held_out.sources) - len(seen.unseen(held_out).sources)


def reading_settings(run: Path, test: Path, **given: object) -> DataConfig:
    """Return how a test file is read: as `given`, else as the file shows, else as the run read its files.

    given: settings of `data` such as swap, encoding and delimiter, None where nothing was said.
    """
    trained = data_settings(Run(run.parent if run.name == "model" else run))
    return settings_for(test, trained, {key: value for key, value in given.items() if value is not None})


def _check_direction(test: Path, translator: Translator, pairs: list[tuple[str, str]]) -> None:
    """Refuse a file whose columns are clearly the other way round: its scores would make no sense."""
    wanted = (base_language(translator.source_language), base_language(translator.target_language))
    found = (guess_language(source for source, _ in pairs), guess_language(target for _, target in pairs))
    if None not in found and found == wanted[::-1] and found[0] != found[1]:
        raise DataError(
            f"{test} holds {found[0]} on the source and {found[1]} on the target side, but the model translates "
            f"{wanted[0]} to {wanted[1]}.",
            hint="Swapped columns? --swap, or --no-swap where the run was trained with it.",
            code="E_DATA_SWAPPED",
            file=test,
        )


def no_gold(what: str) -> UsageError:
    """Return the error for options about word links where there are none."""
    return UsageError(
        f"{what}. --link-rule, --threshold, --layer, --head and --reverse need them.",
        hint="attentio evaluate RUN TEST --gold GOLD --gold-index 1",
    )

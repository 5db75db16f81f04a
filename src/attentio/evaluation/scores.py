"""A run on held-out text: which text that is, the scores of its translations, the score of the links it draws."""

from pathlib import Path
from typing import Any

import torch

from attentio.data.heldout import HeldOut
from attentio.data.prepare import PreparedData
from attentio.data.settings import DataConfig
from attentio.data.source import read_pairs
from attentio.errors import DataError, UsageError
from attentio.evaluation.links import LinkScorer, gold_sentences, held_out_sentences
from attentio.metrics.alignment import LinkRule
from attentio.metrics.quality import evaluate
from attentio.search.batched import SearchConfig
from attentio.text.script import base_language, guess_language
from attentio.train.folder import Run
from attentio.train.settings import load_config
from attentio.translator import Translator


def score_run(
    translator: Translator,
    run: Path,
    test: Path | None = None,
    *,
    beam: int = 1,
    length_penalty: float = 1.0,
    resamples: int = 1000,
    swap: bool | None = None,
    scorer: LinkScorer | None = None,
) -> dict[str, dict[str, Any]]:
    """Name of a test set -> its scores, as `--json` prints them; with alignment error rate where links are known.

    scorer: how that is measured; default: links by argmax, of the last layer.
    """
    sets = test_sets(run, test, translator, swap)
    known = {} if test is not None else PreparedData.load(Run(run).data).links
    if scorer is not None and not known and (scorer.rule != LinkRule() or scorer.reverse is not None):
        raise no_gold("what the run held out has no known word links")
    results: dict[str, dict[str, Any]] = {}
    for name, held_out in sets.items():
        config = SearchConfig(beam, length_penalty, workers=torch.get_num_threads())
        found = translator.translate(held_out.sources, config)
        quality = evaluate(
            [translation.text for translation in found],
            held_out.references,
            language=translator.target_language,
            resamples=resamples,
        )
        results[name] = {**quality.as_dict(), "references": held_out.pairs}
        if name in known:
            results[name]["alignment"] = (scorer or LinkScorer(translator)).score(held_out_sentences(known[name]))
    return results


def score_attention(
    scorer: LinkScorer, run: Path, test: Path, gold: Path, *, gold_index: int, swap: bool | None = None
) -> dict[str, dict[str, Any]]:
    """Name of the test file -> how the links that attention draws agree with gold links."""
    config = _data_config(run, swap)
    sentences = gold_sentences(test, gold, index=gold_index, config=config)
    _check_direction(test, scorer.translator, [(sentence.source, sentence.target) for sentence in sentences])
    return {test.stem: {"alignment": scorer.score(sentences)}}


def test_sets(run: Path, test: Path | None, translator: Translator, swap: bool | None) -> dict[str, HeldOut]:
    """The test sets of a run by name: what it held out, or else the file `test` as the run reads and cleans it."""
    if test is None:
        if swap is not None:
            raise UsageError("--swap is about TEST, and none is given.")
        sets = PreparedData.load(Run(run).data).tests
        if not sets:
            raise DataError(
                f"{run} held nothing out for testing.", hint="Give a test file: attentio evaluate RUN TEST."
            )
        return sets
    pairs = list(read_pairs(test, _data_config(run, swap)))
    if not pairs:
        raise DataError(f"{test} has no sentence pairs.", file=test)
    _check_direction(test, translator, [(pair.source, pair.target) for pair in pairs])
    sources = translator.bundle.source.cleaner.lines([pair.source for pair in pairs])
    targets = translator.bundle.target.cleaner.lines([pair.target for pair in pairs])
    kept = [(source, target) for source, target in zip(sources, targets, strict=True) if source and target]
    if not kept:
        raise DataError(f"{test} has no pair with text on both sides.", file=test)
    return {test.stem: HeldOut.from_pairs(test.stem, kept)}


def _data_config(run: Path, swap: bool | None) -> DataConfig:
    """Return how the run read its own files, and so how a test file is read. A model alone reads by the defaults."""
    written = Run(run.parent if run.name == "model" else run).config
    config = load_config(written).data if written.exists() else DataConfig()
    return config if swap is None else config.model_copy(update={"swap": swap})


def _check_direction(test: Path, translator: Translator, pairs: list[tuple[str, str]]) -> None:
    """A file whose columns are clearly the other way round would be scored without sense."""
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
    """Why what is about word links cannot be done."""
    return UsageError(
        f"{what}; --link-rule, --threshold, --layer, --head and --reverse need them.",
        hint="attentio evaluate RUN TEST --alignments GOLD --gold-index 1",
    )

"""The gate: a file leaves only if its own runtime gives what the model gives.

The same sentences go through the model and through the file. Two things are told apart. The arithmetic of the runtime
must be that of the model with the same weights. Weights in 8 bits must cost next to nothing.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attentio.bundle import Bundle
from attentio.errors import MissingExtra, QualityGate, UsageError
from attentio.export.format import Answer, Format, Named
from attentio.metrics.quality import corpus_chrf
from attentio.runtime.files import check_folder, check_place, new_file, new_folder
from attentio.search.batched import SearchConfig, search
from attentio.translator import Translator

LARGEST_DIFFERENCE = 1e-4  # of a weight of attention, and of a score
LEAST_SAME = 0.95  # share of answers that 8 bits must not change
LARGEST_FALL = 0.5  # of chrF, for 8 bits


@dataclass(frozen=True)
class Agreement:
    """How far the answers of a file are those of a model.

    same: identical answers. ties: others with the same score, within rounding, or a better one of a runtime with a
    search of its own. difference: the largest of a weight of attention, and of a score, among identical answers.
    chrf, chrf_before: of the file and of the model, where there are references.
    differing: the first sentence with another answer, with the answers of the file and of the model.
    """

    against: str
    sentences: int
    same: int
    ties: int
    difference: float
    chrf: float | None = None
    chrf_before: float | None = None
    differing: tuple[str, str, str] | None = None

    @property
    def share(self) -> float:
        return self.same / self.sentences if self.sentences else 0.0


@dataclass(frozen=True)
class Report:
    """What was written, and how it was compared. `agreements` is empty where it was not."""

    format: str
    precision: str
    path: str
    bytes: int
    beam: int
    agreements: tuple[Agreement, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {"schema": 1, **asdict(self)}

    def lines(self) -> Iterator[str]:
        """Yield a table for people."""
        if not self.agreements:
            yield "not compared with the model"
            return
        rows = [("compared with", "sentences", "identical", "ties", "largest difference", "chrF")]
        for one in self.agreements:
            chrf = "" if one.chrf is None else f"{one.chrf:.2f} (model {one.chrf_before:.2f})"
            rows.append((one.against, str(one.sentences), str(one.same), str(one.ties), f"{one.difference:.1e}", chrf))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


class ToExport(NamedTuple):
    """A model, what it is called, and sentences to compare with. references: of each sentence, for chrF."""

    name: str
    bundle: Bundle
    sentences: Sequence[str] = ()
    references: Sequence[Sequence[str]] | None = None


def export(
    chosen: Format,
    path: Path,
    models: Sequence[ToExport],
    *,
    precision: str,
    beam: int = 5,
    unchecked: bool = False,
) -> Report:
    """Write models as a file of a format, if the file agrees with each on its sentences. All or nothing.

    unchecked: write it without a comparison.
    Raises UsageError for what cannot be asked, MissingExtra without the runtime, and QualityGate where they disagree.
    """
    _check_asked(chosen, models, precision)
    is_folder = chosen.mark is not None
    if is_folder:
        _check_replaced(path, chosen.mark)
    else:
        check_place(path)
    if not unchecked:
        if why := chosen.unavailable():
            hint = "Install one of them, or give --unchecked to write the file without a comparison."
            raise MissingExtra(f"{chosen.name} cannot be compared with the model here: {why}.", hint=hint)
        if not all(each.sentences for each in models):
            raise UsageError("there is no sentence to compare with.", hint="Give --check FILE, or --unchecked.")
    with new_folder(path) if is_folder else new_file(path) as partial:
        chosen.write([Named(each.name, each.bundle) for each in models], partial, precision=precision)
        size = sum(file.stat().st_size for file in partial.iterdir()) if is_folder else partial.stat().st_size
        agreements: list[Agreement] = []
        for number in range(len(models) if not unchecked else 0):
            compared = list(_compare(chosen, partial, models, number, precision=precision, beam=beam))
            _refuse(chosen, compared, precision)
            agreements += compared
    return Report(chosen.name, precision, str(path), size, beam, tuple(agreements))


def _check_asked(chosen: Format, models: Sequence[ToExport], precision: str) -> None:
    if precision not in chosen.precisions:
        hint = f"One of: {', '.join(chosen.precisions)}."
        raise UsageError(f"{chosen.name} has no precision {precision!r}.", hint=hint)
    if len(models) > 1 and not chosen.many:
        raise UsageError(f"{chosen.name} holds one model, not {len(models)}.")
    names = [each.name for each in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two models would be called {twice!r}.", hint="Give --name to the first.")


def _check_replaced(folder: Path, mark: str | None) -> None:
    """Refuse to replace a folder that holds something else."""
    check_folder(folder)
    if folder.exists() and not (folder.is_dir() and ((folder / str(mark)).is_file() or not any(folder.iterdir()))):
        raise UsageError(f"{folder} holds something else, and would be replaced.", hint="Choose another --out.")


def _compare(
    chosen: Format, path: Path, models: Sequence[ToExport], number: int, *, precision: str, beam: int
) -> Iterator[Agreement]:
    model = models[number]
    named = f"{model.name}, " if len(models) > 1 else ""
    translator = Translator(model.bundle, device="cpu")
    answers = raw_answers if chosen.raw else model_answers
    wanted = answers(translator, model.sentences, beam)
    found = chosen.run(path, model.sentences, beam=beam, number=number)
    against = Translator(model.bundle, device="cpu")
    if precision == "int8":
        against.model = chosen.in_8_bits(model.bundle)
        exact = chosen.run_in_32_bits(path, model.sentences, beam=beam) or found
        rounded = answers(against, model.sentences, beam)
        better = _better(against, exact, rounded, model.sentences) if chosen.own_search else 0
        yield agreement(f"{named}the model in 8 bits", exact, rounded, model.sentences, better=better)
    better = _better(against, found, wanted, model.sentences) if chosen.own_search else 0
    yield agreement(f"{named}the model", found, wanted, model.sentences, model.references, better=better)


def _better(model: Translator, found: Sequence[Answer], wanted: Sequence[Answer], sentences: Sequence[str]) -> int:
    """Return how many other answers are better than those of our search, and have the score that the model gives."""
    count = 0
    for own, other, sentence in zip(found, wanted, sentences, strict=True):
        if own.text != other.text and own.score > other.score + LARGEST_DIFFERENCE:
            (trace,) = model.align([sentence], [own.text])
            count += abs(float(np.mean(trace.token_log_probs)) - own.score) <= LARGEST_DIFFERENCE
    return count


def model_answers(translator: Translator, sentences: Sequence[str], beam: int) -> list[Answer]:
    """Return what the model itself makes of sentences."""
    answers: list[Answer] = []
    for one in translator.translate(sentences, SearchConfig(beam), trace=True, split=False):
        trace = one.trace
        weights = {} if trace is None else {**trace.weights, **trace.encoder_self, **trace.decoder_self}
        answers.append(Answer(one.text, one.score, weights))
    return answers


def raw_answers(translator: Translator, sentences: Sequence[str], beam: int) -> list[Answer]:
    """Return what the search alone makes of sentences: nothing is hidden, and nothing is mended."""
    source, target = translator.bundle.source, translator.bundle.target
    ids = [source.tokenizer.encode(text) for text in source.cleaner.lines(sentences)]
    found = search(translator.model, ids, SearchConfig(beam))
    return [Answer(target.tokenizer.decode(best.tokens), best.score, {}) for best, *_ in found]


def agreement(
    against: str,
    found: Sequence[Answer],
    wanted: Sequence[Answer],
    sentences: Sequence[str],
    references: Sequence[Sequence[str]] | None = None,
    *,
    better: int = 0,
) -> Agreement:
    """Return how far the answers of a file are those of a model. better: how many more count as ties."""
    same, ties = 0, better
    difference = 0.0
    differing: tuple[str, str, str] | None = None
    for own, other, sentence in zip(found, wanted, sentences, strict=True):
        if own.text != other.text:
            differing = differing or (sentence, own.text, other.text)
            ties += abs(own.score - other.score) <= LARGEST_DIFFERENCE
            continue
        same += 1
        difference = max(difference, abs(own.score - other.score))
        for layer, weights in other.weights.items():
            theirs = own.weights.get(layer)
            if theirs is None or theirs.shape != weights.shape:
                difference = np.inf if own.weights else difference
            elif weights.size:
                largest = float(np.abs(theirs - weights).max())
                difference = max(difference, largest if np.isfinite(largest) else np.inf)
    if references is None:
        return Agreement(against, len(found), same, ties, difference, differing=differing)
    chrf, before = (corpus_chrf([one.text for one in answers], references) for answers in (found, wanted))
    return Agreement(against, len(found), same, ties, difference, chrf, before, differing)


def _refuse(chosen: Format, agreements: Sequence[Agreement], precision: str) -> None:
    """Raise QualityGate where a file is not good enough. The first agreement is about arithmetic."""
    first, last = agreements[0], agreements[-1]
    told = f"{first.same} of {first.sentences} answers are identical, and numbers differ by {first.difference:.1e}."
    if first.same + first.ties < first.sentences or not first.difference <= LARGEST_DIFFERENCE:
        raise QualityGate(
            f"the {chosen.name} file disagrees with the model: {told}{_example(first)}",
            hint="Nothing was written. Please report it.",
            code="E_EXPORT_DISAGREES",
        )
    fall = 0.0 if last.chrf is None or last.chrf_before is None else last.chrf_before - last.chrf
    matters = chosen.weight_only or last.chrf is None
    if precision == "int8" and ((matters and last.share < LEAST_SAME) or fall > LARGEST_FALL):
        raise QualityGate(
            f"8 bits change too much: {100 * last.share:.1f} % of the answers stay, and chrF falls by {fall:.2f}."
            + _example(last),
            hint="Nothing was written. Give --precision fp32.",
            code="E_EXPORT_DISAGREES",
        )


def _example(one: Agreement) -> str:
    if one.differing is None:
        return ""
    source, own, other = (json.dumps(text, ensure_ascii=False) for text in one.differing)
    return f" {source} became {own} instead of {other}."

"""What can be wrong with a training, one function for each symptom: figures in, a finding or None out.

Nothing here opens a run. `evaluation.doctor` gathers the figures. Thresholds stand beside their reasons: they were
chosen on healthy and on spoiled runs, in LOG.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from attentio.data.findings import Finding
from attentio.metrics.quality import same_output as share_of_same
from attentio.text.script import is_unsegmented
from attentio.text.tokenizer import split_words

SAME_OUTPUT = 0.2  # of the sentences get one output. Healthy: at most 0.04
LOOPS = 0.1  # of the outputs repeat themselves at once. Healthy: at most 0.03
TOO_SHORT, TOO_LONG = 0.75, 1.35  # characters of outputs by those of references. Healthy: 0.88 to 1.05
COPIED = 0.1  # of the outputs are their source
UNIFORM = 0.95  # entropy of a head's rows by that of equal weights. Healthy: at most 0.77
SINK = 0.6  # of a head's weight on the first or last source token. Healthy: at most 0.17
DEAD = 0.05  # distance of a head's rows from their mean, 0 to 1. Healthy: at least 0.34
HEADS = 0.25  # of all heads. Larger models have single heads that do nothing
LEAKING = 0.02  # of the held-out pairs
DUPLICATED = 0.1  # of the held-out pairs
BY_HEART = 40.0  # chrF on training text less that on held-out text
WELL = 50.0  # chrF on held-out text that is no failure
UNLEARNED = 35.0  # chrF on training text, below which a model has not learned it
STILL_RISING = 0.05  # gain of strict chrF in the last fifth of the evaluations
WARM_UP = 0.5  # of all updates
LEAST_HELD_OUT = 50  # sentences
NOT_WRITTEN = 0.1  # of the tokens that references often have. Healthy: at most 0.02
UNTRAINED = 0.12  # of held-out source tokens. Healthy: at most 0.04, and 0.08 of 900 pairs
_LEAST_OFTEN = 3  # references that have a token
_LEAST_SEEN = 20  # times in training
_LEAST_CASES = 3
_LONGEST_RUN = 8
_SHOWN = 2
_MORE_TRAINING = "Train longer: the same command with more --max-time, or more -o train.epochs=…"

Matrix = npt.NDArray[np.float32]


class Spoken(NamedTuple):
    """Held-out sources, what the model writes for them, and the first reference of each."""

    sources: Sequence[str]
    outputs: Sequence[str]
    references: Sequence[str]


def same_output(spoken: Spoken) -> Finding | None:
    """Find that different sources get one output, more often than references are alike."""
    share = share_of_same(spoken.outputs, spoken.references)
    if share < SAME_OUTPUT:
        return None
    output, count = Counter(spoken.outputs).most_common(1)[0]
    sources = [s for s, o in zip(spoken.sources, spoken.outputs, strict=True) if o == output][:_SHOWN]
    return Finding(
        "same-output",
        f"{share:.0%} of the sentences get the same output",
        f"It has not learned to translate. {_MORE_TRAINING} Check the pairs: attentio data report DATA",
        {"share": round(share, 3), "sentences": count},
        [f"{source} → {output or '(empty)'}" for source in sources],
    )


def loops(spoken: Spoken) -> Finding | None:
    """Find outputs that write the same again and again, where references do not."""
    looping = [i for i, text in enumerate(spoken.outputs) if repeats(text)]
    usual = sum(map(repeats, spoken.references))
    share = (len(looping) - usual) / max(1, len(spoken.outputs))
    if share < LOOPS or len(looping) < _LEAST_CASES:
        return None
    return Finding(
        "loops",
        f"{len(looping):,} of {len(spoken.outputs):,} outputs repeat themselves",
        f"{_MORE_TRAINING} Meanwhile: attentio translate RUN --beam 5 --no-repeat 3",
        {"outputs": len(looping), "references": usual, "share": round(share, 3)},
        [f"{spoken.sources[i]} → {spoken.outputs[i]}" for i in looping[:_SHOWN]],
    )


def repeats(text: str) -> bool:
    """Return whether a word stands three times in a row, or a run of them twice. Characters where no spaces part them.

    A run of two may stand twice, too.
    """
    units = [*text.replace(" ", "")] if is_unsegmented([text]) else split_words(text)
    for size in range(1, _LONGEST_RUN + 1):
        times = 3 if size < 3 else 2
        for start in range(len(units) - size * times + 1):
            run = units[start : start + size]
            again = all(units[start + k * size : start + (k + 1) * size] == run for k in range(1, times))
            if again and any(unit[0].isalpha() for unit in run):
                return True
    return False


def length(spoken: Spoken) -> Finding | None:
    """Find outputs that are much shorter or longer than references, in all."""
    written, wanted = (sum(map(len, texts)) for texts in (spoken.outputs, spoken.references))
    if not wanted or TOO_SHORT <= written / wanted <= TOO_LONG:
        return None
    short = written < wanted
    gaps = [len(o) - len(r) for o, r in zip(spoken.outputs, spoken.references, strict=True)]
    order = sorted(range(len(gaps)), key=lambda i: gaps[i], reverse=not short)[:_SHOWN]
    advice = "--length-penalty 1.5" if short else "--length-penalty 0.5"
    return Finding(
        "too-short" if short else "too-long",
        f"outputs have {written / wanted:.0%} of the characters of references",
        f"{_MORE_TRAINING} Meanwhile: attentio translate RUN --beam 5 {advice}",
        {"ratio": round(written / wanted, 3)},
        [f"{spoken.sources[i]} → {spoken.outputs[i] or '(empty)'}" for i in order],
    )


def copied_sources(spoken: Spoken) -> Finding | None:
    """Find outputs that are their source, where the reference is not."""
    rows = [
        i
        for i, (source, output, reference) in enumerate(zip(*spoken, strict=True))
        if _letters(source) == _letters(output) != _letters(reference)
    ]
    if len(rows) < max(_LEAST_CASES, COPIED * len(spoken.outputs)):
        return None
    return Finding(
        "copied-sources",
        f"{len(rows):,} of {len(spoken.outputs):,} outputs are their source",
        "Remove untranslated pairs from the training text: attentio data report DATA names them.",
        {"outputs": len(rows), "of": len(spoken.outputs)},
        [f"{spoken.sources[i]} → {spoken.outputs[i]}" for i in rows[:_SHOWN]],
    )


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


@dataclass(frozen=True)
class Head:
    """Where one head looks, over sentences. All are means, 0 to 1.

    entropy: of its rows, by that of equal weights. first, last: weight on these source tokens. change: distance of its
    rows from their mean. mass: sum of a row.
    """

    name: str
    entropy: float
    first: float
    last: float
    change: float
    mass: float


def measure_heads(weights: Iterable[Mapping[str, Matrix]]) -> list[Head]:
    """Return the figures of each head from sentences' weights, by layer (H, T, S). The last row and column are the end.

    Sentences of fewer than four tokens on a side say nothing and are left out, as is the row of the end.
    """
    figures: dict[str, list[list[float]]] = {}
    for sentence in weights:
        for layer, matrices in sentence.items():
            if min(matrices.shape[1:]) < 4:
                continue
            for number, matrix in enumerate(matrices):
                name = layer if len(matrices) == 1 else f"{layer}, head {number}"
                figures.setdefault(name, []).append(_head_figures(matrix[:-1].astype(np.float64)))
    return [Head(name, *np.mean(rows, axis=0).tolist()) for name, rows in figures.items()]


def _head_figures(matrix: npt.NDArray[np.float64]) -> list[float]:
    sums = matrix.sum(axis=1, keepdims=True)
    rows = matrix / np.maximum(sums, 1e-9)
    bits = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    entropy = -(rows * bits).sum(axis=1).mean() / np.log2(rows.shape[1])
    change = np.abs(rows - rows.mean(axis=0)).sum(axis=1).mean() / 2
    return [entropy, rows[:, 0].mean(), rows[:, -1].mean(), change, sums.mean()]


def attention(heads: Sequence[Head]) -> list[Finding]:
    """Find heads that look everywhere alike, at one place only, or at the same whatever is written."""
    uniform = [head for head in heads if head.mass >= DEAD and head.entropy >= UNIFORM]
    sinks = [head for head in heads if head not in uniform and max(head.first, head.last) >= SINK]
    rest = [head for head in heads if head not in uniform and head not in sinks]
    dead = [head for head in rest if head.change <= DEAD or head.mass < DEAD]
    found: list[Finding] = []
    for symptom, hit, what in (
        ("uniform-attention", uniform, "look at all source tokens alike"),
        ("attention-sink", sinks, "look at the first or last source token only"),
        ("dead-attention", dead, "look at the same whatever is written"),
    ):
        if hit and len(hit) >= HEADS * len(heads):
            figures = ("entropy", "first", "last", "change")
            means = {name: round(float(np.mean([getattr(head, name) for head in hit])), 3) for name in figures}
            found.append(
                Finding(
                    symptom,
                    f"{len(hit)} of {len(heads)} heads of attention {what}",
                    f"{_MORE_TRAINING} Or choose another score: attentio attention list",
                    {"heads": len(hit), "of": len(heads), **means},
                    [head.name for head in hit[:_SHOWN]],
                )
            )
    return found


def warm_up(steps: int, warmup: int, ended: str | None) -> Finding | None:
    """Find a finished training of which most was warm-up, so that it hardly learned at its full rate."""
    if ended is None or warmup <= WARM_UP * steps:
        return None
    unfinished = "did not end" if warmup > steps else "took most of the training"
    return Finding(
        "warm-up-unfinished",
        f"warm-up {unfinished}: {warmup:,} of {steps:,} updates",
        "Shorter warm-up: -o train.warmup_share=0.06 in a new run. Or more updates: more --max-time.",
        {"warmup_updates": warmup, "updates": steps},
    )


class Known(NamedTuple):
    """The kept model on text: chrF, and loss in nats a token."""

    chrf: float
    loss: float


def overfitting(train: Known, held_out: Known, dev_losses: Sequence[float]) -> Finding | None:
    """Find a model that knows its training text by heart and unseen text badly. dev_losses: of all evaluations."""
    if train.chrf - held_out.chrf < BY_HEART or held_out.chrf >= WELL:
        return None
    evidence: dict[str, float | int | str] = {
        "train_chrf": round(train.chrf, 1),
        "held_out_chrf": round(held_out.chrf, 1),
        "train_loss": round(train.loss, 3),
        "held_out_loss": round(held_out.loss, 3),
    }
    if dev_losses:
        evidence |= {"least_dev_loss": round(min(dev_losses), 3), "last_dev_loss": round(dev_losses[-1], 3)}
    return Finding(
        "overfitting",
        f"chrF is {train.chrf:.0f} on training text and {held_out.chrf:.0f} on held-out text: it learned by heart",
        "More pairs help most. Else more dropout (-o model.dropout=0.4) or a smaller model (--preset tiny).",
        evidence,
    )


def underfitting(train: Known, held_out: Known, dev_strict: Sequence[float], ended: str | None) -> Finding | None:
    """Find a finished training that has not learned its own text, or that still became better when it was stopped.

    dev_strict: strict chrF of all evaluations. A training that dev has stopped did not become better.
    """
    last = dev_strict[-max(2, len(dev_strict) // 5) :]
    rise = last[-1] / last[0] - 1 if len(dev_strict) >= 5 and last[0] > 0 else 0.0
    rising = ended in ("time limit", "all steps done", "planned steps done") and rise >= STILL_RISING
    if ended is None or not (rising or (train.chrf < UNLEARNED and train.chrf - held_out.chrf < BY_HEART)):
        return None
    what = f"chrF is only {train.chrf:.0f} on its own training text"
    if rising and train.chrf >= UNLEARNED:
        what = f"strict chrF on dev still rose by {rise:.0%} in the last fifth of the evaluations"
    return Finding(
        "underfitting",
        what,
        f"{_MORE_TRAINING} Where more time changes nothing: a larger model (--preset small).",
        {
            "train_chrf": round(train.chrf, 1),
            "held_out_chrf": round(held_out.chrf, 1),
            "last_rise": round(rise, 3),
            "ended": ended,
        },
    )


def small_held_out(sentences: int, interval: tuple[float, float] | None) -> Finding | None:
    """Find too few held-out sentences to say anything. interval: 95 % of chrF."""
    if sentences >= LEAST_HELD_OUT:
        return None
    if not sentences:
        return Finding(
            "small-held-out",
            "nothing was held out, so nothing is known of unseen text",
            "Give text of your own: --test FILE --dev FILE. Or hold out more: --dev 100 --test 100.",
            {"sentences": 0},
        )
    shown = "" if interval is None else f": chrF is between {interval[0]:.0f} and {interval[1]:.0f}"
    return Finding(
        "small-held-out",
        f"{sentences} held-out sentences say little{shown}",
        "Hold out more: --dev 100 --test 100. Or test on a file of your own: attentio evaluate RUN TEST",
        {"sentences": sentences} | ({} if interval is None else {"low": interval[0], "high": interval[1]}),
    )


def held_out_text(
    held_out: Sequence[tuple[str, str]],
    train: tuple[Set[str], Set[str]],
    also: Set[str] = frozenset(),
) -> list[Finding]:
    """Find held-out pairs that stand in training, or several times among themselves. Numbers do not tell pairs apart.

    held_out: keys of source and target of each pair. train: keys of all sources and targets there. also: keys of
    sources that a model was trained on before, where training started from it.
    """
    sources = Counter(source for source, _ in held_out)
    seen = [source for source, target in held_out if source in train[0] or target in train[1] or source in also]
    twice = sum(count - 1 for count in sources.values())
    found: list[Finding] = []
    if len(seen) >= max(_LEAST_CASES, LEAKING * len(held_out)):
        found.append(
            Finding(
                "leaking-held-out",
                f"{len(seen):,} of {len(held_out):,} held-out pairs stand in training, numbers aside",
                "Scores on them are too good. Test on other text: attentio evaluate RUN TEST",
                {"pairs": len(seen), "of": len(held_out)},
                seen[:_SHOWN],
            )
        )
    if twice >= max(_LEAST_CASES, DUPLICATED * len(held_out)):
        found.append(
            Finding(
                "duplicated-held-out",
                f"{twice:,} of {len(held_out):,} held-out sources are repeated, numbers aside",
                "The interval is too narrow. Hold out different sentences: --dev FILE --test FILE",
                {"pairs": twice, "of": len(held_out)},
                [source for source, count in sources.most_common(_SHOWN) if count > 1],
            )
        )
    return found


def tokens_not_written(
    references: Sequence[Sequence[str]], outputs: Sequence[Sequence[str]], seen: Mapping[str, int]
) -> Finding | None:
    """Find tokens that references often have and the model never writes. seen: how often training has a token."""
    wanted = Counter(token for tokens in references for token in set(tokens))
    written = {token for tokens in outputs for token in tokens}
    often = [token for token, count in wanted.items() if count >= _LEAST_OFTEN and seen.get(token, 0) >= _LEAST_SEEN]
    never = sorted((token for token in often if token not in written), key=lambda token: -wanted[token])
    if len(never) < max(_LEAST_CASES, NOT_WRITTEN * len(often)):
        return None
    return Finding(
        "tokens-not-learned",
        f"{len(never):,} of {len(often):,} frequent target tokens are never written",
        _MORE_TRAINING,
        {"tokens": len(never), "of": len(often)},
        [f"{token!r} in {wanted[token]} references, {seen[token]} times in training" for token in never[:_SHOWN]],
    )


def untrained_tokens(sources: Sequence[Sequence[str]], seen: Mapping[str, int]) -> Finding | None:
    """Find held-out sources made of tokens that training never had. The model knows nothing of these."""
    counts = Counter(token for tokens in sources for token in tokens)
    unknown = Counter({token: count for token, count in counts.items() if not seen.get(token)})
    if unknown.total() < max(_LEAST_CASES, UNTRAINED * counts.total()):
        return None
    return Finding(
        "untrained-tokens",
        f"{unknown.total():,} of {counts.total():,} held-out source tokens never stood in training",
        "Add pairs of this kind to the training text.",
        {"tokens": unknown.total(), "of": counts.total()},
        [repr(token) for token, _ in unknown.most_common(_SHOWN)],
    )


def training(events: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Return dev loss and strict chrF of the evaluations in a log. Older logs have none."""
    known = [event for event in events if event.get("dev_loss") is not None and event.get("dev_strict") is not None]
    return [float(event["dev_loss"]) for event in known], [float(event["dev_strict"]) for event in known]

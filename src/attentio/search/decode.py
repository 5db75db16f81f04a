"""The one decoding loop: a batch of sources, a strategy, and by composition a prefix, a constraint and onlookers.

At every step the decoder runs once for all open hypotheses, the strategy chooses, and finished sentences leave the
batch. Search over many sources, sorted and in batches, is `batched`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attentio.errors import CancelledSearch, UsageError
from attentio.runtime.arrays import Array, Arrays, arrays_of
from attentio.search.hypothesis import Hypothesis, Trail, ranking_score, should_compact
from attentio.search.strategy import Choice, Greedy, Situation, Strategy
from attentio.text.special import SPECIAL

if TYPE_CHECKING:  # loaded only where something is constrained
    from attentio.search.constraint import Constraint

UNWRITTEN = [SPECIAL.pad, SPECIAL.bos]  # never part of a translation


class Searched(Protocol):
    """What a search needs of a model. A `Seq2Seq` is one. Its numbers are arrays of the library that it names.

    encode: from source tokens (B, S) and lengths (B,) to what the decoder starts from. `attended` of that are the
        weights of the encoder's attentions by name.
    """

    @property
    def arrays(self) -> Arrays: ...
    @property
    def decoder(self) -> "SearchedDecoder": ...
    def encode(self, source: Array, lengths: Array) -> Any: ...


class SearchedDecoder(Protocol):
    """What a search needs of a decoder (`model.decoder.Decoder`)."""

    def cross_attention(self) -> Mapping[str, object]: ...
    def start(self, encoded: Any) -> Any: ...
    def step(self, tokens: Array, state: Any) -> Any: ...


@dataclass(frozen=True)
class SearchStep:
    """What a callback sees of one step, before finished sentences leave the batch.

    length: how many tokens the hypotheses have now. step: what the decoder gave, with the weights of every attention.
    encoded: what the encoder gave. groups: the sentences at work, by their place in `sources`, with their place in
    `choice`. complete: the hypotheses of the sentences that are done with this step.
    """

    length: int
    step: Any
    encoded: Any
    groups: dict[int, int]
    choice: Choice
    complete: dict[int, list[Hypothesis]]
    trail: Trail
    length_penalty: float

    def best(self, sentence: int) -> Hypothesis:
        """Return the answer of a sentence that is complete, else its best open hypothesis as far as it is written."""
        if sentence in self.complete:
            return self.complete[sentence][0]
        group, choice = self.groups[sentence], self.choice
        place = int(choice.stay[group, 0])
        row, token, log_prob = (x[group, place].item() for x in (choice.rows, choice.tokens, choice.log_probs))
        return self.trail.read(int(row), int(token), log_prob, length_penalty=self.length_penalty)

    def candidates(self, sentence: int, count: int) -> list[tuple[int, float]]:
        """Return the likeliest tokens with their probabilities, where the sentence's best open hypothesis goes on."""
        group, choice = self.groups[sentence], self.choice
        row = choice.rows[group, choice.stay[group, 0]]
        tokens, probabilities = likeliest(self.step.logits[row], count)
        return list(zip(tokens.tolist(), probabilities.tolist(), strict=True))


def likeliest(logits: Array, count: int) -> tuple[Array, Array]:
    """Return (..., count) tokens and their probabilities, likeliest first, for logits (..., V)."""
    xp = arrays_of(logits)
    logits = xp.floats(logits) + 0.0  # a copy
    logits[..., UNWRITTEN] = -math.inf
    probabilities, tokens = xp.top(xp.softmax(logits), min(count, logits.shape[-1]))
    return tokens, probabilities


OnStep: TypeAlias = Callable[[SearchStep], None]
Cancelled: TypeAlias = Callable[[], bool]


def decode(
    model: Searched,
    sources: Sequence[Sequence[int]],
    strategy: Strategy | None = None,
    *,
    prefix: Sequence[Sequence[int]] | None = None,
    constraint: "Constraint | None" = None,
    max_lengths: Sequence[int] | None = None,
    length_penalty: float = 1.0,
    on_step: OnStep | None = None,
    cancelled: Cancelled | None = None,
) -> list[list[Hypothesis]]:
    """Return the hypotheses of each source (token ids without eos), best first, at most `strategy.width` of each.

    prefix: for each source, the tokens its translation begins with. They count in the score like any others.
    constraint: what may be written next.
    max_lengths: after how many tokens each translation is cut off, `max_target_length` by default.
    on_step: is shown every step. cancelled: is asked at every step. CancelledSearch is raised where it says so.

    A sentence leaves the batch when it has `width` finished hypotheses and no open one outranks the worst of them.
    At its maximal length it also leaves, and open hypotheses count as finished.
    Raises UsageError for a source that no translation satisfies, naming what is in the way.
    """
    if not sources:
        return []
    strategy = strategy or Greedy()
    prefixes = [()] * len(sources) if prefix is None else prefix
    if max_lengths is None:
        max_lengths = [max_target_length(len(source)) + len(p) for source, p in zip(sources, prefixes, strict=True)]
    _check(strategy, constraint, prefixes, max_lengths)
    with model.arrays.inference():
        xp, choose, width = model.arrays, strategy.start(sources), strategy.width
        forced = None if prefix is None else xp.of(_forced(prefix))
        source, lengths = padded(sources, xp)
        encoded = model.encode(source, lengths)
        state = model.decoder.start(encoded)
        tokens = xp.full((len(sources),), SPECIAL.bos)
        totals = xp.full((len(sources), 1), 0.0)
        limits, shortest = xp.of(list(max_lengths)), min(max_lengths)
        written = None if constraint is None else constraint.start(len(sources), xp)
        found: list[list[Hypothesis]] = [[] for _ in sources]
        done = [False] * len(sources)
        sentences = list(range(len(sources)))  # which sentence each group of rows decodes
        trail = Trail()
        for length in range(1, max(max_lengths) + 1):
            raise_if_cancelled(cancelled)
            step = model.decoder.step(tokens, state)
            logits = xp.floats(step.logits)
            logits[:, UNWRITTEN] = -math.inf
            banned = missing = None
            if constraint is not None:
                per_row = len(logits) // len(sentences)
                banned = constraint.banned(written, xp.repeat(limits - length, per_row))
                missing = constraint.missing(written)
            if forced is not None and length <= forced.shape[1]:
                banned = _only(forced[sentences, length - 1], banned, logits)
            choice = choose(Situation(logits, totals, sentences, banned, missing))

            for group, row, token, log_prob in _ended(choice, limits <= length if length >= shortest else None):
                if not done[sentence := sentences[group]]:  # else it has not left yet
                    hypothesis = trail.read(row, token, log_prob, length_penalty=length_penalty)
                    found[sentence] = sorted([*found[sentence], hypothesis], key=lambda each: -each.score)
            working = [group for group, sentence in enumerate(sentences) if not done[sentence]]
            going: list[int] = []
            best_open = choice.open_totals[:, 0].tolist()
            for group in working:
                hypotheses = found[sentence := sentences[group]]
                del hypotheses[width:]
                if best_open[group] == -math.inf or length >= max_lengths[sentence]:
                    done[sentence] = True
                elif len(hypotheses) == width:  # and no open one outranks the worst of them
                    done[sentence] = hypotheses[-1].score >= ranking_score(best_open[group], length, length_penalty)
                if not done[sentence]:
                    going.append(group)
            if on_step is not None:
                groups = {sentences[group]: group for group in working}
                complete = {sentence: found[sentence] for sentence in groups if done[sentence] and found[sentence]}
                on_step(SearchStep(length, step, encoded, groups, choice, complete, trail, length_penalty))

            if not going:
                break
            rows, tokens, log_probs = choice.staying()
            totals, kept = choice.open_totals, None
            if should_compact(len(going), len(sentences)):
                kept = xp.of(going)
                rows, tokens, log_probs, totals, limits = (x[kept] for x in (rows, tokens, log_probs, totals, limits))
                sentences = [sentences[group] for group in going]
            rows, tokens, log_probs = rows.flatten(), tokens.flatten(), log_probs.flatten()
            state = step.state
            del step, choice  # their tensors are not held while the next step is computed
            if width == 1:
                state = state if kept is None else state.select(kept)
            elif length == 1:  # one row a sentence so far
                state = (state if kept is None else state.select(kept)).repeat(width)
            else:
                state = state.reorder(rows) if kept is None else state.select(rows)
            if constraint is not None:
                written = constraint.advance(written, rows, tokens)
            trail.append(rows, tokens, log_probs)
    for source, hypotheses in zip(sources, found, strict=True):
        if not hypotheses:
            raise UsageError(
                f"every translation found for a source of {len(source)} tokens breaks a constraint.",
                hint="Raise the maximal length or the size of the beam, or ask for less.",
                code="E_CONSTRAINT",
            )
    return found


def raise_if_cancelled(cancelled: Cancelled | None) -> None:
    """Raise CancelledSearch where somebody says so."""
    if cancelled is not None and cancelled():
        raise CancelledSearch("the translation was cancelled.")


def max_target_length(source_length: int) -> int:
    """Return after how many tokens a translation is cut off: generous, so that only runaway ones are."""
    return 3 * source_length + 10


def padded(sentences: Sequence[Sequence[int]], arrays: Arrays) -> tuple[Array, Array]:
    """Return (B, S) ids with eos, padded, and lengths (B,) with eos counted, for ids without eos."""
    lengths = [len(sentence) + 1 for sentence in sentences]
    ids = np.full((len(sentences), max(lengths)), SPECIAL.pad, dtype=np.int64)
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = sentence
        row[len(sentence)] = SPECIAL.eos
    return arrays.of(ids), arrays.of(lengths)


def _ended(choice: Choice, at_limit: Array | None) -> list[tuple[int, int, int, float]]:
    """Return group, row, token and log-probability of what is finished.

    at_limit: (G,), True where what is open counts as finished, too. None where no group is at its limit.
    """
    ends = choice.ends
    if at_limit is not None:
        alive = (choice.open_totals > -math.inf) & at_limit[:, None]  # (G, K)
        places = arrays_of(ends).arange(ends.shape[1])
        ends = ends | ((choice.stay[:, :, None] == places) & alive[:, :, None]).any(axis=1)
    groups = arrays_of(ends).nonzero(ends)[0].tolist()
    if not groups:
        return []
    chosen = (x[ends].tolist() for x in (choice.rows, choice.tokens, choice.log_probs))
    return list(zip(groups, *chosen, strict=True))


def _forced(prefixes: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Return (B, P), the token that each sentence must write at each place, -1 where it is free."""
    forced = np.full((len(prefixes), max(map(len, prefixes))), -1, dtype=np.int64)
    for row, prefix in zip(forced, prefixes, strict=True):
        row[: len(prefix)] = prefix
    return forced


def _only(forced: Array, banned: Array | None, logits: Array) -> Array:
    """Return (R, V), True for all but the forced tokens (G,) of the groups that have one, else `banned`."""
    xp = arrays_of(logits)
    forced = xp.repeat(forced, len(logits) // len(forced))[:, None]
    others = forced != xp.arange(logits.shape[1])
    return xp.where(forced < 0, xp.full(others.shape, False) if banned is None else banned, others)


def _check(
    strategy: Strategy,
    constraint: "Constraint | None",
    prefixes: Sequence[Sequence[int]],
    max_lengths: Sequence[int],
) -> None:
    """Raise UsageError for what cannot be satisfied, before anything is computed."""
    for index, (prefix, limit) in enumerate(zip(prefixes, max_lengths, strict=True)):
        if limit < 1 or len(prefix) > limit:
            raise UsageError(
                f"a translation of at most {limit:,} tokens cannot begin with {len(prefix):,} given ones.",
                hint="Raise the maximal length.",
            )
        if constraint is not None:
            constraint.only([index]).check(prefix, limit)
    if constraint is not None and constraint.requires and not strategy.keeps_progress:
        raise UsageError(
            "phrases that must appear need a beam: one hypothesis alone would write them only when forced to.",
            hint="Take a beam of 5 or more.",
        )

"""The one decoding loop: a batch of sources, a strategy, and by composition a prefix, a constraint and onlookers.

At every step the decoder runs once for all open hypotheses, the strategy chooses, and finished sentences leave the
batch. Search over many sources, sorted and in batches, is `batched`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from attentio.errors import CancelledSearch, UsageError
from attentio.model.decoder import Encoded, Step
from attentio.model.seq2seq import Seq2Seq
from attentio.search.hypothesis import Hypothesis, Trail, ranking_score, should_compact
from attentio.search.strategy import Choice, Greedy, Situation, Strategy
from attentio.text.special import SPECIAL

if TYPE_CHECKING:  # loaded only where something is constrained
    from attentio.search.constraint import Constraint

UNWRITTEN = [SPECIAL.pad, SPECIAL.bos]  # never part of a translation


@dataclass(frozen=True)
class SearchStep:
    """What a callback sees of one step, before finished sentences leave the batch.

    length: how many tokens the hypotheses have now. step: what the decoder gave, with the weights of every attention.
    encoded: what the encoder gave. groups: the sentences at work, by their place in `sources`, with their place in
    `choice`. complete: the hypotheses of the sentences that are done with this step.
    """

    length: int
    step: Step[Any]
    encoded: Encoded
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
        row, token, log_prob = (
            x[group, choice.stay[group, 0]].item() for x in (choice.rows, choice.tokens, choice.log_probs)
        )
        return self.trail.read(int(row), int(token), log_prob, length_penalty=self.length_penalty)

    def candidates(self, sentence: int, count: int) -> list[tuple[int, float]]:
        """Return the likeliest tokens with their probabilities, where the sentence's best open hypothesis goes on."""
        group, choice = self.groups[sentence], self.choice
        row = choice.rows[group, choice.stay[group, 0]]
        tokens, probabilities = likeliest(self.step.logits[row], count)
        return list(zip(tokens.tolist(), probabilities.tolist(), strict=True))


def likeliest(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return (..., count) tokens and their probabilities, likeliest first, for logits (..., V)."""
    logits = logits.float().clone()
    logits[..., UNWRITTEN] = -torch.inf
    probabilities, tokens = logits.softmax(dim=-1).topk(min(count, logits.shape[-1]))
    return tokens, probabilities


OnStep: TypeAlias = Callable[[SearchStep], None]
Cancelled: TypeAlias = Callable[[], bool]


@torch.inference_mode()
def decode(
    model: Seq2Seq,
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
    chooser, width = strategy.start(sources), strategy.width
    prefixes = [()] * len(sources) if prefix is None else prefix
    if max_lengths is None:
        max_lengths = [max_target_length(len(source)) + len(p) for source, p in zip(sources, prefixes, strict=True)]
    device = next(model.parameters()).device
    _check(strategy, constraint, prefixes, max_lengths)
    forced = None if prefix is None else _forced(prefixes, device)
    source, lengths = padded(sources, device)
    encoded = model.encode(source, lengths)
    state = model.decoder.start(encoded)
    tokens = source.new_full((len(sources),), SPECIAL.bos)
    totals = torch.zeros(len(sources), 1, device=device)
    limits, shortest = torch.tensor(max_lengths, device=device), min(max_lengths)
    written = None if constraint is None else constraint.start(len(sources), device)
    found: list[list[Hypothesis]] = [[] for _ in sources]
    done = [False] * len(sources)
    sentences = list(range(len(sources)))  # which sentence each group of rows decodes
    trail = Trail()
    for length in range(1, max(max_lengths) + 1):
        if cancelled is not None and cancelled():
            raise CancelledSearch("the translation was cancelled.")
        step = model.decoder.step(tokens, state)
        logits = step.logits.float()
        logits[:, UNWRITTEN] = -torch.inf
        banned = missing = None
        if constraint is not None:
            per_row = len(logits) // len(sentences)
            banned = constraint.banned(written, (limits - length).repeat_interleave(per_row))
            missing = constraint.missing(written)
        if forced is not None and length <= forced.shape[1]:
            banned = _only(forced[sentences, length - 1], banned, logits)
        choice = chooser.choose(Situation(logits, totals, sentences, banned, missing))

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
            if best_open[group] == -torch.inf or length >= max_lengths[sentence]:
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
            kept = torch.tensor(going, device=device)
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
    _check_found(sources, found)
    return found


def max_target_length(source_length: int) -> int:
    """Return after how many tokens a translation is cut off: generous, so that only runaway ones are."""
    return 3 * source_length + 10


def padded(sentences: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return (B, S) ids with eos, padded, and lengths (B,) with eos counted, for ids without eos."""
    lengths = [len(sentence) + 1 for sentence in sentences]
    ids = np.full((len(sentences), max(lengths)), SPECIAL.pad, dtype=np.int64)
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = sentence
        row[len(sentence)] = SPECIAL.eos
    return torch.from_numpy(ids).to(device), torch.tensor(lengths, device=device)


def _ended(choice: Choice, at_limit: Tensor | None) -> list[tuple[int, int, int, float]]:
    """Return group, row, token and log-probability of what is finished.

    at_limit: (G,), True where what is open counts as finished, too. None where no group is at its limit.
    """
    ends = choice.ends
    if at_limit is not None:
        alive = (choice.open_totals > -torch.inf) & at_limit[:, None]
        ends = ends | torch.zeros_like(ends).scatter(1, choice.stay, alive)
    groups = ends.nonzero()[:, 0].tolist()
    if not groups:
        return []
    chosen = (x[ends].tolist() for x in (choice.rows, choice.tokens, choice.log_probs))
    return list(zip(groups, *chosen, strict=True))


def _forced(prefixes: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Return (B, P), the token that each sentence must write at each place, -1 where it is free."""
    forced = np.full((len(prefixes), max(map(len, prefixes))), -1, dtype=np.int64)
    for row, prefix in zip(forced, prefixes, strict=True):
        row[: len(prefix)] = prefix
    return torch.from_numpy(forced).to(device)


def _only(forced: Tensor, banned: Tensor | None, logits: Tensor) -> Tensor:
    """Return (R, V), True for all but the forced tokens (G,) of the groups that have one, else `banned`."""
    forced = forced.repeat_interleave(len(logits) // len(forced))[:, None]
    others = forced != torch.arange(logits.shape[1], device=logits.device)
    return torch.where(forced < 0, torch.zeros_like(others) if banned is None else banned, others)


def _check(
    strategy: Strategy,
    constraint: "Constraint | None",
    prefixes: Sequence[Sequence[int]],
    max_lengths: Sequence[int],
) -> None:
    """Raise UsageError for what cannot be satisfied, before anything is computed."""
    for prefix, limit in zip(prefixes, max_lengths, strict=True):
        if limit < 1 or len(prefix) > limit:
            raise UsageError(
                f"a translation of at most {limit:,} tokens cannot begin with {len(prefix):,} given ones.",
                hint="Raise the maximal length.",
            )
        if constraint is not None:
            constraint.check(prefix, limit)
    if constraint is not None and constraint.requires and not strategy.keeps_progress:
        raise UsageError(
            "phrases that must appear need a beam: one hypothesis alone would write them only when forced to.",
            hint="Take a beam of 5 or more.",
        )


def _check_found(sources: Sequence[Sequence[int]], found: list[list[Hypothesis]]) -> None:
    for source, hypotheses in zip(sources, found, strict=True):
        if not hypotheses:
            raise UsageError(
                f"every translation found for a source of {len(source)} tokens breaks a constraint.",
                hint="Raise the maximal length or the size of the beam, or ask for less.",
                code="E_CONSTRAINT",
            )

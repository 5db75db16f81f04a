"""Strategies: which continuations a search takes at one step. Greedy, beam search, and sampling.

A strategy is settings and holds nothing of a search. `start` gives the function that chooses, step by step, for one
batch of sources. The loop around it, which ends sentences and moves the decoder's state, is `decode`.
"""

import hashlib
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np

from attentio.errors import UsageError
from attentio.runtime.arrays import Array, arrays_of
from attentio.text.special import SPECIAL

LAST = 2**63 - 1  # the turn of what is impossible
_NOTHING = -math.inf


class Situation(NamedTuple):
    """What a chooser is given: G sentences with W open hypotheses each, in G W rows of the decoder's batch.

    logits: (G W, V), -inf for tokens that are never written.
    totals: (G, W) log-probability of each hypothesis so far, -inf where there is none.
    sentences: which source each of the G groups translates.
    banned: (G W, V), True for tokens that a constraint does not allow here. None: all are allowed.
    missing: (G W, V), how many tokens the required phrases still take after each token. None: none are required.
    """

    logits: Array
    totals: Array
    sentences: Sequence[int]
    banned: Array | None = None
    missing: Array | None = None


class Choice(NamedTuple):
    """What a chooser takes: C continuations of each of G sentences, of which K stay open.

    rows: (G, C) the decoder row that is continued. tokens, log_probs: (G, C) how. totals: (G, C), -inf for none.
    ends: (G, C) whether the continuation is a finished hypothesis.
    stay: (G, K) which of the C stay open, best first. open_totals: (G, K) their totals, -inf for none.
    """

    rows: Array
    tokens: Array
    log_probs: Array
    totals: Array
    ends: Array
    stay: Array
    open_totals: Array

    def staying(self) -> tuple[Array, Array, Array]:
        """Return rows, tokens and log-probabilities, (G, K) each, of what stays open."""
        if self.tokens.shape[1] == 1:  # all there is: nothing to gather
            return self.rows, self.tokens, self.log_probs
        take = arrays_of(self.tokens).take
        rows, tokens, log_probs = (take(x, self.stay) for x in (self.rows, self.tokens, self.log_probs))
        return rows, tokens, log_probs


Choose: TypeAlias = Callable[[Situation], Choice]


class Strategy(ABC):
    """`width`: how many hypotheses of a sentence are open at once, and how many are returned."""

    @property
    def width(self) -> int:
        return 1

    @property
    def keeps_progress(self) -> bool:
        """Whether hypotheses that have written more of a required phrase have places of their own."""
        return False

    @abstractmethod
    def start(self, sources: Sequence[Sequence[int]]) -> Choose:
        """Return what chooses for a batch of sources."""


@dataclass(frozen=True)
class Greedy(Strategy):
    """Take the likeliest token at every step."""

    def start(self, sources: Sequence[Sequence[int]]) -> Choose:
        return self.choose

    @staticmethod
    def choose(given: Situation) -> Choice:
        """Return the likeliest token of each sentence."""
        xp = arrays_of(given.logits)
        best, tokens = xp.best(_allowed(given.logits, given.banned))
        return _one_each(given, tokens, best - xp.logsumexp(given.logits))


@dataclass(frozen=True)
class Sample(Strategy):
    """Draw each token from the model's distribution, sharpened or flattened by `temperature` and cut.

    top_k: only the k likeliest tokens (Fan 2018). top_p: only the likeliest tokens that together have this probability
    (Holtzman 2020). The same `seed` and source give the same answer, whatever else is in the batch.
    Raises UsageError for settings out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UsageError(f"a temperature of {self.temperature} makes no sense: it must be above 0.")
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top-k of {self.top_k} leaves no token: it must be at least 1.")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top-p of {self.top_p} makes no sense: it is a probability above 0, at most 1.")

    def start(self, sources: Sequence[Sequence[int]]) -> Choose:
        return partial(self._draw, [self._generator(source) for source in sources])

    def _generator(self, source: Sequence[int]) -> random.Random:
        """Return the random numbers of one sentence: its own, so that a batch's company changes nothing."""
        digest = hashlib.sha256(repr((self.seed, [int(token) for token in source])).encode()).digest()
        return random.Random(int.from_bytes(digest[:8], "little"))

    def _draw(self, generators: Sequence[random.Random], given: Situation) -> Choice:
        logits, xp = given.logits, arrays_of(given.logits)
        scores = _allowed(logits, given.banned) / self.temperature
        tokens = xp.order(scores, descending=True)
        values = xp.floats(xp.take(scores, tokens[:, : self.top_k]), double=True)
        probabilities = xp.softmax(values)
        if self.top_p < 1:
            before = probabilities.cumsum(-1) - probabilities
            probabilities = xp.where(before >= self.top_p, 0.0, probabilities)
        reached = probabilities.cumsum(-1)
        drawn = xp.of(np.array([generators[sentence].random() for sentence in given.sentences]))
        place = (reached <= drawn[:, None] * reached[:, -1:]).sum(axis=-1)[:, None]
        chosen = xp.take(tokens, place.clip(max=reached.shape[1] - 1))
        log_probs = xp.take(logits, chosen)[:, 0] - xp.logsumexp(logits)
        return _one_each(given, chosen[:, 0], xp.where(values[:, 0] == _NOTHING, _NOTHING, log_probs))


@dataclass(frozen=True)
class Beam(Strategy):
    """Keep the `size` best hypotheses of each sentence open.

    At every step their 2 `size` likeliest continuations are considered. Those among the first `size` that end are
    finished, and the likeliest that do not end stay open.

    Where phrases are required, the places are shared out by how much of them is still missing. This is dynamic beam
    allocation (Post & Vilar 2018). First comes the best hypothesis of each stage, then the second of each, and so on.
    The stages that miss least come first.
    """

    size: int = 5

    @property
    def width(self) -> int:
        return self.size

    @property
    def keeps_progress(self) -> bool:
        return True

    def start(self, sources: Sequence[Sequence[int]]) -> Choose:
        return self.choose

    def choose(self, given: Situation) -> Choice:
        """Return the likeliest continuations of each sentence."""
        if given.missing is not None:
            return self._share_out(given, given.missing)
        xp, beam, (groups, width) = arrays_of(given.logits), self.size, given.totals.shape
        size = given.logits.shape[-1]
        norms = xp.logsumexp(given.logits).reshape(groups, width)
        allowed, wide = _allowed(given.logits, given.banned), min(2 * beam, width * size)
        totals, place = xp.top_sums(allowed, given.totals - norms, wide)  # (G, 2K)
        if totals.shape[1] < beam:  # fewer continuations than hypotheses: the others are impossible
            totals, place = _padded(totals, beam, _NOTHING), _padded(place, beam, 0)
        tokens, row = place % size, place // size
        rows = row + width * xp.arange(groups)[:, None]
        log_probs = given.logits[rows, tokens] - xp.take(norms, row)
        ending = tokens == SPECIAL.eos
        # The likeliest K that do not end, in order of likelihood.
        stay = xp.order(xp.where(ending, 1, 0))[:, :beam]  # (G, K)
        open_totals = xp.take(xp.where(ending, _NOTHING, totals), stay)
        ends = ending & (totals > _NOTHING)
        ends[:, beam:] = False
        return Choice(rows, tokens, log_probs, totals, ends, stay, open_totals)

    def _share_out(self, given: Situation, missing: Array) -> Choice:
        xp, beam, (groups, width), size = arrays_of(missing), self.size, given.totals.shape, given.logits.shape[-1]
        likely = _allowed(xp.log_softmax(given.logits), given.banned)  # (G W, V)
        continued = (given.totals.reshape(-1, 1) + likely).reshape(groups, width * size)
        stage = missing.reshape(groups, width * size)
        possible = stage[continued > _NOTHING]
        num_stages = int(possible.max()) + 1 if len(possible) else 1
        wide = min(2 * beam, width * size)
        best = [xp.top(xp.where(stage != number, _NOTHING, continued), wide) for number in range(num_stages)]
        totals, place = (xp.stack(found, axis=1) for found in zip(*best, strict=True))  # (G, stages, 2K) each
        ending = place % size == SPECIAL.eos
        rank = (~ending).cumsum(-1) - 1  # among those of the stage that do not end
        turn = rank * num_stages + xp.arange(num_stages)[:, None]
        turn = xp.where(ending | (totals == _NOTHING), LAST, turn).reshape(groups, -1)
        ends = ending & (totals > _NOTHING)
        ends[:, :, beam:] = False
        ends, totals, place = (x.reshape(groups, -1) for x in (ends, totals, place))
        tokens = place % size
        rows = place // size + width * xp.arange(groups)[:, None]
        log_probs = xp.take(likely.reshape(groups, width * size), place)
        if turn.shape[1] < beam:  # fewer continuations than hypotheses: the others are impossible
            turn, rows, tokens = _padded(turn, beam, LAST), _padded(rows, beam, 0), _padded(tokens, beam, 0)
            totals, log_probs = (_padded(x, beam, _NOTHING) for x in (totals, log_probs))
            ends = _padded(ends, beam, False)
        taken = xp.order(turn)[:, :beam]
        open_totals = xp.where(xp.take(turn, taken) == LAST, _NOTHING, xp.take(totals, taken))
        order = xp.order(open_totals, descending=True)
        stay, open_totals = xp.take(taken, order), xp.take(open_totals, order)
        return Choice(rows, tokens, log_probs, totals, ends, stay, open_totals)


def _allowed(scores: Array, banned: Array | None) -> Array:
    return scores if banned is None else arrays_of(scores).where(banned, _NOTHING, scores)


def _padded(rows: Array, size: int, value: bool | int | float) -> Array:
    """Return rows (G, N) with `value` behind them, (G, size)."""
    xp = arrays_of(rows)
    return xp.concat([rows, xp.full((len(rows), size - rows.shape[1]), value)], axis=1)


def _one_each(given: Situation, tokens: Array, log_probs: Array) -> Choice:
    """Return the choice of one token for each sentence, tokens (G,) and log_probs (G,)."""
    xp = arrays_of(tokens)
    tokens, log_probs = tokens[:, None], log_probs[:, None]
    totals, ending = given.totals + log_probs, tokens == SPECIAL.eos
    ends = ending if given.banned is None else ending & (totals > _NOTHING)
    rows = xp.arange(len(tokens))[:, None]
    return Choice(rows, tokens, log_probs, totals, ends, 0 * rows, xp.where(ending, _NOTHING, totals))

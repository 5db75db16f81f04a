"""Strategies: which continuations a search takes at one step. Greedy, beam search, and sampling.

A strategy is settings and holds nothing of a search. `start` gives the chooser of one batch of sources. The loop around
it, which ends sentences and moves the decoder's state, is `decode`.
"""

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.errors import UsageError
from attentio.text.special import SPECIAL

LAST = torch.iinfo(torch.int64).max  # the turn of what is impossible


class Situation(NamedTuple):
    """What a chooser is given: G sentences with W open hypotheses each, in G W rows of the decoder's batch.

    logits: (G W, V), -inf for tokens that are never written.
    totals: (G, W) log-probability of each hypothesis so far, -inf where there is none.
    sentences: which source each of the G groups translates.
    banned: (G W, V), True for tokens that a constraint does not allow here. None: all are allowed.
    missing: (G W, V), how many tokens the required phrases still take after each token. None: none are required.
    """

    logits: Tensor
    totals: Tensor
    sentences: Sequence[int]
    banned: Tensor | None = None
    missing: Tensor | None = None


class Choice(NamedTuple):
    """What a chooser takes: C continuations of each of G sentences, of which K stay open.

    rows: (G, C) the decoder row that is continued. tokens, log_probs: (G, C) how. totals: (G, C), -inf for none.
    ends: (G, C) whether the continuation is a finished hypothesis.
    stay: (G, K) which of the C stay open, best first. open_totals: (G, K) their totals, -inf for none.
    """

    rows: Tensor
    tokens: Tensor
    log_probs: Tensor
    totals: Tensor
    ends: Tensor
    stay: Tensor
    open_totals: Tensor

    def staying(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows, tokens and log-probabilities, (G, K) each, of what stays open."""
        if self.tokens.shape[1] == 1:  # all there is: nothing to gather
            return self.rows, self.tokens, self.log_probs
        rows, tokens, log_probs = (x.gather(1, self.stay) for x in (self.rows, self.tokens, self.log_probs))
        return rows, tokens, log_probs


class Chooser(Protocol):
    """Choose continuations, step by step, for one batch of sources."""

    def choose(self, given: Situation) -> Choice:
        """Return the continuations that are taken at this step."""
        ...


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
    def start(self, sources: Sequence[Sequence[int]]) -> Chooser:
        """Return the chooser for a batch of sources."""


@dataclass(frozen=True)
class Greedy(Strategy):
    """Take the likeliest token at every step."""

    def start(self, sources: Sequence[Sequence[int]]) -> Chooser:
        return self

    def choose(self, given: Situation) -> Choice:
        """Return the likeliest token of each sentence."""
        best, tokens = _allowed(given.logits, given.banned).max(dim=-1)
        return _one_each(given, tokens, best - given.logits.logsumexp(dim=-1))


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

    def start(self, sources: Sequence[Sequence[int]]) -> Chooser:
        return _Sampling(self, [self._generator(source) for source in sources])

    def _generator(self, source: Sequence[int]) -> random.Random:
        """Return the random numbers of one sentence: its own, so that a batch's company changes nothing."""
        digest = hashlib.sha256(repr((self.seed, [int(token) for token in source])).encode()).digest()
        return random.Random(int.from_bytes(digest[:8], "little"))


class _Sampling:
    def __init__(self, settings: Sample, generators: Sequence[random.Random]) -> None:
        self.settings = settings
        self.generators = generators

    def choose(self, given: Situation) -> Choice:
        """Return one token of each sentence, drawn."""
        logits, settings = given.logits, self.settings
        scores = _allowed(logits, given.banned) / settings.temperature
        values, tokens = scores.sort(dim=-1, descending=True, stable=True)
        values = values[:, : settings.top_k].double()
        probabilities = values.softmax(dim=-1)
        if settings.top_p < 1:
            before = probabilities.cumsum(dim=-1) - probabilities
            probabilities = probabilities.masked_fill(before >= settings.top_p, 0.0)
        reached = probabilities.cumsum(dim=-1)
        drawn = torch.tensor([self.generators[sentence].random() for sentence in given.sentences], dtype=torch.float64)
        place = (reached <= drawn.to(reached.device)[:, None] * reached[:, -1:]).sum(dim=-1, keepdim=True)
        chosen = tokens.gather(1, place.clamp(max=reached.shape[1] - 1))
        log_probs = logits.gather(1, chosen)[:, 0] - logits.logsumexp(dim=-1)
        return _one_each(given, chosen[:, 0], log_probs.masked_fill(values[:, 0] == -torch.inf, -torch.inf))


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

    def start(self, sources: Sequence[Sequence[int]]) -> Chooser:
        return self

    def choose(self, given: Situation) -> Choice:
        """Return the likeliest continuations of each sentence."""
        if given.missing is not None:
            return self._share_out(given, given.missing)
        beam, (groups, width) = self.size, given.totals.shape
        wide = min(2 * beam, given.logits.shape[-1])
        # The 2K likeliest continuations of a sentence are among the 2K likeliest of each of its rows.
        likely = given.logits.log_softmax(dim=-1)
        row_best, row_tokens = _allowed(likely, given.banned).topk(wide, dim=-1)  # (G W, 2K)
        continued = (given.totals.view(-1, 1) + row_best).view(groups, width * wide)
        totals, place = continued.topk(min(2 * beam, width * wide), dim=-1)  # (G, 2K)
        if totals.shape[1] < beam:  # fewer continuations than hypotheses: the others are impossible
            missing = 0, beam - totals.shape[1]
            totals, place = F.pad(totals, missing, value=-torch.inf), F.pad(place, missing)
        tokens, log_probs = (x.view(groups, width * wide).gather(1, place) for x in (row_tokens, row_best))
        rows = place // wide + torch.arange(0, groups * width, width, device=place.device)[:, None]
        ending = tokens == SPECIAL.eos
        # The likeliest K that do not end, in order of likelihood.
        stay = ending.to(torch.uint8).sort(dim=-1, stable=True).indices[:, :beam]  # (G, K)
        open_totals = totals.masked_fill(ending, -torch.inf).gather(1, stay)
        ends = ending & (totals > -torch.inf)
        ends[:, beam:] = False
        return Choice(rows, tokens, log_probs, totals, ends, stay, open_totals)

    def _share_out(self, given: Situation, missing: Tensor) -> Choice:
        beam, (groups, width), size = self.size, given.totals.shape, given.logits.shape[-1]
        likely = _allowed(given.logits.log_softmax(dim=-1), given.banned)  # (G W, V)
        continued = (given.totals.view(-1, 1) + likely).view(groups, width * size)
        stage = missing.view(groups, width * size)
        possible = stage[continued > -torch.inf]
        num_stages = int(possible.max()) + 1 if possible.numel() else 1
        wide = min(2 * beam, width * size)
        best = [continued.masked_fill(stage != number, -torch.inf).topk(wide, dim=-1) for number in range(num_stages)]
        totals = torch.stack([found.values for found in best], dim=1)  # (G, stages, 2K)
        place = torch.stack([found.indices for found in best], dim=1).flatten(1)
        tokens = place % size
        rows = place // size + torch.arange(0, groups * width, width, device=place.device)[:, None]
        log_probs = likely.view(groups, width * size).gather(1, place)
        ending = tokens.view_as(totals) == SPECIAL.eos
        rank = (~ending).cumsum(dim=-1) - 1  # among those of the stage that do not end
        turn = rank * num_stages + torch.arange(num_stages, device=place.device)[:, None]
        turn = turn.masked_fill(ending | (totals == -torch.inf), LAST).flatten(1)
        ends = ending & (totals > -torch.inf)
        ends[:, :, beam:] = False
        ends, totals = ends.flatten(1), totals.flatten(1)
        if turn.shape[1] < beam:  # fewer continuations than hypotheses: the others are impossible
            more = 0, beam - turn.shape[1]
            turn, rows, tokens = (
                F.pad(turn, more, value=LAST),
                F.pad(rows, more),
                F.pad(tokens, more),
            )
            totals, log_probs = (F.pad(x, more, value=-torch.inf) for x in (totals, log_probs))
            ends = F.pad(ends, more)
        turns, taken = turn.topk(beam, dim=-1, largest=False)
        open_totals = totals.gather(1, taken).masked_fill(turns == LAST, -torch.inf)
        open_totals, order = open_totals.sort(dim=-1, descending=True, stable=True)
        return Choice(rows, tokens, log_probs, totals, ends, taken.gather(1, order), open_totals)


def _allowed(scores: Tensor, banned: Tensor | None) -> Tensor:
    return scores if banned is None else scores.masked_fill(banned, -torch.inf)


def _one_each(given: Situation, tokens: Tensor, log_probs: Tensor) -> Choice:
    """Return the choice of one token for each sentence, tokens (G,) and log_probs (G,)."""
    tokens, log_probs = tokens[:, None], log_probs[:, None]
    totals, ending = given.totals + log_probs, tokens == SPECIAL.eos
    ends = ending if given.banned is None else ending & (totals > -torch.inf)
    rows = torch.arange(len(tokens), device=tokens.device)[:, None]
    stay = rows.new_zeros(1, 1).expand_as(rows)
    return Choice(rows, tokens, log_probs, totals, ends, stay, totals.masked_fill(ending, -torch.inf))

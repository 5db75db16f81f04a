"""Constraints: what a search may write next, given what it has written.

A constraint is a table or a rule. What it remembers of each hypothesis is a state that travels with the rows of the
decoder's batch. `start` makes it, and `advance` brings it up to date. Constraints only forbid tokens. They never
change the probability of those that are left.
"""

import operator
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attentio.errors import UsageError
from attentio.runtime.arrays import NUMPY, Array, Arrays, arrays_of
from attentio.text.special import SPECIAL

MOST_REQUIRED = 10  # phrases: the table of what is still missing doubles with each
NEVER = 1 << 30  # more tokens than any translation has


class Constraint(ABC):
    """What every constraint offers. R rows of the decoder's batch, V tokens of the vocabulary.

    `requires`: whether something must be written, so that `missing` says how much of it is not.
    `stops_loops_only`: whether an answer that it does not forbid is the answer without it.
    """

    requires = False
    stops_loops_only = False

    @abstractmethod
    def start(self, rows: int, arrays: Arrays) -> Any:
        """Return the state before the first token."""

    @abstractmethod
    def advance(self, state: Any, rows: Array, tokens: Array) -> Any:
        """Return the state after `tokens` (N,), written after those of the rows `rows` (N,) of `state`."""

    @abstractmethod
    def banned(self, state: Any, left: Array) -> Array | None:
        """Return (R, V), True where a token may not be written, for the tokens `left` (R,) that may follow it.

        None where every token may be written.
        """

    def missing(self, state: Any) -> Array | None:
        """Return (R, V), the fewest tokens that required phrases take after each token, None where none are."""
        return None

    def check(self, prefix: Sequence[int], max_length: int) -> None:
        """Raise UsageError where no translation of at most `max_length` tokens that begins with `prefix` is left."""
        return

    def only(self, indices: Sequence[int]) -> "Constraint":
        """Return the constraint of some of the sentences. Most ask the same of each."""
        return self


class NoRepeat(Constraint):
    """No `size` tokens in a row stand in a translation twice (Paulus 2018)."""

    def __init__(self, size: int, vocab_size: int) -> None:
        if size < 1:
            raise UsageError(f"no-repeat of {size} makes no sense: it is a number of tokens, at least 1.")
        self.size = size
        self.vocab_size = vocab_size

    def start(self, rows: int, arrays: Arrays) -> Array:
        """Return (R, 0): nothing is written."""
        return arrays.full((rows, 0), 0)

    def advance(self, state: Array, rows: Array, tokens: Array) -> Array:
        """Return (N, T + 1): all that is written."""
        return arrays_of(tokens).concat([state[rows], tokens[:, None]], axis=1)

    def banned(self, state: Array, left: Array) -> Array:
        """Return (R, V), True for each token that followed the last size - 1 tokens before."""
        xp = arrays_of(state)
        banned = xp.full((len(state), self.vocab_size), False)
        length, before = state.shape[1], self.size - 1
        if length < self.size:
            return banned
        followers = state[:, before:]  # (R, L), each after a window of `before` tokens
        same = xp.full(followers.shape, True)
        for offset in range(before):
            same &= state[:, offset : offset + followers.shape[1]] == state[:, length - before + offset, None]
        row, place = xp.nonzero(same)
        banned[row, followers[row, place]] = True
        return banned


class PhraseState(NamedTuple):
    """node: (R,) how far the phrases are written. met: (R,) the set of required phrases written, one bit each."""

    node: Array
    met: Array


class Phrases(Constraint):
    """Phrases that must stand in a translation, and phrases that must not, by one automaton (Aho & Corasick 1975).

    A phrase is a sequence of symbols, and `symbols` says which symbols each token writes. So a phrase counts however it
    is cut into tokens. States are pairs of a node and the set of phrases met (as in Anderson 2017). They say how many
    tokens a hypothesis still needs. A token after which too few are left is not allowed.

    closing: for each required phrase, symbols of which one must follow it, unless it ends the translation. None are
    needed where they are empty.
    """

    def __init__(
        self,
        symbols: Sequence[Sequence[int]],
        require: Sequence[Sequence[int]],
        forbid: Sequence[Sequence[int]],
        closing: Sequence[Sequence[int]] = (),
    ) -> None:
        if len(require) > MOST_REQUIRED:
            raise UsageError(f"{len(require)} phrases are required, and at most {MOST_REQUIRED} can be.")
        if not all(map(len, (*require, *forbid))):
            raise UsageError("a phrase that must or must not appear is empty.")
        automaton = _Automaton.of(require, forbid, closing or [()] * len(require))
        follow, met, bad = automaton.over_tokens(symbols)
        self.needed = _fewest_tokens(follow, met, bad, 1 << len(require))  # (nodes, sets)
        self.requires = len(require) > 0
        self._follow, self._met, self._bad = follow, met, bad

    def start(self, rows: int, arrays: Arrays) -> PhraseState:
        nothing = arrays.full((rows,), 0)
        return PhraseState(nothing, nothing)

    def advance(self, state: PhraseState, rows: Array, tokens: Array) -> PhraseState:
        of, node, met = arrays_of(tokens).of, state.node[rows], state.met[rows]
        return PhraseState(of(self._follow)[node, tokens], met | of(self._met)[node, tokens])

    def banned(self, state: PhraseState, left: Array) -> Array:
        """Return (R, V), True for tokens that complete a forbidden phrase or leave too few for the required ones."""
        banned = arrays_of(state.node).of(self._bad)[state.node]
        if self.requires:
            missing = self.missing(state)
            assert missing is not None
            banned = banned | (missing > left[:, None])
            banned[:, SPECIAL.eos] |= missing[:, SPECIAL.eos] > 0
        return banned

    def missing(self, state: PhraseState) -> Array | None:
        if not self.requires:
            return None
        of = arrays_of(state.node).of
        return of(self.needed)[of(self._follow)[state.node], state.met[:, None] | of(self._met)[state.node]]

    def check(self, prefix: Sequence[int], max_length: int) -> None:
        node = met = 0
        for token in prefix:
            if self._bad[node, token]:
                raise UsageError("the prefix holds a phrase that must not appear.", code="E_CONSTRAINT")
            node, met = int(self._follow[node, token]), met | int(self._met[node, token])
        needed = int(self.needed[node, met])
        if needed >= NEVER:
            raise UsageError(
                "no translation can hold all required phrases and none of the forbidden ones.", code="E_CONSTRAINT"
            )
        if needed > max_length - len(prefix):
            raise UsageError(
                f"the required phrases take at least {needed:,} more tokens, and a translation of at most "
                f"{max_length:,} leaves {max(0, max_length - len(prefix)):,}.",
                hint="Raise the maximal length.",
                code="E_CONSTRAINT",
            )


class ExactlyOnce(Constraint):
    """Of the tokens `counted`, each that a sentence wants is written exactly once, and no other is written.

    wanted: those of each sentence. A sentence wants at least one.
    """

    requires = True

    def __init__(self, wanted: Sequence[Sequence[int]], counted: Sequence[int], vocab_size: int) -> None:
        self._counted, self._vocab_size = np.array(counted, dtype=np.int64), vocab_size
        self._wanted = np.array([[token in own for token in counted] for own in wanted])  # (sentences, K)

    def only(self, indices: Sequence[int]) -> "ExactlyOnce":
        tokens = [self._counted[self._wanted[index]].tolist() for index in indices]
        return ExactlyOnce(tokens, self._counted.tolist(), self._vocab_size)

    def start(self, rows: int, arrays: Arrays) -> Array:
        """Return (R, K): what a sentence wants is still wanted."""
        return arrays.of(self._wanted)

    def advance(self, state: Array, rows: Array, tokens: Array) -> Array:
        return state[rows] & (tokens[:, None] != arrays_of(tokens).of(self._counted))

    def banned(self, state: Array, left: Array) -> Array:
        """Return (R, V), True for tokens that are not wanted, and where too few tokens are left for those that are."""
        missing = self.missing(state)
        banned = missing > left[:, None]
        banned[:, arrays_of(state).of(self._counted)] |= ~state
        banned[:, SPECIAL.eos] |= missing[:, SPECIAL.eos] > 0
        return banned

    def missing(self, state: Array) -> Array:
        xp = arrays_of(state)
        missing = state.sum(axis=1)[:, None] + xp.full((len(state), self._vocab_size), 0)
        missing[:, xp.of(self._counted)] -= xp.where(state, 1, 0)
        return missing

    def check(self, prefix: Sequence[int], max_length: int) -> None:
        for wanted in self._wanted:
            if len(set(self._counted[wanted].tolist()) - set(prefix)) > max_length - len(prefix):
                raise UsageError("the wanted tokens do not fit into the maximal length.", code="E_CONSTRAINT")


class AllOf(Constraint):
    """All of several constraints at once."""

    def __init__(self, parts: Sequence[Constraint]) -> None:
        self.parts = parts
        self.requires = any(part.requires for part in parts)
        self.stops_loops_only = all(part.stops_loops_only for part in parts)

    def start(self, rows: int, arrays: Arrays) -> list[Any]:
        return [part.start(rows, arrays) for part in self.parts]

    def advance(self, state: list[Any], rows: Array, tokens: Array) -> list[Any]:
        return [part.advance(own, rows, tokens) for part, own in zip(self.parts, state, strict=True)]

    def banned(self, state: list[Any], left: Array) -> Array | None:
        each = [part.banned(own, left) for part, own in zip(self.parts, state, strict=True)]
        known = [banned for banned in each if banned is not None]
        return reduce(operator.or_, known) if known else None

    def missing(self, state: list[Any]) -> Array | None:
        each = [part.missing(own) for part, own in zip(self.parts, state, strict=True)]
        known = [missing for missing in each if missing is not None]
        return reduce(operator.add, known).clip(max=NEVER) if known else None

    def check(self, prefix: Sequence[int], max_length: int) -> None:
        for part in self.parts:
            part.check(prefix, max_length)

    def only(self, indices: Sequence[int]) -> "AllOf":
        return AllOf([part.only(indices) for part in self.parts])


def broken(constraint: Constraint, written: Sequence[Sequence[int]]) -> list[bool]:
    """Return for each translation whether it has a token that the constraint forbids at its place."""
    found = [False] * len(written)
    if not written:
        return found
    state, rows = constraint.start(len(written), NUMPY), NUMPY.arange(len(written))
    for place in range(max(map(len, written))):
        tokens = NUMPY.of([tokens[place] if place < len(tokens) else SPECIAL.pad for tokens in written])
        banned = constraint.banned(state, NUMPY.full([len(written)], NEVER))
        if banned is not None:
            wrong = banned[rows, tokens].tolist()
            found = [one or (wrong[row] and place < len(written[row])) for row, one in enumerate(found)]
        state = constraint.advance(state, rows, tokens)
    return found


class _Automaton(NamedTuple):
    """Which phrase is how far written: a node for each beginning of a phrase, 0 for none.

    edges: node -> symbol -> the node of the longest beginning that is written after it. None: node 0.
    met: node -> the required phrases that end there, as bits. bad: node -> whether a forbidden one does.
    last: node -> the required phrases that end there where the translation does.
    """

    edges: list[dict[int, int]]
    met: list[int]
    bad: list[bool]
    last: list[int]

    @classmethod
    def of(
        cls, require: Sequence[Sequence[int]], forbid: Sequence[Sequence[int]], closing: Sequence[Sequence[int]]
    ) -> "_Automaton":
        edges: list[dict[int, int]] = [{}]
        met, bad, last = [0], [False], [0]

        def written(phrase: Sequence[int]) -> int:
            """Return the node of a phrase."""
            node = 0
            for symbol in phrase:
                if symbol not in edges[node]:
                    edges[node][symbol] = len(edges)
                    edges.append({})
                    met.append(0)
                    bad.append(False)
                    last.append(0)
                node = edges[node][symbol]
            return node

        for number, (phrase, ends) in enumerate(zip(require, closing, strict=True)):
            last[written(phrase)] |= 1 << number
            for node in [written([*phrase, end]) for end in ends] or [written(phrase)]:
                met[node] |= 1 << number
        for phrase in forbid:
            bad[written(phrase)] = True
        fallback = [0] * len(edges)
        waiting = deque(edges[0].values())
        while waiting:  # by depth: the fallback of a node is complete before the node
            node = waiting.popleft()
            shorter = fallback[node]
            met[node] |= met[shorter]
            bad[node] |= bad[shorter]
            last[node] |= last[shorter]
            for symbol, child in edges[node].items():
                fallback[child] = edges[shorter].get(symbol, 0)
                waiting.append(child)
            edges[node] = edges[shorter] | edges[node]
        return cls(edges, met, bad, last)

    def over_tokens(
        self, symbols: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return (nodes, V) each: the node after a token, the phrases met on the way, whether one was forbidden."""
        names = {symbol: place for place, symbol in enumerate(sorted({s for edge in self.edges for s in edge}), 1)}
        steps = np.zeros((len(self.edges), len(names) + 2), dtype=np.int64)  # a symbol of no phrase leads to node 0
        for node, edge in enumerate(self.edges):
            for symbol, after in edge.items():
                steps[node, names[symbol]] = after
            steps[node, -1] = node  # no symbol is left
        longest = max(map(len, symbols), default=0)
        written = np.full((len(symbols), longest), len(names) + 1, dtype=np.int64)
        for token, spelled in enumerate(symbols):
            written[token, : len(spelled)] = [names.get(symbol, 0) for symbol in spelled]
        met_at, bad_at = np.array(self.met), np.array(self.bad)
        follow = np.repeat(np.arange(len(self.edges))[:, None], len(symbols), axis=1)
        met, bad = np.zeros_like(follow), np.zeros(follow.shape, dtype=bool)
        for place in range(longest):
            moved = (written[:, place] != len(names) + 1)[None]
            follow = steps[follow, written[None, :, place]]
            met |= np.where(moved, met_at[follow], 0)
            bad |= moved & bad_at[follow]
        met[:, SPECIAL.eos] |= np.array(self.last)
        return follow, met, bad


def _fewest_tokens(
    follow: NDArray[np.int64], met: NDArray[np.int64], bad: NDArray[np.bool_], num_sets: int
) -> NDArray[np.int64]:
    """Return (nodes, sets): the fewest tokens after which all required phrases are met, without a forbidden one."""
    needed = np.full((len(follow), num_sets), NEVER, dtype=np.int64)
    needed[:, num_sets - 1] = 0
    ways: list[NDArray[np.int64]] = []
    for node in range(len(follow)):
        allowed = ~bad[node]
        allowed[SPECIAL.eos] = False
        ways.append(np.unique(np.stack([follow[node][allowed], met[node][allowed]]), axis=1))
    sets = np.arange(num_sets)
    while True:
        before = needed.copy()
        for node, (after, gained) in enumerate(ways):
            if len(after):
                reached = needed[after[:, None], gained[:, None] | sets]  # (ways, sets)
                needed[node] = np.minimum(needed[node], reached.min(axis=0) + 1)
        if (needed == before).all():
            return np.minimum(needed, NEVER)

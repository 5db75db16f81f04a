"""Word links learned from the training pairs themselves, where none are known (`data.learn_links`), and a lexicon.

This is IBM model 2 with the prior of Dyer (2013). A target token comes from one source token, often at about the same
place of its sentence, or from none. Both directions are learned by expectation maximization, and links are where they
agree (Och 2003). Tokens are those of the model, so that links need not be carried over from words.

    prior(i | j, S, T)  ~  exp(-4 |i/S - j/T|), and 0.08 for no source token     (λ = 4, p0 = 0.08)
    p(i | j)            ~  prior(i | j, S, T) t(target_j | source_i)
    t(f | e)            =  exp(ψ(n(e, f) + 0.01) - ψ(n(e) + 0.01 F))      (variational Bayes, Riley 2012)

n are the expected counts, F is the number of target tokens, and ψ is the derivative of log Γ. It takes mass from what
was seen once or twice, as most of a small corpus was.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from attentio.data.corpus import EncodedCorpus, Side
from attentio.data.links import TokenLinks

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

ITERATIONS = 6
TENSION = 4.0  # λ: how much nearer places are preferred
CONCENTRATION = 0.01  # of the Dirichlet prior of what a source token may become
NO_SOURCE = 0.08  # p0: prior of a target token that comes from no source token
PAIRS_AT_ONCE = 10_000  # held in memory: some hundred bytes for each source token of each target token
DIGITS = 9  # of probabilities that are compared, so that rounding on another processor decides nothing


class _Cells(NamedTuple):
    """Every source token, or none (`place` -1), beside every target token of some pairs, one after the other.

    `token`: the number of the target token among those of these pairs. `place`: of the source token in its sentence.
    `pair`: the number of what could be translated into what, source token + 1 (0: none) * V + target token.
    """

    token: Ints
    place: Ints
    pair: Ints
    prior: Floats


def learned_links(corpus: EncodedCorpus) -> TokenLinks:
    """Return the links of each pair: a token of either side links with at most one, and often with none."""
    size = len(corpus)
    forward, backward = _best_places(corpus.source, corpus.target), _best_places(corpus.target, corpus.source)
    source_of = np.repeat(corpus.source.offsets[:-1], corpus.target.lengths) + forward  # of each target token
    linked = forward >= 0
    place = np.arange(len(forward)) - np.repeat(corpus.target.offsets[:-1], corpus.target.lengths)
    linked[linked] = backward[source_of[linked]] == place[linked]
    links = np.stack([forward[linked], place[linked]], axis=1)
    pair = np.repeat(np.arange(size), corpus.target.lengths)[linked]
    order = np.lexsort((links[:, 1], links[:, 0], pair))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(pair, minlength=size))])
    return TokenLinks(links[order].astype(np.uint16), offsets)


def learned_lexicon(
    corpus: EncodedCorpus, links: TokenLinks, size: int, most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the `most` target tokens that each of `size` source tokens is linked with most often, and their shares.

    Both are (size, most), 0 where there are fewer. A share is the number of links by the number of times that the token
    stands there, and one more. So what was seen once is half believed. Pairs without a link do not count.
    """
    linked = np.diff(links.offsets) > 0
    seen = np.bincount(corpus.source.tokens[np.repeat(linked, corpus.source.lengths)], minlength=size)
    pair = np.repeat(np.arange(len(corpus)), np.diff(links.offsets))
    source = corpus.source.tokens[corpus.source.offsets[pair] + links.links[:, 0]].astype(np.int64)
    target = corpus.target.tokens[corpus.target.offsets[pair] + links.links[:, 1]].astype(np.int64)
    vocabulary = int(target.max(initial=0)) + 1
    pairs, counts = np.unique(source * vocabulary + target, return_counts=True)
    source, target = pairs // vocabulary, pairs % vocabulary
    order = np.lexsort((target, -counts, source))
    source, target, counts = source[order], target[order], counts[order]
    rank = np.arange(len(source)) - np.searchsorted(source, source)
    kept = rank < most
    tokens, shares = np.zeros((size, most), np.int64), np.zeros((size, most), np.float32)
    tokens[source[kept], rank[kept]] = target[kept]
    shares[source[kept], rank[kept]] = counts[kept] / (seen[source[kept]] + 1)
    return tokens, shares


def _best_places(source: Side, target: Side) -> Ints:
    """Return the place of the likeliest source token of each target token, -1 for none."""
    known = np.unique(np.concatenate([np.unique(cells.pair) for cells in _blocks(source, target)]))
    vocabulary = int(target.tokens.max(initial=0)) + 1
    of_source = known // vocabulary
    smallest = CONCENTRATION * len(np.unique(target.tokens))
    probability = np.ones(len(known))  # t(target | source), at first the same for all
    for _ in range(ITERATIONS):
        counts = np.zeros(len(known))
        for cells in _blocks(source, target):
            number = np.searchsorted(known, cells.pair)
            counts += np.bincount(number, _posterior(cells, probability[number]), minlength=len(known))
        total = np.bincount(of_source, counts)
        probability = np.exp(_digamma(counts + CONCENTRATION) - _digamma(total + smallest)[of_source])
    best: list[Ints] = [np.empty(0, np.int64)]
    for cells in _blocks(source, target):
        found = _posterior(cells, probability[np.searchsorted(known, cells.pair)]).round(DIGITS)
        first = np.flatnonzero(np.diff(cells.token, prepend=-1))  # where the cells of each target token begin
        top = np.maximum.reduceat(found, first)[cells.token] == found
        at = np.flatnonzero(top)
        best.append(cells.place[at[np.diff(cells.token[at], prepend=-1) > 0]])  # of equals, the first
    return np.concatenate(best)


def _posterior(cells: _Cells, probability: Floats) -> Floats:
    weight = cells.prior * probability
    return weight / np.bincount(cells.token, weight)[cells.token]


def _digamma(values: Floats) -> Floats:
    return torch.from_numpy(values).digamma().numpy()


def _blocks(source: Side, target: Side) -> Iterator[_Cells]:
    vocabulary = int(target.tokens.max(initial=0)) + 1
    for start in range(0, len(source), PAIRS_AT_ONCE):
        rows = np.arange(start, min(start + PAIRS_AT_ONCE, len(source)))
        (ids, lengths), (goals, num_goals) = source.rows(rows), target.rows(rows)
        row = np.repeat(np.arange(len(rows)), num_goals)  # of each target token
        width = lengths[row] + 1
        token = np.repeat(np.arange(len(goals)), width)
        place = np.arange(len(token)) - np.repeat(np.cumsum(width) - width, width) - 1
        share = (place + 0.5) / np.maximum(lengths, 1)[row][token]
        at = (np.arange(len(goals)) - np.repeat(np.cumsum(num_goals) - num_goals, num_goals) + 0.5) / num_goals[row]
        near = np.exp(-TENSION * np.abs(share - at[token]))
        near[place < 0] = np.finfo(float).tiny  # also where there is no other: a sentence without a token
        prior = np.where(place < 0, NO_SOURCE, (1 - NO_SOURCE) * near / np.bincount(token, near)[token])
        begin = (np.cumsum(lengths) - lengths)[row][token]
        from_source = np.where(place < 0, 0, np.append(ids, 0)[begin + place].astype(np.int64) + 1)
        yield _Cells(token, place, from_source * vocabulary + goals[token], prior)

"""Word links learned from the training pairs themselves, where none are known (`data.learn_links`), and a lexicon.

This is IBM model 2 with the prior of Dyer (2013). A target token comes from one source token, often at about the same
place of its sentence, or from none. Both directions are learned by expectation maximization, and links are where they
agree (Och 2003). A word may become several characters. So target tokens beside a linked one join it, where their
likeliest source token is the same. Tokens are those of the model, so that links need not be carried over from words.

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
    """Return the links of each pair: a source token links with at most one run of target tokens, often with none."""
    size = len(corpus)
    forward, backward = _best_places(corpus.source, corpus.target), _best_places(corpus.target, corpus.source)
    linked = forward >= 0
    first = np.repeat(corpus.source.offsets[:-1], corpus.target.lengths)
    source_of = np.where(linked, first + forward, -1)  # of each target token
    place = np.arange(len(forward)) - np.repeat(corpus.target.offsets[:-1], corpus.target.lengths)
    linked[linked] = backward[source_of[linked]] == place[linked]
    run = np.cumsum(np.diff(source_of, prepend=-1) != 0)  # the number of the run of tokens that have one source token
    linked = np.bincount(run, linked)[run] > 0
    links = np.stack([forward[linked], place[linked]], axis=1)
    pair = np.repeat(np.arange(size), corpus.target.lengths)[linked]
    order = np.lexsort((links[:, 1], links[:, 0], pair))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(pair, minlength=size))])
    return TokenLinks(links[order].astype(np.uint16), offsets)


class LearnedLexicon(NamedTuple):
    """What source tokens became, (V_source, most) each, with rows of zeros at the end where there is less to say.

    A case is a target token, its share, and `after`. That is the target token before, where the source token became it,
    too. It is 0 for what a translation of the source token begins with.
    """

    tokens: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float32]


def learned_lexicon(corpus: EncodedCorpus, links: TokenLinks, size: int, most: int) -> LearnedLexicon:
    """Count what each of `size` source tokens is linked with, the `most` frequent cases of each.

    A share is how often it was so, by how often it could have been so, and one more. So what was seen once is half
    believed. Pairs without a link do not count.
    """
    num_links = np.diff(links.offsets)
    pair = np.repeat(np.arange(len(corpus)), num_links)
    source_at = corpus.source.offsets[pair] + links.links[:, 0]
    target_at = corpus.target.offsets[pair] + links.links[:, 1]
    order = np.lexsort((target_at, source_at))
    source_at, target_at = source_at[order], target_at[order]
    source, target = corpus.source.tokens[source_at].astype(np.int64), corpus.target.tokens[target_at].astype(np.int64)
    goes_on = (np.diff(source_at, prepend=-1) == 0) & (np.diff(target_at, prepend=-1) == 1)
    after = np.where(goes_on, np.roll(target, 1), 0)

    vocabulary = int(target.max(initial=0)) + 1
    became, times = np.unique(source * vocabulary + target, return_counts=True)
    cases, counts = np.unique((source * vocabulary + after) * vocabulary + target, return_counts=True)
    before, target = np.divmod(cases, vocabulary)
    source, after = np.divmod(before, vocabulary)
    begun = np.bincount(source[after == 0], counts[after == 0], minlength=size)
    seen = np.bincount(corpus.source.tokens[np.repeat(num_links > 0, corpus.source.lengths)], minlength=size)
    first, later = np.maximum(begun, seen)[source], np.append(times, 0)[np.searchsorted(became, before)]
    share = counts / (np.where(after == 0, first, later) + 1)

    order = np.lexsort((target, after, -counts, source))
    rank = np.arange(len(source)) - np.searchsorted(source, source)
    order, rank = order[rank < most], rank[rank < most]  # of each source token the most frequent
    shape = size, most
    found = LearnedLexicon(np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.float32))
    for table, column in zip(found, (target, after, share), strict=True):
        table[source[order], rank] = column[order]
    return found


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

"""Beam search against enumeration of everything that could be said, and against a naive one-sentence version."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch

from attentio.model.seq2seq import Seq2Seq
from attentio.search.batched import padded
from attentio.search.beam import beam_search
from attentio.search.greedy import greedy_search
from attentio.search.hypothesis import Hypothesis

EOS, WORDS = 2, (3, 4, 5)
SOURCES = [[4, 7, 3], [8], [], [5, 5, 6, 3, 4]]


def everything(longest: int) -> list[tuple[int, ...]]:
    """All that can be said in at most `longest` tokens: ended sentences, and those cut off at the limit."""
    ended = [(*words, EOS) for length in range(longest) for words in product(WORDS, repeat=length)]
    return ended + list(product(WORDS, repeat=longest))


def ranked(scored: dict[tuple[int, ...], float], penalty: float) -> list[tuple[tuple[int, ...], float]]:
    return sorted(((seq, total / len(seq) ** penalty) for seq, total in scored.items()), key=lambda pair: -pair[1])


def check(found: list[Hypothesis], wanted: list[tuple[tuple[int, ...], float]]) -> None:
    assert [hypothesis.tokens for hypothesis in found] == [tokens for tokens, _ in wanted]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in wanted], abs=1e-4)


def run(model: Seq2Seq, sources: list[list[int]], limits: list[int], **options: Any) -> list[list[Hypothesis]]:
    return beam_search(model, *padded(sources, torch.device("cpu")), limits, **options)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
def test_a_beam_wide_enough_is_enumeration(
    tiny_model: Seq2Seq, oracle: Callable[[Seq2Seq], Any], penalty: float
) -> None:
    """Three words, at most four tokens: 121 things to say; with that many hypotheses nothing may be missed."""
    targets = everything(4)
    assert len(targets) == 121
    found = run(tiny_model, SOURCES, [4] * 4, beam_size=len(targets), length_penalty=penalty)
    for source, hypotheses in zip(SOURCES, found, strict=True):
        scored = dict(zip(targets, map(sum, oracle(tiny_model)(source, targets)), strict=True))
        check(hypotheses, ranked(scored, penalty))
        assert sum(torch.tensor(list(scored.values())).exp()) == pytest.approx(1, abs=1e-4)  # the oracle's own sum


@pytest.mark.parametrize("beam", [1, 2, 3, 5])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_narrow_beam_is_the_naive_one(
    make_model: Callable[[int], Seq2Seq], oracle: Callable[[Seq2Seq], Any], beam: int, penalty: float
) -> None:
    for seed in range(4):
        model = make_model(seed)
        limits = [7, 5, 4, 6]
        found = run(model, SOURCES, limits, beam_size=beam, length_penalty=penalty)
        for source, limit, hypotheses in zip(SOURCES, limits, found, strict=True):
            check(hypotheses, naive(oracle(model), source, limit, beam, penalty))


def naive(
    log_probs: Any, source: list[int], limit: int, beam: int, penalty: float
) -> list[tuple[tuple[int, ...], float]]:
    """The rule of `beam_search`, for one sentence, over whole sequences, as one would explain it."""
    opened: dict[tuple[int, ...], float] = {(): 0.0}
    finished: dict[tuple[int, ...], float] = {}
    for length in range(1, limit + 1):
        longer = [(*prefix, word) for prefix in opened for word in (EOS, *WORDS)]
        totals = dict(zip(longer, map(sum, log_probs(source, longer)), strict=True))
        considered = sorted(totals, key=lambda sequence: -totals[sequence])[: 2 * beam]
        finished |= {sequence: totals[sequence] for sequence in considered[:beam] if sequence[-1] == EOS}
        opened = {sequence: totals[sequence] for sequence in considered if sequence[-1] != EOS}
        opened = dict(list(opened.items())[:beam])
        if length == limit:
            finished |= opened
        best = ranked(finished, penalty)[:beam]
        if len(best) == beam and best[-1][1] >= max(opened.values()) / length**penalty:
            break
    return ranked(finished, penalty)[:beam]


def test_a_wider_beam_finds_no_worse(make_model: Callable[[int], Seq2Seq]) -> None:
    """Not a law for one sentence, so over many: the sum of the best probabilities grows from 1 to all there is."""
    sums = dict.fromkeys((1, 3, 121), 0.0)
    for seed in range(12):
        for beam in sums:
            for best, *_ in run(make_model(seed), SOURCES, [4] * 4, beam_size=beam, length_penalty=0.0):
                sums[beam] += best.score
    assert sums[1] < sums[3] <= sums[121] + 1e-6


def test_a_beam_of_one_is_greedy(make_model: Callable[[int], Seq2Seq]) -> None:
    for seed in range(8):
        model = make_model(seed)
        limits = [9, 7, 5, 3]
        for penalty in (0.0, 1.0):
            beams = run(model, SOURCES, limits, beam_size=1, length_penalty=penalty)
            greedy = greedy_search(model, *padded(SOURCES, torch.device("cpu")), limits, length_penalty=penalty)
            for (one,), other in zip(beams, greedy, strict=True):
                assert one.tokens == other.tokens
                assert one.score == pytest.approx(other.score, abs=1e-5)
                assert one.log_probs == pytest.approx(other.log_probs, abs=1e-5)


def test_n_best_are_sorted_distinct_and_add_up(tiny_model: Seq2Seq, oracle: Callable[[Seq2Seq], Any]) -> None:
    for source, hypotheses in zip(SOURCES, run(tiny_model, SOURCES, [6] * 4, beam_size=5), strict=True):
        assert len(hypotheses) == 5
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True)
        tokens = [hypothesis.tokens for hypothesis in hypotheses]
        assert len(set(tokens)) == 5
        for hypothesis, known in zip(hypotheses, oracle(tiny_model)(source, tokens), strict=True):
            assert hypothesis.log_probs == pytest.approx(known, abs=1e-4)
            assert hypothesis.score == pytest.approx(sum(known) / len(known), abs=1e-4)
            assert len(hypothesis.rows) == len(hypothesis.tokens)


def test_fewer_things_to_say_than_hypotheses(tiny_model: Seq2Seq) -> None:
    """One token at most: eos or one of three words. Four hypotheses, however many are asked for."""
    for hypotheses in run(tiny_model, SOURCES, [1] * 4, beam_size=7):
        assert {hypothesis.tokens for hypothesis in hypotheses} == {(2,), (3,), (4,), (5,)}

"""Greedy and beam search against enumeration of everything that could be said, and against a naive version."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from attentio.errors import CancelledSearch, UsageError
from attentio.model.seq2seq import Seq2Seq
from attentio.search.decode import SearchStep, decode
from attentio.search.hypothesis import Hypothesis
from attentio.search.strategy import Beam, Greedy

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
    beam = options.pop("beam_size")
    return decode(model, sources, Beam(beam) if beam else Greedy(), max_lengths=limits, **options)


@pytest.mark.slow
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


@pytest.mark.slow
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
    """The rule of a beam search, for one sentence, over whole sequences, as one would explain it."""
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


@pytest.mark.slow
def test_a_wider_beam_finds_no_worse(make_model: Callable[[int], Seq2Seq]) -> None:
    """Not a law for one sentence, so over many: the sum of the best probabilities grows from 1 to all there is."""
    sums = dict.fromkeys((1, 3, 121), 0.0)
    for seed in range(12):
        for beam in sums:
            for best, *_ in run(make_model(seed), SOURCES, [4] * 4, beam_size=beam, length_penalty=0.0):
                sums[beam] += best.score
    assert sums[1] < sums[3] <= sums[121] + 1e-6


@pytest.mark.slow
def test_a_beam_of_one_is_greedy(make_model: Callable[[int], Seq2Seq]) -> None:
    for seed in range(8):
        model = make_model(seed)
        limits = [9, 7, 5, 3]
        for penalty in (0.0, 1.0):
            beams = run(model, SOURCES, limits, beam_size=1, length_penalty=penalty)
            greedy = run(model, SOURCES, limits, beam_size=0, length_penalty=penalty)
            for (one,), (other,) in zip(beams, greedy, strict=True):
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


def test_it_takes_the_likeliest_token_every_time(tiny_model: Seq2Seq, oracle: Callable[[Seq2Seq], Any]) -> None:
    log_probs = oracle(tiny_model)
    for source, (found,) in zip(SOURCES, run(tiny_model, SOURCES, [7] * 4, beam_size=0), strict=True):
        prefix: tuple[int, ...] = ()
        total = 0.0
        while len(prefix) < 7 and prefix[-1:] != (2,):
            longer = [(*prefix, token) for token in (2, 3, 4, 5)]
            last = [scores[-1] for scores in log_probs(source, longer)]
            prefix = longer[last.index(max(last))]
            total += max(last)
        assert found.tokens == prefix
        assert sum(found.log_probs) == pytest.approx(total, abs=1e-4)
        assert found.score == pytest.approx(total / len(prefix), abs=1e-4)


def set_bias_of_eos(model: Seq2Seq, value: float) -> None:
    with torch.no_grad():
        model.decoder.bias[2] = value


@pytest.mark.parametrize("beam", [0, 1, 3])
def test_the_limit_is_each_sentences_own(tiny_model: Seq2Seq, beam: int) -> None:
    set_bias_of_eos(tiny_model, -1e4)
    limits = [1, 9, 4, 6]
    for limit, hypotheses in zip(limits, run(tiny_model, SOURCES, limits, beam_size=beam), strict=True):
        for hypothesis in hypotheses:
            assert len(hypothesis.tokens) == limit
            assert 2 not in hypothesis.tokens


@pytest.mark.parametrize("beam", [0, 1, 3])
def test_a_model_with_nothing_to_say_says_the_end_at_once(tiny_model: Seq2Seq, beam: int) -> None:
    set_bias_of_eos(tiny_model, 1e4)
    for hypotheses in run(tiny_model, SOURCES, [9] * 4, beam_size=beam):
        assert hypotheses[0].tokens == (2,)
        assert hypotheses[0].score == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("beam", [0, 1, 3])
def test_padding_and_beginning_are_never_said(tiny_model: Seq2Seq, beam: int) -> None:
    with torch.no_grad():
        tiny_model.decoder.bias[:2] = 50.0
    for hypotheses in run(tiny_model, SOURCES, [5] * 4, beam_size=beam):
        assert all({0, 1}.isdisjoint(hypothesis.tokens) for hypothesis in hypotheses)


@pytest.mark.parametrize("beam", [0, 1, 3])
def test_finished_sentences_leave_the_batch(
    make_model: Callable[[int], Seq2Seq], monkeypatch: pytest.MonkeyPatch, beam: int
) -> None:
    model = make_model(3)
    rows: list[int] = []
    step = model.decoder.step

    def counted(tokens: Tensor, state: Any) -> Any:
        rows.append(len(tokens))
        return step(tokens, state)

    monkeypatch.setattr(model.decoder, "step", counted)
    set_bias_of_eos(model, -1e4)  # so that the limits alone say when a sentence is finished
    limits = [2, 5, 3, 5]
    run(model, SOURCES, limits, beam_size=beam)
    assert rows == [4, *(max(1, beam) * going for going in (4, 3, 2, 2))]  # before the first word hypotheses are one


@pytest.mark.parametrize("beam", [0, 3])
def test_a_callback_sees_every_step_of_every_sentence(tiny_model: Seq2Seq, beam: int) -> None:
    texts: dict[int, list[tuple[int, ...]]] = {sentence: [] for sentence in range(4)}
    ends: dict[int, tuple[int, ...]] = {}

    def see(step: SearchStep) -> None:
        for sentence in step.groups:
            assert sentence not in ends
            best = step.best(sentence)
            assert len(best.tokens) == step.length or sentence in step.complete
            texts[sentence].append(best.tokens)
            if sentence in step.complete:
                ends[sentence] = best.tokens
            candidates = step.candidates(sentence, 3)
            assert [p for _, p in candidates] == sorted((p for _, p in candidates), reverse=True)
            assert sum(p for _, p in step.candidates(sentence, 99)) == pytest.approx(1, abs=1e-5)
            if not beam:
                assert candidates[0][0] == best.tokens[-1]

    found = run(tiny_model, SOURCES, [6, 4, 5, 6], beam_size=beam, on_step=see)
    assert [ends[sentence] for sentence in range(4)] == [hypotheses[0].tokens for hypotheses in found]
    if not beam:
        for sentence, (best,) in enumerate(found):
            assert texts[sentence] == [best.tokens[:length] for length in range(1, len(best.tokens) + 1)]
    assert run(tiny_model, SOURCES, [6, 4, 5, 6], beam_size=beam) == found  # looking changes nothing


@pytest.mark.parametrize("beam", [0, 3])
def test_cancelling_stops_before_the_next_step(tiny_model: Seq2Seq, beam: int) -> None:
    set_bias_of_eos(tiny_model, -1e4)
    steps: list[int] = []

    with pytest.raises(CancelledSearch):
        run(
            tiny_model,
            SOURCES,
            [9] * 4,
            beam_size=beam,
            on_step=lambda step: steps.append(step.length),
            cancelled=lambda: len(steps) == 3,
        )
    assert steps == [1, 2, 3]
    run(tiny_model, SOURCES, [9] * 4, beam_size=beam, cancelled=lambda: False)


@pytest.mark.parametrize("beam", [0, 121])
def test_with_a_prefix_the_best_of_those_that_begin_with_it(
    tiny_model: Seq2Seq, oracle: Callable[[Seq2Seq], Any], beam: int
) -> None:
    prefixes = [(4,), (), (3, 5), (5, 2)]
    found = run(tiny_model, SOURCES, [4] * 4, beam_size=beam, length_penalty=0.0, prefix=prefixes)
    for source, prefix, hypotheses in zip(SOURCES, prefixes, found, strict=True):
        targets = [target for target in everything(4) if target[: len(prefix)] == prefix]
        scored = dict(zip(targets, map(sum, oracle(tiny_model)(source, targets)), strict=True))
        if beam:
            check(hypotheses, ranked(scored, 0.0)[:beam])
        else:
            assert hypotheses[0].tokens in scored
            assert hypotheses[0].score == pytest.approx(scored[hypotheses[0].tokens], abs=1e-4)


def test_a_prefix_longer_than_the_limit_is_said(tiny_model: Seq2Seq) -> None:
    with pytest.raises(UsageError, match="a translation of at most 2 tokens cannot begin with 3"):
        run(tiny_model, SOURCES[:2], [2, 2], beam_size=0, prefix=[(), (3, 4, 5)])


def test_nothing_to_decode(tiny_model: Seq2Seq) -> None:
    assert decode(tiny_model, []) == []

"""Constraints against enumeration: the best of all translations that keep them, and none that breaks them."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.errors import UsageError
from attentio.model.seq2seq import Seq2Seq
from attentio.runtime.tensors import arrays_on
from attentio.search.constraint import AllOf, Constraint, ExactlyOnce, NoRepeat, Phrases
from attentio.search.decode import decode
from attentio.search.strategy import Beam, Greedy, Sample

EOS, WORDS = 2, (3, 4, 5)
SOURCES = [[4, 7, 3], [8], [], [5, 5, 6, 3, 4]]
VOCAB = 6
OWN: list[list[int]] = [[], [], [], [3], [4], [5]]
# Two letters: token 3 writes "a", 4 writes "b", 5 writes "ab".
SPELLED: list[list[int]] = [[], [], [], [ord("a")], [ord("b")], [ord("a"), ord("b")]]
LIMIT = 5
ALL = [(*words, EOS) for length in range(LIMIT) for words in product(WORDS, repeat=length)]
ALL += list(product(WORDS, repeat=LIMIT))

Law = Callable[[tuple[int, ...]], bool]


def holds(written: Sequence[int], phrase: Sequence[int]) -> bool:
    return any(tuple(written[i : i + len(phrase)]) == tuple(phrase) for i in range(len(written)))


def spelled(tokens: Sequence[int], symbols: Sequence[Sequence[int]]) -> list[int]:
    return [symbol for token in tokens for symbol in symbols[token]]


def phrases(
    require: Sequence[Sequence[int]], forbid: Sequence[Sequence[int]], symbols: Sequence[Sequence[int]] = OWN
) -> tuple[Constraint, Law]:
    def law(tokens: tuple[int, ...]) -> bool:
        written = spelled(tokens, symbols)
        return all(holds(written, p) for p in require) and not any(holds(written, p) for p in forbid)

    return Phrases(symbols, require, forbid), law


def closed(
    phrase: Sequence[int], closing: Sequence[int], symbols: Sequence[Sequence[int]] = OWN
) -> tuple[Constraint, Law]:
    """A phrase that one of some symbols follows, or the end."""

    def law(tokens: tuple[int, ...]) -> bool:
        written = spelled(tokens, symbols)
        ends = tokens[-1:] == (EOS,) and tuple(written[-len(phrase) :]) == tuple(phrase)
        return ends or any(holds(written, [*phrase, each]) for each in closing)

    return Phrases(symbols, [phrase], [], [closing]), law


def no_repeat(size: int) -> tuple[Constraint, Law]:
    def law(tokens: tuple[int, ...]) -> bool:
        words = tokens[:-1] if tokens[-1] == EOS else tokens
        runs = [words[i : i + size] for i in range(len(words) - size + 1)]
        return len(runs) == len(set(runs))

    return NoRepeat(size, VOCAB), law


def exactly_once(wanted: Sequence[int], never: Sequence[int]) -> tuple[Constraint, Law]:
    def law(tokens: tuple[int, ...]) -> bool:
        return all(tokens.count(token) == 1 for token in wanted) and not ({*never} - {*wanted}) & {*tokens}

    return ExactlyOnce([wanted] * len(SOURCES), [*dict.fromkeys([*wanted, *never])], VOCAB), law


def both(*parts: tuple[Constraint, Law]) -> tuple[Constraint, Law]:
    return AllOf([constraint for constraint, _ in parts]), lambda tokens: all(law(tokens) for _, law in parts)


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


CASES: dict[str, tuple[Constraint, Law]] = {
    "one word": phrases([[4]], []),
    "two words exactly once": exactly_once([4, 3], [3, 4]),
    "one word exactly once, another never": exactly_once([3], [3, 5]),
    "a phrase": phrases([[4, 3]], []),
    "two phrases": phrases([[4, 3], [5]], []),
    "phrases that overlap": phrases([[3, 4], [4, 3]], []),
    "a phrase within a phrase": phrases([[3, 4, 3], [4]], []),
    "the same word twice in a row": phrases([[3, 3]], []),
    "a forbidden word": phrases([], [[4]]),
    "forbidden phrases": phrases([], [[4, 3], [5, 5], [3]]),
    "required and forbidden": phrases([[4, 3]], [[5], [3, 3]]),
    "required around forbidden": phrases([[3], [4]], [[3, 4]]),
    "spelled in several ways": phrases([letters("aba")], [], SPELLED),
    "forbidden in several ways": phrases([], [letters("aba"), letters("bb")], SPELLED),
    "spelled, both": phrases([letters("ab"), letters("ba")], [letters("bb")], SPELLED),
    "a phrase that is closed": closed([4, 3], [5, 4]),
    "closed by what begins it": closed([3], [3]),
    "spelled and closed": closed(letters("ba"), letters("b"), SPELLED),
    "no word twice": no_repeat(1),
    "no pair twice": no_repeat(2),
    "no three twice": no_repeat(3),
    "everything": both(phrases([[4, 3]], [[5, 5]]), no_repeat(2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_beam_wide_enough_finds_the_best_of_those_that_keep_it(
    make_model: Callable[[int], Seq2Seq], oracle: Callable[[Seq2Seq], Any], case: str
) -> None:
    constraint, law = CASES[case]
    kept = [tokens for tokens in ALL if law(tokens)]
    assert 0 < len(kept) < len(ALL)
    model = make_model(len(case))
    found = decode(model, SOURCES, Beam(len(ALL)), constraint=constraint, max_lengths=[LIMIT] * 4, length_penalty=0.0)
    for source, hypotheses in zip(SOURCES, found, strict=True):
        scores = dict(zip(kept, map(sum, oracle(model)(source, kept)), strict=True))
        wanted = sorted(scores, key=lambda tokens: -scores[tokens])
        assert [hypothesis.tokens for hypothesis in hypotheses] == wanted
        assert [hypothesis.score for hypothesis in hypotheses] == pytest.approx(
            [scores[tokens] for tokens in wanted], abs=1e-4
        )


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_narrow_beam_keeps_it_too(make_model: Callable[[int], Seq2Seq], case: str) -> None:
    """Alone and in company the same, within every limit that leaves room."""
    constraint, law = CASES[case]
    limits = [3, LIMIT, 9, 7] if case != "no word twice" else [3, 3, 3, 3]
    for seed in range(3):
        model = make_model(seed)
        for beam in (2, 5) if case != "everything" else (5,):
            found = decode(model, SOURCES, Beam(beam), constraint=constraint, max_lengths=limits)
            for number, (source, limit, hypotheses) in enumerate(zip(SOURCES, limits, found, strict=True)):
                assert hypotheses
                for hypothesis in hypotheses:
                    assert law(hypothesis.tokens)
                    assert len(hypothesis.tokens) <= limit
                own = constraint.only([number])
                (alone,) = decode(model, [source], Beam(beam), constraint=own, max_lengths=[limit])
                assert [one.tokens for one in alone] == [one.tokens for one in hypotheses]


def test_each_sentence_has_what_it_wants(make_model: Callable[[int], Seq2Seq]) -> None:
    """Wanted of one alone, or of all in one batch: the same translations. One wants nothing."""
    wanted = [[3], [5, 4], [], [3, 4, 5]]
    constraint = ExactlyOnce(wanted, [3, 4, 5], VOCAB)
    for seed in range(3):
        model = make_model(seed)
        found = decode(model, SOURCES, Beam(5), constraint=constraint, max_lengths=[LIMIT] * 4)
        for number, hypotheses in enumerate(found):
            assert all(sorted(hypothesis.tokens[:-1]) == sorted(wanted[number]) for hypothesis in hypotheses)
            own = constraint.only([number])
            (alone,) = decode(model, [SOURCES[number]], Beam(5), constraint=own, max_lengths=[LIMIT])
            assert [one.tokens for one in alone] == [one.tokens for one in hypotheses]
    with pytest.raises(UsageError):
        decode(model, SOURCES, Beam(5), constraint=constraint, max_lengths=[LIMIT, LIMIT, LIMIT, 2])


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case, (constraint, _) in CASES.items() if not constraint.requires])
@pytest.mark.parametrize("strategy", [Greedy(), Sample(temperature=3.0)], ids=["greedy", "sample"])
def test_greedy_search_and_sampling_keep_it(
    make_model: Callable[[int], Seq2Seq], case: str, strategy: Greedy | Sample
) -> None:
    constraint, law = CASES[case]
    for seed in range(3):
        for (found,) in decode(make_model(seed), SOURCES, strategy, constraint=constraint, max_lengths=[8] * 4):
            assert law(found.tokens)


@given(
    require=st.lists(st.lists(st.integers(3, 5), min_size=1, max_size=3), max_size=3),
    forbid=st.lists(st.lists(st.integers(3, 5), min_size=1, max_size=3), max_size=2),
    symbols=st.sampled_from([OWN, SPELLED]),
)
@settings(max_examples=60, deadline=None)
def test_what_is_needed_is_the_shortest_way(
    require: list[list[int]], forbid: list[list[int]], symbols: list[list[int]]
) -> None:
    """The number of tokens still needed, against enumeration of all texts of at most five tokens."""
    require, forbid = ([spelled(phrase, symbols) for phrase in group] for group in (require, forbid))
    constraint, law = phrases(require, forbid, symbols)
    assert isinstance(constraint, Phrases)
    shortest = min((len(t) for t in [(), *product_up_to(LIMIT)] if law(t)), default=None)
    needed = int(constraint.needed[0, 0])
    if shortest is None:
        assert needed > LIMIT
    else:
        assert needed == shortest


def product_up_to(longest: int) -> list[tuple[int, ...]]:
    return [words for length in range(1, longest + 1) for words in product(WORDS, repeat=length)]


@pytest.mark.parametrize(
    ("constraint", "options", "message"),
    [
        (
            phrases([[3, 4, 5]], [])[0],
            {"max_lengths": [2]},
            "at least 3 more tokens, and a translation of at most 2",
        ),
        (phrases([[3, 4]], [[4]])[0], {}, "can hold all required phrases and none of the forbidden ones"),
        (phrases([], [[4]])[0], {"prefix": [[3, 4]]}, "the prefix holds a phrase that must not appear"),
        (phrases([[3, 3, 3]], [])[0], {"max_lengths": [4], "prefix": [[3, 4]]}, "take at least 3 more .* leaves 2"),
        (both(phrases([[3, 3]], []), no_repeat(1))[0], {}, "found for a source of 1 tokens breaks"),
    ],
    ids=["too short", "impossible", "prefix", "prefix too long", "each other"],
)
def test_what_cannot_be_kept_is_said(tiny_model: Seq2Seq, constraint: Constraint, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decode(tiny_model, [[4]], Beam(4), constraint=constraint, **({"max_lengths": [6]} | options))


def test_required_phrases_need_a_beam(tiny_model: Seq2Seq) -> None:
    for strategy in (Greedy(), Sample()):
        with pytest.raises(UsageError, match="need a beam"):
            decode(tiny_model, [[4]], strategy, constraint=Phrases(OWN, [[4]], []))


def test_a_prefix_counts_for_what_is_required(tiny_model: Seq2Seq) -> None:
    """The phrase begins in the prefix, or stands in it."""
    constraint, law = phrases([[3, 4]], [])
    for prefix in ([3], [5, 3, 4]):
        (found,) = decode(
            tiny_model, [[4]], Beam(3), prefix=[prefix], constraint=constraint, max_lengths=[len(prefix) + 1]
        )
        for hypothesis in found:
            assert list(hypothesis.tokens[: len(prefix)]) == prefix
            assert law(hypothesis.tokens)


def test_a_repeating_prefix_is_the_users_own(tiny_model: Seq2Seq) -> None:
    ((found,),) = decode(tiny_model, [[4]], prefix=[[3, 3, 3]], constraint=NoRepeat(1, VOCAB), max_lengths=[6])
    assert found.tokens[:3] == (3, 3, 3)
    assert 3 not in found.tokens[3:]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NoRepeat(0, VOCAB), "no-repeat of 0"),
        (lambda: Phrases(OWN, [[]], []), "is empty"),
        (lambda: Phrases(OWN, [[3]] * 11, []), "at most 10"),
    ],
)
def test_senseless_constraints_are_refused(make: Callable[[], Constraint], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_states_follow_their_rows() -> None:
    """Rows that are reordered and repeated keep what they have written."""
    constraint = AllOf([Phrases(OWN, [[3, 4]], []), NoRepeat(1, VOCAB)])
    state = constraint.start(2, arrays_on(torch.device("cpu")))
    state = constraint.advance(state, torch.tensor([0, 1]), torch.tensor([3, 5]))
    state = constraint.advance(state, torch.tensor([1, 0, 0]), torch.tensor([4, 4, 5]))
    missing = constraint.missing(state)
    assert missing is not None
    assert missing[:, EOS].tolist() == [2, 0, 2]
    banned = constraint.banned(state, torch.tensor([5, 5, 5]))
    assert [row.nonzero()[:, 0].tolist() for row in banned] == [[2, 4, 5], [3, 4], [2, 3, 5]]

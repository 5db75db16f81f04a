"""Sampling: frequencies follow the model, cuts are exact, and a sentence's answer is its own."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch

from attentio.errors import UsageError
from attentio.model.seq2seq import Seq2Seq
from attentio.search.batched import SearchConfig, search
from attentio.search.decode import decode
from attentio.search.strategy import Greedy, Sample, Situation

SOURCE = [4, 7, 3]
TIMES = 400
LOGITS = torch.tensor([0.1, 0.4, 0.05, 0.25, 0.2]).log()


def drawn(settings: dict[str, Any], times: int, banned: list[int] | None = None) -> Counter[int]:
    """How often each token is drawn at one step, by `times` sentences."""
    choose = Sample(**settings).start([[number] for number in range(times)])
    mask = None
    if banned is not None:
        mask = torch.zeros(times, 5, dtype=torch.bool)
        mask[:, banned] = True
    given = Situation(LOGITS.expand(times, 5), torch.zeros(times, 1), range(times), mask)
    choice = choose(given)
    torch.testing.assert_close(choice.log_probs[:, 0], LOGITS[choice.tokens[:, 0]])
    return Counter(choice.tokens[:, 0].tolist())


def chi_square(found: Counter[int], wanted: dict[int, float]) -> float:
    times = found.total()
    assert found.keys() <= wanted.keys()
    return sum((found[token] - times * p) ** 2 / (times * p) for token, p in wanted.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, {0: 0.1, 1: 0.4, 2: 0.05, 3: 0.25, 4: 0.2}),
        ({"top_k": 2}, {1: 0.4, 3: 0.25}),
        ({"top_k": 1}, {1: 1.0}),
        ({"top_p": 0.7}, {1: 0.4, 3: 0.25, 4: 0.2}),  # 0.4 + 0.25 is not yet 0.7
        ({"top_p": 0.6}, {1: 0.4, 3: 0.25}),
        ({"top_p": 1e-9}, {1: 1.0}),
        ({"top_k": 3, "top_p": 0.5}, {1: 0.4, 3: 0.25}),  # of the three, 0.4 / 0.85 is not yet a half
        ({"temperature": 0.5}, {0: 0.1**2, 1: 0.4**2, 2: 0.05**2, 3: 0.25**2, 4: 0.2**2}),
        ({"temperature": 2.0}, {0: 0.1**0.5, 1: 0.4**0.5, 2: 0.05**0.5, 3: 0.25**0.5, 4: 0.2**0.5}),
    ],
    ids=str,
)
def test_frequencies_at_one_step(settings: dict[str, Any], wanted: dict[int, float]) -> None:
    """Four degrees of freedom: a chi-square above 20 has probability 0.0005, and the seed is fixed."""
    total = sum(wanted.values())
    found = drawn(settings, 4000)
    assert found.keys() == wanted.keys()
    assert chi_square(found, {token: p / total for token, p in wanted.items()}) < 20


def test_what_is_banned_is_not_drawn_and_the_others_keep_their_proportions() -> None:
    assert chi_square(drawn({}, 4000, banned=[1, 2]), {0: 0.1 / 0.55, 3: 0.25 / 0.55, 4: 0.2 / 0.55}) < 20


@pytest.mark.slow
def test_whole_translations_follow_the_model(
    make_model: Callable[[int], Seq2Seq], oracle: Callable[[Seq2Seq], Any]
) -> None:
    """All 13 translations of at most two tokens; twelve degrees of freedom: above 40 has probability 0.0001."""
    model = make_model(1)
    texts = [(2,), *((word, 2) for word in (3, 4, 5)), *((a, b) for a in (3, 4, 5) for b in (3, 4, 5))]
    scores = [sum(scores) for scores in oracle(model)(SOURCE, texts)]
    probabilities = dict(zip(texts, torch.tensor(scores).exp().tolist(), strict=True))
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
    found: Counter[Any] = Counter()
    for seed in range(TIMES):
        ((hypothesis,),) = decode(model, [SOURCE], Sample(seed=seed), max_lengths=[2], length_penalty=0.0)
        found[hypothesis.tokens] += 1
        assert hypothesis.score == pytest.approx(scores[texts.index(hypothesis.tokens)], abs=1e-4)
    likely = {text: p for text, p in probabilities.items() if TIMES * p >= 2}
    rest = sum(p for text, p in probabilities.items() if text not in likely)
    others = sum(count for text, count in found.items() if text not in likely)
    assert chi_square(Counter({text: found[text] for text in likely}), likely) < 40
    assert others <= TIMES * rest + 12


@pytest.mark.slow
def test_the_same_seed_gives_the_same_answer_whatever_the_company(tiny_model: Seq2Seq) -> None:
    sources = [SOURCE, [8], [], [5, 5, 6, 3, 4], [8, 8]]
    config = SearchConfig(sample=Sample(temperature=2.0, seed=5))
    together = search(tiny_model, sources, config)
    assert search(tiny_model, sources, config) == together
    for order in ([4, 2, 0, 1, 3], [0, 1, 2, 3, 4]):
        shuffled = search(tiny_model, [sources[i] for i in order], config._replace(max_tokens=9))
        for place, index in enumerate(order):
            assert shuffled[place][0].tokens == together[index][0].tokens
    for source, (best,) in zip(sources, together, strict=True):
        assert search(tiny_model, [source], config)[0][0].tokens == best.tokens
    seeds = [search(tiny_model, sources, SearchConfig(sample=Sample(2.0, seed=seed))) for seed in range(5)]
    assert len({tuple(best.tokens for (best,) in found) for found in seeds}) > 1


def test_one_token_left_is_greedy(tiny_model: Seq2Seq) -> None:
    sources = [SOURCE, [8], []]
    limits = [6, 6, 6]
    greedy = [best.tokens for (best,) in decode(tiny_model, sources, Greedy(), max_lengths=limits)]
    for sample in (Sample(top_k=1), Sample(top_p=1e-9), Sample(temperature=1e-4)):
        assert [best.tokens for (best,) in decode(tiny_model, sources, sample, max_lengths=limits)] == greedy


@pytest.mark.parametrize(
    "settings", [{"temperature": 0.0}, {"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}], ids=str
)
def test_settings_out_of_range_are_said(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"temperature|top-k|top-p"):
        Sample(**settings)


def test_a_beam_and_sampling_do_not_go_together(tiny_model: Seq2Seq) -> None:
    with pytest.raises(UsageError, match="do not go together"):
        search(tiny_model, [SOURCE], SearchConfig(3, sample=Sample()))

"""A lexicon beside the network: against its formula in plain Python, and the laws of a model that has one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from attentio.attention import Memory
from attentio.bundle import Architecture
from attentio.model.families import build_model
from attentio.model.lexicon import MOST, Lexicon, mixed
from attentio.model.seq2seq import Seq2Seq
from attentio.search.decode import decode
from attentio.search.strategy import Beam

SOURCE_VOCAB, TARGET_VOCAB = 11, 13
SOURCE = torch.tensor([[5, 9, 4, 7, 2], [3, 8, 10, 2, 0], [6, 4, 2, 0, 0]])
LENGTHS, TARGET = torch.tensor([5, 4, 3]), torch.tensor([[1, 7, 5, 12], [1, 4, 3, 9], [1, 11, 6, 8]])
Law = Callable[[Seq2Seq, Tensor, Tensor, Tensor], None]
FAMILIES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"family": "rnn", "embedding_size": 6, "hidden_size": 6}, {}),
    ({"family": "rnn", "embedding_size": 6, "hidden_size": 6, "input_feeding": True}, {"score": "dot"}),
    ({"family": "rnn", "embedding_size": 6, "hidden_size": 6, "query": "previous"}, {"score": "coverage"}),
    ({"family": "cnn", "embedding_size": 6, "hidden_size": 8}, {"num_heads": 3}),
    ({"family": "transformer", "hidden_size": 8, "feed_forward_size": 9}, {"window": "local-m:3", "num_heads": 2}),
]


def table(seed: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, what they come after, and shares. Of these a source token has up to 0.5, and the special ones none."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.stack([torch.randperm(TARGET_VOCAB, generator=generator)[:MOST] for _ in range(SOURCE_VOCAB)])
    shares = torch.rand(SOURCE_VOCAB, MOST, generator=generator) * (torch.arange(SOURCE_VOCAB) > 3)[:, None]
    return (
        tokens,
        tokens.roll(1, 1) * (torch.arange(MOST) % 2),
        shares / MOST / 2,
    )  # every second case comes after the one to its left


def build(model: dict[str, Any], attention: dict[str, Any], weight: float = 0.4) -> Seq2Seq:
    described: dict[str, Any] = {"model": {**model, "lexicon": weight, "dropout": 0.0}, "attention": attention}
    parts = Architecture.model_validate(described)
    torch.manual_seed(3)
    built = build_model(
        parts.model, parts.attention, SOURCE_VOCAB, TARGET_VOCAB, self_attention=parts.self_attention
    ).eval()
    if built.lexicon is not None:
        built.lexicon.learn(*table())
    return built


@pytest.mark.parametrize("heads", [1, 3])
def test_mixing_is_the_formula(heads: int) -> None:
    torch.manual_seed(5)
    tokens, after, shares = table()
    source = [[4, 9, 6], [10, 5, 7]]
    written = [[1, *tokens[4, :3].tolist()], [1, *tokens[5, 2:5].tolist()]]
    logits = torch.randn(2, 4, TARGET_VOCAB)
    weights = torch.rand(2, heads, 4, 3).softmax(-1)
    lexicon = Lexicon(SOURCE_VOCAB)
    lexicon.learn(tokens, after, shares)
    found = mixed(logits, lexicon(torch.tensor(source)), weights, torch.tensor(written))
    for row, sentence in enumerate(source):
        for t, last in enumerate(written[row]):
            said = [0.0] * TARGET_VOCAB
            for place, token in enumerate(sentence):
                look = sum(weights[row, head, t, place].item() for head in range(heads)) / heads
                begun = last in tokens[token].tolist()
                for target, goes_after, share in zip(
                    *(x[token].tolist() for x in (tokens, after, shares)), strict=True
                ):
                    said[target] += look * share * (goes_after == (last if begun else 0))
            network = logits[row, t].softmax(-1).tolist()
            wanted = [(1 - sum(said)) * p + q for p, q in zip(network, said, strict=True)]
            assert found[row, t].exp().tolist() == pytest.approx(wanted, abs=1e-6)
            assert sum(wanted) == pytest.approx(1)


def test_hypotheses_share_what_is_known_of_their_sentence() -> None:
    torch.manual_seed(5)
    lexicon = Lexicon(SOURCE_VOCAB)
    lexicon.learn(*table())
    known = lexicon(torch.tensor([[4, 9, 6], [10, 5, 7]]))
    logits, weights = torch.randn(6, 1, TARGET_VOCAB), torch.rand(6, 2, 1, 3).softmax(-1)
    each = Memory(*(part.repeat_interleave(3, 0) for part in known[:2]), None)
    written = torch.randint(1, TARGET_VOCAB, (6, 1))
    assert torch.equal(mixed(logits, known.repeat(3), weights, written), mixed(logits, each, weights, written))


def test_a_word_of_several_tokens_is_said_in_order_and_once() -> None:
    lexicon = Lexicon(SOURCE_VOCAB)
    tokens, after, shares = (
        torch.zeros(SOURCE_VOCAB, MOST, dtype=kind) for kind in (torch.int64,) * 2 + (torch.float,)
    )
    tokens[4, :3], after[4, :3], shares[4, :3] = torch.tensor([5, 6, 7]), torch.tensor([0, 5, 6]), 0.4
    lexicon.learn(tokens, after, shares)
    written = torch.tensor([[1, 5, 6, 7, 9]])
    logits, looks = torch.zeros(1, 5, TARGET_VOCAB), torch.ones(1, 1, 5, 1)
    found = mixed(logits, lexicon(torch.tensor([[4]])), looks, written).exp()
    assert found.argmax(-1)[0, [0, 1, 2, 4]].tolist() == [5, 6, 7, 5]
    torch.testing.assert_close(found[0, 3], torch.full((TARGET_VOCAB,), 1 / TARGET_VOCAB))


def test_probabilities_that_vanish_stay_finite() -> None:
    """A forced token has a score, however unlikely it is."""
    lexicon = Lexicon(SOURCE_VOCAB)
    logits = torch.zeros(1, 1, TARGET_VOCAB)
    logits[..., 5] = 500.0
    found = mixed(logits, lexicon(torch.tensor([[4]])), torch.ones(1, 1, 1, 1), torch.ones(1, 1, dtype=torch.int64))
    torch.testing.assert_close(found, logits.log_softmax(-1))


@pytest.mark.parametrize(("model", "attention"), FAMILIES, ids=lambda part: "-".join(map(str, part.values())))
def test_laws_of_every_family_hold(model: dict[str, Any], attention: dict[str, Any], law: Law) -> None:
    law(build(model, attention), SOURCE, LENGTHS, TARGET)


@pytest.mark.parametrize(("model", "attention"), FAMILIES, ids=lambda part: "-".join(map(str, part.values())))
def test_it_has_a_say_and_company_changes_none_of_it(model: dict[str, Any], attention: dict[str, Any]) -> None:
    built, alone = build(model, attention), build(model, attention, weight=0.0)
    mixture, network = built(SOURCE, LENGTHS, TARGET), alone(SOURCE, LENGTHS, TARGET).log_softmax(-1)
    assert (mixture - network).abs().amax() > 0.05
    torch.testing.assert_close(mixture.exp().sum(-1), torch.ones(3, 4))
    for width in (1, 3):
        together = decode(built, [[5, 9, 4, 7], [3, 8, 10], [6, 4]], Beam(width))
        for source, found in zip([[5, 9, 4, 7], [3, 8, 10], [6, 4]], together, strict=True):
            (by_itself,) = decode(built, [source], Beam(width))
            assert [one.tokens for one in found] == [one.tokens for one in by_itself]


def test_training_knows_no_lexicon() -> None:
    model, attention = FAMILIES[3]
    built, alone = build(model, attention).train(), build(model, attention, weight=0.0).train()
    assert torch.equal(built(SOURCE, LENGTHS, TARGET), alone(SOURCE, LENGTHS, TARGET))


def test_what_a_new_corpus_lacks_is_kept() -> None:
    lexicon, former, new = Lexicon(SOURCE_VOCAB), table(), table(seed=4)
    new[2][6:] = 0.0
    lexicon.learn(*former)
    lexicon.learn(*new)
    for held, before, now in zip((lexicon.tokens, lexicon.after, lexicon.shares), former, new, strict=True):
        assert torch.equal(held.view(-1, MOST)[4:], torch.cat([now[4:6], before[6:]]))


def test_a_lexicon_of_an_earlier_version_opens() -> None:
    """It knew no order of tokens, and had no tensor for it."""
    model, attention = FAMILIES[3]
    held = build(model, attention).unique_state_dict()
    del held["lexicon.after"]
    opened = build(model, attention)
    with torch.no_grad():
        opened.load_unique_state_dict(held)
    assert opened.lexicon is not None
    assert torch.equal(opened.lexicon.tokens, held["lexicon.tokens"])
    assert not opened.lexicon.after.any()

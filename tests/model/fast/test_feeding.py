"""Input feeding written out against the plain loop: values, gradients, dropout, precision, and where it runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attentio.attention import Attention
from attentio.model import rnn
from attentio.model.decoder import Encoded
from attentio.model.fast.feeding import can_be_written_out, feed_over_time
from attentio.model.fast.recurrence import LSTM, CellState
from attentio.model.layers import Dropout
from attentio.model.rnn import LuongDecoder, features_by_steps
from attentio.model.seq2seq import Seq2Seq

Build = Callable[..., Seq2Seq]
SOURCE = torch.tensor([[5, 9, 4, 2, 0], [3, 8, 10, 6, 2], [7, 2, 0, 0, 0]])
LENGTHS = torch.tensor([4, 5, 2])
TARGET_IN = torch.tensor([[1, 7, 5, 12], [1, 4, 0, 0], [1, 11, 3, 0]])


def feeding(build: Build, **settings: Any) -> tuple[Seq2Seq, LuongDecoder]:
    model = build(input_feeding=True, **settings).train()
    assert isinstance(model.decoder, LuongDecoder)
    return model, model.decoder


def pulled(model: Seq2Seq, features: Tensor) -> list[Tensor]:
    """Gradients of all parameters that the features depend on, each feature pulling with its own weight."""
    pull = torch.randn(features.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    loss = (features * pull.to(features.dtype)).sum()
    return [
        g
        for g in torch.autograd.grad(loss, list(model.parameters()), retain_graph=True, allow_unused=True)
        if g is not None
    ]


@pytest.mark.slow
@pytest.mark.parametrize("score", ["dot", "scaled_dot", "bilinear"])
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("steps", [1, 4])
def test_it_is_the_plain_loop(build: Build, score: str, heads: int, steps: int) -> None:
    model, decoder = feeding(build, score=score, heads=heads)
    model = model.double()
    tokens = TARGET_IN[:, :steps]
    encoded = model.encode(SOURCE, LENGTHS)
    assert can_be_written_out(decoder.cells[0], decoder.attention, tokens)  # type: ignore[arg-type]
    found, wanted = decoder.features(tokens, encoded).values, features_by_steps(decoder, tokens, encoded).values
    assert found.shape == (3, steps, 5)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-14)
    for mine, theirs in zip(pulled(model, found), pulled(model, wanted), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-13)


T, B, S, E, H, F = 3, 2, 5, 3, 4, 2
MASK = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])


def parts(*, heads: int, attention_dropout: float, dropout: float) -> tuple[Attention, dict[str, Any]]:
    torch.manual_seed(2)
    attention = Attention(H, H, score="bilinear", num_heads=heads, dropout=attention_dropout).double()
    cell, combine = LSTM(E + F, H).double(), nn.Linear(H + H, F, bias=False).double()
    return attention, {"cell": cell, "combine": combine, "dropout": Dropout(dropout), "attention": attention}


def operands() -> list[Tensor]:
    """embedded (T, B, E), hidden and cell (B, H), encoder states (B, S, H)."""
    torch.manual_seed(3)
    sizes = [(T, B, E), (B, H), (B, H), (B, S, H)]
    return [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]


@pytest.mark.slow
@pytest.mark.parametrize("heads", [1, 2])
def test_gradients_with_dropout_are_those_of_finite_differences(heads: int) -> None:
    attention, rest = parts(heads=heads, attention_dropout=0.3, dropout=0.4)
    weights = [*rest["cell"].parameters(), *rest["combine"].parameters(), *attention.parameters()]

    def run(embedded: Tensor, hidden: Tensor, cell: Tensor, states: Tensor, *_: Tensor) -> Tensor:
        torch.manual_seed(7)  # the same elements fall each time
        memory = attention.prepare(states, mask=MASK)
        return feed_over_time(embedded, CellState(hidden, cell), memory, **rest)

    assert torch.autograd.gradcheck(run, (*operands(), *weights))


def test_dropout_falls_where_it_does_in_the_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """On what the cell gives, on the weights and on the features, not inside the recurrence; what fell is not fed."""
    attention, rest = parts(heads=2, attention_dropout=0.5, dropout=0.5)
    embedded, hidden, cell, states = operands()
    memory = attention.prepare(states, mask=MASK)
    drawn: list[Tensor] = []

    def halves(shape: torch.Size, *_: Any) -> Tensor:
        drawn.append(2.0 * torch.randint(2, shape).double())
        return drawn[-1]

    monkeypatch.setattr("attentio.model.fast.feeding.dropout_mask", halves)
    monkeypatch.setattr("torch.nn.functional.dropout", lambda ones, _: halves(ones.shape))
    found = feed_over_time(embedded, CellState(hidden, cell), memory, **rest)
    on_weights, on_hidden, on_features = drawn

    feed = torch.zeros(B, F, dtype=torch.float64)
    for t in range(T):
        inputs = torch.cat([embedded[t], feed], -1)[None]
        _, (h, c) = rest["cell"].layer(inputs, (hidden[None], cell[None]))
        hidden, cell = h[0], c[0]
        shown = hidden * on_hidden[t]
        scores = torch.einsum("bnd,bnsd->bns", shown.view(B, 2, H // 2), memory.keys)
        weights = scores.masked_fill(~MASK[:, None], -torch.inf).softmax(-1) * on_weights[t].view(B, 2, S)
        context = torch.einsum("bns,bnsv->bnv", weights, memory.values).flatten(1)
        feed = torch.tanh(rest["combine"](torch.cat([context, shown], -1))) * on_features[t]
        torch.testing.assert_close(found[:, t], feed)


def test_in_bfloat16_it_is_as_near_to_the_truth_as_the_plain_loop(build: Build) -> None:
    model, decoder = feeding(build, embedding_size=32, hidden_size=64)
    encoded = model.encode(SOURCE, LENGTHS)
    truth = features_by_steps(decoder, TARGET_IN, encoded).values
    true_gradients = pulled(model, truth)

    def errors(features: Callable[[Tensor, Encoded], Tensor]) -> tuple[float, float]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            given = features(TARGET_IN, model.encode(SOURCE, LENGTHS)).values
        pairs = list(zip(pulled(model, given), true_gradients, strict=True))
        off = sum((mine - true).square().sum() for mine, true in pairs)
        size = sum(true.square().sum() for _, true in pairs)
        return (given - truth).abs().max().item(), float(off / size) ** 0.5

    by_hand, plain = errors(decoder.features), errors(lambda *given: features_by_steps(decoder, *given))
    assert 0 < plain[0] < 0.05
    assert 0 < plain[1] < 0.05
    assert by_hand[0] < 1.5 * plain[0]
    assert by_hand[1] < 1.5 * plain[1]


@pytest.mark.parametrize(
    ("settings", "by_hand"),
    [
        ({}, True),
        ({"score": "scaled_dot", "heads": 3, "encoder_layers": 2, "lexical_memory": False}, True),
        ({"cell": "gru"}, False),
        ({"decoder_layers": 2}, False),
        ({"decoder_layers": 2, "attention_layer": "bottom"}, False),
        ({"layer_norm": True}, False),
        ({"score": "cosine"}, False),
        ({"score": "additive"}, False),
        ({"normalize": "sparsemax"}, False),
        ({"window": "local-m"}, False),
    ],
    ids=str,
)
def test_where_it_runs_it_is_the_plain_loop_and_elsewhere_the_loop_runs(
    build: Build, settings: dict[str, Any], by_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> Tensor:
        calls.append(1)
        return feed_over_time(*args, **kwargs)

    monkeypatch.setattr(rnn, "feed_over_time", counted)
    _, decoder = feeding(build, **settings)
    encoded = Encoded(torch.randn(3, 5, 6), torch.arange(5) < LENGTHS[:, None], summary=torch.randn(3, 6))
    found = decoder.features(TARGET_IN, encoded).values
    assert bool(calls) is by_hand
    torch.testing.assert_close(found, features_by_steps(decoder, TARGET_IN, encoded).values, rtol=1e-5, atol=1e-6)


def test_where_weights_are_to_be_seen_the_loop_runs(build: Build) -> None:
    model, decoder = feeding(build)
    seen: list[Any] = []
    decoder.attention.register_forward_hook(lambda _module, _inputs, attended: seen.append(attended.weights))
    model(SOURCE, LENGTHS, TARGET_IN)
    assert not seen
    model.eval()(SOURCE, LENGTHS, TARGET_IN)
    assert [weights.shape for weights in seen] == [(3, 1, 1, 5)] * 4
    decoder.attention.backend = "eager"
    model.train()(SOURCE, LENGTHS, TARGET_IN)
    assert len(seen) == 8

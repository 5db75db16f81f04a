"""Encoder and decoders: laws that hold for every variant, and one step of each recomputed from its formula."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attentio.attention import Attended, Memory
from attentio.model.rnn import RNNDecoder
from attentio.model.seq2seq import Seq2Seq

Build = Callable[..., Seq2Seq]

QUERIES = [
    {"query": "current"},
    {"query": "current", "input_feeding": True},
    {"query": "previous"},
]
VARIANTS = [
    {"cell": cell, "encoder_layers": layers, "decoder_layers": layers, "heads": heads, **query}
    for cell in ("lstm", "gru")
    for query in QUERIES
    for layers, heads in ((1, 1), (2, 3))
]
EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))

SOURCE = torch.tensor([[5, 9, 4, 2, 0], [3, 8, 10, 6, 2], [7, 2, 0, 0, 0]])
LENGTHS = torch.tensor([4, 5, 2])
TARGET_IN = torch.tensor([[1, 7, 5, 12], [1, 4, 0, 0], [1, 11, 3, 0]])


@EVERY_VARIANT
def test_step_by_step_equals_all_at_once(build: Build, variant: dict[str, Any]) -> None:
    model = build(**variant)
    together = model(SOURCE, LENGTHS, TARGET_IN)
    assert together.shape == (3, 4, 13)
    state = model.decoder.start(model.encode(SOURCE, LENGTHS))
    for t in range(TARGET_IN.shape[1]):
        logits, state = model.decoder.step(TARGET_IN[:, t], state)
        torch.testing.assert_close(logits, together[:, t], rtol=1e-5, atol=1e-5)


@EVERY_VARIANT
def test_padding_changes_nothing(build: Build, variant: dict[str, Any]) -> None:
    model = build(**variant)
    together = model(SOURCE, LENGTHS, TARGET_IN)
    littered = torch.where(torch.arange(5) < LENGTHS[:, None], SOURCE, 7)  # any token may stand in the padding
    torch.testing.assert_close(model(littered, LENGTHS, TARGET_IN), together)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(SOURCE[row : row + 1, :length], LENGTHS[row : row + 1], TARGET_IN[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-5, atol=1e-5)


@EVERY_VARIANT
def test_the_past_alone_decides(build: Build, variant: dict[str, Any]) -> None:
    model = build(**variant)
    changed = TARGET_IN.clone()
    changed[:, 2:] = 9
    before, after = model(SOURCE, LENGTHS, TARGET_IN), model(SOURCE, LENGTHS, changed)
    torch.testing.assert_close(before[:, :2], after[:, :2], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(before[:, 2:], after[:, 2:])


@EVERY_VARIANT
def test_selecting_rows_and_stepping_commute(build: Build, variant: dict[str, Any]) -> None:
    model = build(**variant)
    state = model.decoder.start(model.encode(SOURCE, LENGTHS))
    _, state = model.decoder.step(TARGET_IN[:, 0], state)
    rows = torch.tensor([2, 0, 2, 1])
    wanted, after = model.decoder.step(TARGET_IN[:, 1], state)
    found, after_selection = model.decoder.step(TARGET_IN[rows, 1], state.select(rows))
    torch.testing.assert_close(found, wanted[rows])
    again, _ = model.decoder.step(TARGET_IN[rows, 2], after_selection)
    wanted, _ = model.decoder.step(TARGET_IN[:, 2], after)
    torch.testing.assert_close(again, wanted[rows])


def test_reordering_keeps_the_memory(build: Build) -> None:
    model = build()
    state = model.decoder.start(model.encode(SOURCE, LENGTHS))
    _, state = model.decoder.step(TARGET_IN[:, 1], state)
    rows = torch.tensor([1, 0, 2])
    reordered = state.reorder(rows)
    assert reordered.memory is state.memory
    assert torch.equal(reordered.cells[0].hidden, state.cells[0].hidden[rows])


@EVERY_VARIANT
def test_every_parameter_is_used(build: Build, variant: dict[str, Any]) -> None:
    model = build(**variant)
    model(SOURCE, LENGTHS, TARGET_IN).square().sum().backward()
    unused = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert unused == []


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_keys_are_projected_once(build: Build, query: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(**query)
    calls: list[int] = []
    prepare = model.decoder.attention.prepare

    def counted(*args: Any, **kwargs: Any) -> Memory:
        calls.append(1)
        return prepare(*args, **kwargs)

    monkeypatch.setattr(model.decoder.attention, "prepare", counted)
    model(SOURCE, LENGTHS, TARGET_IN)
    assert len(calls) == 1


def test_the_summary_is_what_each_direction_read_last(build: Build) -> None:
    model = build()
    encoded = model.encode(SOURCE, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        assert torch.equal(encoded.summary[row, :3], encoded.states[row, length - 1, :3])
        assert torch.equal(encoded.summary[row, 3:], encoded.states[row, 0, 3:])
    assert torch.equal(encoded.mask.sum(-1), LENGTHS)


def seen_by_attention(model: Seq2Seq) -> tuple[list[Tensor], list[Attended]]:
    """What the attention is asked with and what it answers, from now on."""
    queries: list[Tensor] = []
    answers: list[Attended] = []

    def note(_module: nn.Module, inputs: tuple[Any, ...], attended: Attended) -> None:
        queries.append(inputs[0])
        answers.append(attended)

    model.decoder.attention.register_forward_hook(note)
    return queries, answers


def test_one_step_of_bahdanau_from_the_paper(build: Build) -> None:
    """c = attend(s_0); s_1 = cell([y; c], s_0); features = tanh(W [y; s_1; c]) (Bahdanau 2015, A.2)."""
    model = build(query="previous", score="additive")
    decoder: Any = model.decoder
    queries, answers = seen_by_attention(model)
    encoded = model.encode(SOURCE, LENGTHS)
    hidden, cell = torch.tanh(decoder.first_state(encoded.summary)).chunk(2, -1)
    logits, _ = decoder.step(TARGET_IN[:, 1], decoder.start(encoded))
    torch.testing.assert_close(queries[0][:, 0], hidden)
    context = answers[0].weights[:, 0] @ encoded.states  # type: ignore[index]
    word = decoder.embedding.table[TARGET_IN[:, 1]]
    layer = decoder.cells[0].layer
    (_, (after, _)) = layer(torch.cat([word, context[:, 0]], -1)[None], (hidden[None], cell[None]))
    features = torch.tanh(decoder.readout(torch.cat([word, after[0], context[:, 0]], -1)))
    torch.testing.assert_close(logits, features @ decoder.output.T + decoder.bias)


@pytest.mark.parametrize("feeding", [False, True])
def test_two_steps_of_luong_from_the_paper(build: Build, feeding: bool) -> None:
    """s_t = cell(y, s_{t-1}); c = attend(s_t); h = tanh(W_c [c; s_t]), fed to the next cell or not (Luong 2015)."""
    model = build(query="current", input_feeding=feeding)
    decoder: Any = model.decoder
    queries, answers = seen_by_attention(model)
    encoded = model.encode(SOURCE, LENGTHS)
    state = decoder.start(encoded)
    hidden, cell = (part[None] for part in torch.tanh(decoder.first_state(encoded.summary)).chunk(2, -1))
    features = torch.zeros(3, 5)
    for t in range(2):
        logits, state = decoder.step(TARGET_IN[:, t], state)
        word = decoder.embedding.table[TARGET_IN[:, t]]
        inputs = torch.cat([word, features], -1) if feeding else word
        _, (hidden, cell) = decoder.cells[0].layer(inputs[None], (hidden, cell))
        torch.testing.assert_close(queries[t][:, 0], hidden[0])
        context = answers[t].weights[:, 0] @ encoded.states  # type: ignore[index]
        features = torch.tanh(decoder.combine(torch.cat([context[:, 0], hidden[0]], -1)))
        torch.testing.assert_close(logits, features @ decoder.output.T + decoder.bias)


def test_dropout_falls_in_training_only(build: Build) -> None:
    model = build(dropout=0.5)
    assert torch.equal(model(SOURCE, LENGTHS, TARGET_IN), model(SOURCE, LENGTHS, TARGET_IN))
    model.train()
    assert not torch.equal(model(SOURCE, LENGTHS, TARGET_IN), model(SOURCE, LENGTHS, TARGET_IN))


def test_what_decoders_share_is_no_decoder() -> None:
    with pytest.raises(TypeError, match="abstract"):
        RNNDecoder(None, [], None, summary_size=1, dropout=0, tie_embeddings=False)  # type: ignore[abstract, arg-type]


def test_the_top_layer_asks(build: Build) -> None:
    """Bahdanau asks with the top layer's state before the step, Luong with the top layer's output of the step."""
    for query in ("previous", "current"):
        model = build(query=query, decoder_layers=2)
        decoder: Any = model.decoder
        queries, _ = seen_by_attention(model)
        state = decoder.start(model.encode(SOURCE, LENGTHS))
        _, after = decoder.step(TARGET_IN[:, 1], state)
        asked = state if query == "previous" else after
        assert torch.equal(queries[0][:, 0], asked.cells[-1].hidden)
        assert not torch.allclose(asked.cells[0].hidden, asked.cells[-1].hidden)

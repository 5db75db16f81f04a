"""Encoder and decoders: laws that hold for every variant, and one step of each recomputed from its formula."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attentio.attention import Attended, Memory
from attentio.errors import UsageError
from attentio.model.rnn import RNNDecoder
from attentio.model.seq2seq import Seq2Seq

Build = Callable[..., Seq2Seq]
Law = Callable[[Seq2Seq, Tensor, Tensor, Tensor], None]

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
] + [
    {"encoder_layers": 3, "decoder_layers": 2, "residual": True, "layer_norm": True},
    {"encoder_layers": 2, "decoder_layers": 3, "residual": True, "query": "previous"},
    {"layer_norm": True, "input_feeding": True, "cell": "gru"},
    {"bidirectional": False, "encoder_layers": 2, "query": "previous"},
    {"attention_layer": "bottom", "decoder_layers": 3},
    {"attention_layer": "bottom", "decoder_layers": 2, "input_feeding": True, "heads": 3, "cell": "gru"},
    {"attention_layer": "bottom", "decoder_layers": 3, "query": "previous", "residual": True, "layer_norm": True},
]
EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))

SOURCE = torch.tensor([[5, 9, 4, 2, 0], [3, 8, 10, 6, 2], [7, 2, 0, 0, 0]])
LENGTHS = torch.tensor([4, 5, 2])
TARGET_IN = torch.tensor([[1, 7, 5, 12], [1, 4, 0, 0], [1, 11, 3, 0]])


@pytest.mark.slow
@EVERY_VARIANT
def test_every_variant_obeys_the_laws(build: Build, variant: dict[str, Any], law: Law) -> None:
    law(build(**variant), SOURCE, LENGTHS, TARGET_IN)


def test_reordering_keeps_the_memory(build: Build) -> None:
    model = build()
    state = model.decoder.start(model.encode(SOURCE, LENGTHS))
    _, state, _ = model.decoder.step(TARGET_IN[:, 1], state)
    rows = torch.tensor([1, 0, 2])
    reordered = state.reorder(rows)
    assert reordered.memories is state.memories
    assert torch.equal(reordered.layers[0].cells[0].hidden, state.layers[0].cells[0].hidden[rows])


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


def test_the_summary_of_an_encoder_that_reads_forwards_is_its_last_state(build: Build) -> None:
    encoded = build(bidirectional=False, hidden_size=7).encode(SOURCE, LENGTHS)  # a width that has no half
    assert torch.equal(encoded.summary, encoded.states[torch.arange(3), LENGTHS - 1])


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
    logits, _, _ = decoder.step(TARGET_IN[:, 1], decoder.start(encoded))
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
        logits, state, _ = decoder.step(TARGET_IN[:, t], state)
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
        _, after, _ = decoder.step(TARGET_IN[:, 1], state)
        asked = state if query == "previous" else after
        assert torch.equal(queries[0][:, 0], asked.layers[0].cells[-1].hidden)
        assert not torch.allclose(asked.layers[0].cells[0].hidden, asked.layers[0].cells[-1].hidden)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_an_encoder_and_a_decoder_of_three_layers_from_the_formulas(build: Build, residual: bool, norm: bool) -> None:
    """x_n = x_{n-1} + layer(norm(x_{n-1})) (Wu 2016, eqs. 5-6; Ba 2016), the top normalised, layers those of torch."""
    settings = {"encoder_layers": 3, "decoder_layers": 3, "residual": residual, "layer_norm": norm}
    model = build(**settings, lexical_memory=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)  # gains other than 1

    def normalised(x: Tensor, norms: Any, n: int) -> Tensor:
        if not norm:
            return x
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norms[n].weight + norms[n].bias

    def climb(x: Tensor, layers: list[Callable[[Tensor], Tensor]], norms: Any) -> Tensor:
        x = layers[0](x)
        for n, layer in enumerate(layers[1:]):
            x = layer(normalised(x, norms, n)) + (x if residual else 0)
        return normalised(x, norms, -1)

    def both_ways(layer: Any) -> Callable[[Tensor], Tensor]:
        return lambda x: torch.cat([layer.forwards.layer(x)[0], layer.backwards.layer(x.flip(0))[0].flip(0)], -1)

    encoder, decoder = model.encoder, model.decoder
    source, lengths = SOURCE[1:2], LENGTHS[1:2]  # without padding
    encoded = model.encode(source, lengths)
    states = climb(
        encoder.embedding(source.t()), [both_ways(layer) for layer in encoder.layers], encoder.stacking.norms
    )
    torch.testing.assert_close(encoded.states, states.transpose(0, 1))

    first = decoder.start(encoded).layers[0].cells
    layers = [
        lambda x, layer=cell.layer, s=state: layer(x, (s.hidden[None], s.cell[None]))[0]
        for cell, state in zip(decoder.cells, first, strict=True)
    ]
    queries, _ = seen_by_attention(model)
    decoder(TARGET_IN[1:2], encoded)
    asked = climb(decoder.embedding(TARGET_IN[1:2].t()), layers, decoder.stacking.norms)
    torch.testing.assert_close(queries[0], asked.transpose(0, 1))


@pytest.mark.parametrize("query", ["current", "previous"])
def test_two_steps_of_bottom_attention_from_the_paper(build: Build, query: str) -> None:
    """The bottom layer asks; the context goes into the layers above it and into the output (Wu 2016, section 3.1)."""
    model = build(query=query, attention_layer="bottom", decoder_layers=3)
    decoder: Any = model.decoder
    queries, answers = seen_by_attention(model)
    encoded = model.encode(SOURCE, LENGTHS)
    state = decoder.start(encoded)
    carried = [
        (hidden[None], cell[None])
        for hidden, cell in zip(*[iter(torch.tanh(decoder.first_state(encoded.summary)).split(6, -1))] * 2, strict=True)
    ]
    for t in range(2):
        logits, state, _ = decoder.step(TARGET_IN[:, t], state)
        before = carried[0][0]
        _, carried[0] = decoder.cells[0].layer(decoder.embedding.table[TARGET_IN[:, t]][None], carried[0])
        asked = before if query == "previous" else carried[0][0]
        torch.testing.assert_close(queries[t][:, 0], asked[0])
        context = (answers[t].weights[:, 0] @ encoded.states)[:, 0]  # type: ignore[index]
        for n in (1, 2):
            inputs = torch.cat([carried[n - 1][0][0], context], -1)
            _, carried[n] = decoder.cells[n].layer(inputs[None], carried[n])
        features = torch.tanh(decoder.combine(torch.cat([context, carried[2][0][0]], -1)))
        torch.testing.assert_close(logits, features @ decoder.output.T + decoder.bias)


@pytest.mark.parametrize(
    ("settings", "reaches"),
    [
        ({}, False),
        ({"decoder_layers": 3}, False),
        ({"input_feeding": True}, True),
        ({"query": "previous"}, True),
        ({"attention_layer": "bottom", "decoder_layers": 2}, True),
        ({"attention_layer": "bottom", "decoder_layers": 2, "query": "previous"}, True),
    ],
    ids=str,
)
def test_what_was_attended_to_reaches_later_tokens_where_the_decoder_says_so(
    build: Build, settings: dict[str, Any], reaches: bool
) -> None:
    model = build(**settings)
    assert model.decoder.context_feeds_back is reaches
    wanted = model(SOURCE, LENGTHS, TARGET_IN)
    calls: list[int] = []

    def disturb(_module: nn.Module, _inputs: Any, attended: Attended) -> Attended:
        """Changes the context of the second token, whether asked for with the others or alone."""
        calls.append(1)
        context = attended.context.clone()
        if context.shape[2] > 1 or len(calls) == 2:
            context[:, :, 1 % context.shape[2]] += 1
        return attended._replace(context=context)

    model.decoder.attention.register_forward_hook(disturb)
    moved = (model(SOURCE, LENGTHS, TARGET_IN) - wanted).abs().amax((0, 2)) > 1e-4
    assert moved.tolist() == [False, True, reaches, reaches]


@pytest.mark.parametrize("query", ["current", "previous"])
def test_bottom_attention_asks_for_the_whole_target_at_once(build: Build, query: str) -> None:
    model = build(query=query, attention_layer="bottom", decoder_layers=2)
    queries, _ = seen_by_attention(model)
    model(SOURCE, LENGTHS, TARGET_IN)
    assert [tuple(asked.shape) for asked in queries] == [(3, 4, 6)]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"hidden_size": 7}, "must be even, for an encoder that reads both ways"),
        ({"residual": True}, "neither encoder nor decoder has a second"),
        ({"attention_layer": "bottom"}, "with one, the bottom is the top"),
        ({"query": "previous", "input_feeding": True}, "the context enters the cells anyway"),
        ({"query": "previous", "input_feeding": True, "attention_layer": "bottom", "decoder_layers": 2}, "anyway"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(build: Build, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        build(**settings)

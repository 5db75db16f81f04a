"""Transformer: the laws of every decoder, torch's own layers as the oracle, positions against their formulas."""

import math
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from attentio.attention import SCORES, WINDOWS
from attentio.errors import UsageError
from attentio.model.families import build_model
from attentio.model.layers import Learned, Rotary, Sinusoidal
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig, SelfAttentionConfig, TransformerConfig
from attentio.model.transformer import DecoderLayer, EncoderLayer, TransformerDecoder
from attentio.search.decode import UNWRITTEN, decode
from attentio.text.special import SPECIAL

Build = Callable[..., Seq2Seq]
Law = Callable[[Seq2Seq, Tensor, Tensor, Tensor], None]

SOURCE = torch.tensor([[5, 9, 4, 7, 2], [3, 8, 10, 2, 0], [7, 2, 0, 0, 0]])
LENGTHS = torch.tensor([5, 4, 2])
TARGET_IN = torch.tensor([[1, 7, 5, 12, 4, 6], [1, 4, 9, 3, 0, 0], [1, 11, 3, 0, 0, 0]])
SIZES: dict[str, Any] = {
    "hidden_size": 12,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "feed_forward_size": 10,
    "dropout": 0.0,
}


@pytest.fixture
def build() -> Build:
    """Builds a model in evaluation mode; `cross` and `own` are settings of the two attentions."""

    def make(
        cross: dict[str, Any] | None = None,
        own: dict[str, Any] | None = None,
        vocabularies: tuple[int, int] = (11, 13),
        **settings: Any,
    ) -> Seq2Seq:
        torch.manual_seed(3)
        model = TransformerConfig.model_validate(SIZES | settings)
        attention = AttentionConfig.model_validate({"score": "scaled_dot", "num_heads": 2} | (cross or {}))
        self_attention = SelfAttentionConfig.model_validate({"num_heads": 3} | (own or {}))
        return build_model(model, attention, *vocabularies, self_attention=self_attention).eval()

    return make


VARIANTS: list[dict[str, Any]] = [
    {},
    {"norm": "post", "positions": "learned", "activation": "relu"},
    {"positions": "rotary", "activation": "swiglu"},
    {"positions": "rotary", "norm": "post", "own": {"score": "additive"}},
    {"encoder_layers": 1, "decoder_layers": 3, "activation": "silu", "tie_embeddings": False},
    {"positions": "learned", "max_positions": 3},
    {"cross": {"window": "local-p"}},
    {"cross": {"score": "coverage"}, "own": {"window": "sliding"}},
    {"cross": {"normalize": "monotonic", "num_heads": 1}, "positions": "rotary"},
    {"cross": {"score": "location_aware", "normalize": "entmax15"}, "own": {"normalize": "sparsemax"}},
    {"own": {"score": "cosine", "window": "relative"}},
    {"own": {"score": "bilinear", "window": "local-m", "num_heads": 1}},
    {"own": {"window": "local-p"}},
    {"own": {"window": "local-p:renormalize=true", "num_heads": 2}, "positions": "rotary"},
    {"own": {"normalize": "hard_straight_through"}, "cross": {"normalize": "hard_straight_through"}},
    {"positions": "sinusoidal_halves", "embedding_norm": True, "norm": "post", "norm_epsilon": 1e-6},
    {
        "positions": "sinusoidal_t2t",
        "first_position": 1,
        "scale_embeddings": False,
        "vocabularies": (13, 13),
        "share_embeddings": True,
    },
    *({"cross": {"score": score}} for score in SCORES if score not in ("scaled_dot", "coverage", "location_aware")),
]
EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS, ids=str)


@pytest.mark.slow
@EVERY_VARIANT
def test_every_variant_obeys_the_laws(build: Build, variant: dict[str, Any], law: Law) -> None:
    law(build(**variant), SOURCE, LENGTHS, TARGET_IN)


def test_reordering_keeps_the_source_and_moves_the_rest(build: Build) -> None:
    model = build()
    encoded = model.encode(SOURCE[:1], LENGTHS[:1]).select(torch.tensor([0, 0, 0]))  # one sentence, three hypotheses
    state = model.decoder.start(encoded)
    for t in range(2):
        _, state, _ = model.decoder.step(TARGET_IN[:, t], state)
    rows = torch.tensor([1, 2, 0])
    reordered = state.reorder(rows)
    assert reordered.memories is state.memories
    for before, after in zip(state.layers, reordered.layers, strict=True):
        assert torch.equal(after.target.memory.keys, before.target.memory.keys[rows])
        assert torch.equal(after.target.memory.values, before.target.memory.values[rows])
    wanted, _, _ = model.decoder.step(TARGET_IN[:, 2], state)
    found, _, _ = model.decoder.step(TARGET_IN[rows, 2], reordered)
    torch.testing.assert_close(found, wanted[rows])


def _take(target: nn.Linear, *sources: tuple[Tensor, Tensor]) -> None:
    target.weight.copy_(torch.cat([weight for weight, _ in sources]))
    target.bias.copy_(torch.cat([bias for _, bias in sources]))


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@torch.no_grad()
def test_layers_are_those_of_torch(build: Build, norm: str, activation: str) -> None:
    """nn.TransformerEncoderLayer and nn.TransformerDecoderLayer with our weights put in."""
    model = build(cross={"num_heads": 3}, norm=norm, activation=activation)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape) / 3)
    kinds = {"dropout": 0.0, "activation": activation, "batch_first": True, "norm_first": norm == "pre"}
    encoder = nn.TransformerEncoderLayer(12, 3, 10, **kinds).eval()  # type: ignore[arg-type]
    decoder = nn.TransformerDecoderLayer(12, 3, 10, **kinds).eval()  # type: ignore[arg-type]
    ours = cast(EncoderLayer, model.encoder.layers[0])
    theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer = encoder
    own_decoder = cast(DecoderLayer, model.decoder.layers[1])
    for layer, theirs in ((ours, encoder), (own_decoder, decoder)):
        theirs.self_attn.in_proj_weight.copy_(layer.self_attn.query_key_value.weight)
        theirs.self_attn.in_proj_bias.copy_(layer.self_attn.query_key_value.bias)
        theirs.self_attn.out_proj.load_state_dict(layer.self_attn.output.state_dict())
        theirs.linear1.load_state_dict(layer.feed_forward.inner.state_dict())
        theirs.linear2.load_state_dict(layer.feed_forward.output.state_dict())
        theirs.norm1.load_state_dict(layer.self_residual.norm.state_dict())
    encoder.norm2.load_state_dict(ours.feed_forward_residual.norm.state_dict())
    decoder.norm2.load_state_dict(own_decoder.cross_residual.norm.state_dict())
    decoder.norm3.load_state_dict(own_decoder.feed_forward_residual.norm.state_dict())
    cross = own_decoder.cross
    decoder.multihead_attn.in_proj_weight.copy_(torch.cat([cross.query.weight, cross.key_value.weight]))
    decoder.multihead_attn.in_proj_bias.copy_(torch.cat([cross.query.bias, cross.key_value.bias]))
    decoder.multihead_attn.out_proj.load_state_dict(cross.output.state_dict())

    mask = torch.arange(5) < LENGTHS[:, None]
    states, target = torch.randn(3, 5, 12), torch.randn(3, 6, 12)
    wanted = encoder(states, src_key_padding_mask=~mask)
    found, _ = ours(states, mask)
    torch.testing.assert_close(found[mask], wanted[mask], rtol=1e-4, atol=1e-5)

    encoded = model.encode(SOURCE, LENGTHS)._replace(states=states)
    found, *_ = own_decoder(target, target, *own_decoder.start(encoded))
    ahead = nn.Transformer.generate_square_subsequent_mask(6)
    wanted = decoder(target, states, tgt_mask=ahead, tgt_is_causal=True, memory_key_padding_mask=~mask)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_stack_is_embedding_positions_layers_norm(build: Build) -> None:
    model = build()
    encoder = model.encoder
    states = encoder.embedding.table[SOURCE] * math.sqrt(12) + encoder.positions(0, 5)
    mask = torch.arange(5) < LENGTHS[:, None]
    for layer in encoder.layers:
        states, _ = layer(states, mask)
    wanted = nn.functional.layer_norm(states, (12,), encoder.norm.weight, encoder.norm.bias)
    found = model.encode(SOURCE, LENGTHS)
    torch.testing.assert_close(found.states, wanted)
    assert torch.equal(found.mask, mask)


def test_sinusoids_are_those_of_the_paper() -> None:
    positions = Sinusoidal(6, max_positions=4)
    found = positions(2, 5)  # beyond the table
    for row, place in enumerate(range(2, 7)):
        for i in range(3):
            angle = place / 10_000 ** (2 * i / 6)
            assert found[row, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert found[row, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_learned_positions_beyond_the_last_share_its_vector() -> None:
    positions = Learned(4, 3)
    found = positions(1, 4)
    assert torch.equal(found, positions.table[[1, 2, 2, 2]])
    assert torch.equal(positions(0, 2), positions.table[:2])


def test_rotary_products_depend_on_distance_alone() -> None:
    rotary = Rotary(2)
    torch.manual_seed(0)
    query, key = torch.randn(1, 1, 12, dtype=torch.float64), torch.randn(1, 1, 12, dtype=torch.float64)

    def products(place: int, other: int) -> Tensor:
        a, b = rotary(query, place).view(2, 6), rotary(key, other).view(2, 6)
        return (a * b).sum(-1)

    torch.testing.assert_close(products(7, 4), products(23, 20), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(products(7, 4), products(7, 5))
    torch.testing.assert_close(rotary(query, 0), query)
    # A pair is (i, i + D/2), turned by place * 10000^(-2i/D).
    angle = 5 * 10_000 ** (-2 / 6)
    x, y = query[0, 0, 1], query[0, 0, 4]
    turned = rotary(query, 5)[0, 0]
    assert turned[1].item() == pytest.approx((x * math.cos(angle) - y * math.sin(angle)).item(), abs=1e-5)
    assert turned[4].item() == pytest.approx((y * math.cos(angle) + x * math.sin(angle)).item(), abs=1e-5)


def test_sinusoids_in_halves_by_hand() -> None:
    found = Sinusoidal(6, kind="sinusoidal_halves", first=1)(2, 1)[0]  # the third position, number 3
    angles = [3 * 10_000 ** (-2 * i / 6) for i in range(3)]
    assert found.tolist() == pytest.approx([*map(math.sin, angles), *map(math.cos, angles)], abs=1e-6)
    found = Sinusoidal(7, kind="sinusoidal_t2t")(5, 1)[0]
    angles = [5.0, 5 / 100, 5 / 10_000]
    assert found.tolist() == pytest.approx([*map(math.sin, angles), *map(math.cos, angles), 0], abs=1e-6)


@pytest.mark.parametrize("kind", ["sinusoidal", "sinusoidal_halves", "sinusoidal_t2t"])
def test_a_longer_table_goes_on_as_it_began(kind: str) -> None:
    short, long = Sinusoidal(6, 3, kind=kind, first=2), Sinusoidal(6, 20, kind=kind, first=2)
    assert torch.equal(short(1, 9), long(1, 9))


def test_one_matrix_for_both_sides_of_one_vocabulary(build: Build) -> None:
    model = build(share_embeddings=True, vocabularies=(13, 13))
    assert model.encoder.embedding.table is model.decoder.embedding.table is model.decoder.output  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="these have 11 and 13 tokens"):
        build(share_embeddings=True)


def test_an_end_that_is_not_read_has_no_weight_and_no_say(build: Build) -> None:
    model = build(source_end=False)
    other = SOURCE.clone()
    other[torch.arange(3), LENGTHS - 1] = 6
    torch.testing.assert_close(model(other, LENGTHS, TARGET_IN), model(SOURCE, LENGTHS, TARGET_IN))
    encoded = model.encode(SOURCE, LENGTHS)
    step = model.decoder.step(TARGET_IN[:, 0], model.decoder.start(encoded))
    for attended in (encoded.attended["encoder self 1"], step.attended["layer 2"]):
        assert attended.weights is not None
        assert not attended.weights[torch.arange(3), ..., LENGTHS - 1].any()
    empty = model(torch.tensor([[2]]), torch.tensor([1]), TARGET_IN[:1])
    assert torch.isfinite(empty).all()


@pytest.mark.parametrize("positions", ["sinusoidal", "sinusoidal_halves", "sinusoidal_t2t", "learned", "rotary"])
def test_order_matters_to_every_kind_of_positions(build: Build, positions: str) -> None:
    model = build(positions=positions, encoder_layers=1)
    swapped = SOURCE[:1, [1, 0, 2, 3, 4]]
    assert not torch.allclose(model(SOURCE[:1], LENGTHS[:1], TARGET_IN[:1]), model(swapped, LENGTHS[:1], TARGET_IN[:1]))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"cross": {"num_heads": 5}}, "divisible by attention.num_heads = 5"),
        ({"own": {"num_heads": 5}}, "divisible by self_attention.num_heads = 5"),
        ({"own": {"num_heads": 4}, "positions": "rotary"}, "heads of self_attention must be even"),
        ({"positions": "learned", "first_position": 1}, "first_position is about sinusoids"),
        ({"own": {"score": "coverage"}}, "goes along a source that stands still"),
        ({"own": {"normalize": "monotonic"}}, "goes along a source that stands still"),
        ({"own": {"normalize": "hard_reinforce"}}, "has its objective for the attention to the source only"),
    ],
)
def test_what_does_not_fit_together_is_said_with_the_reason(
    build: Build, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        build(**settings)
    assert reason in str(caught.value)


def test_a_score_with_a_reach_goes_to_its_end_and_no_further(build: Build) -> None:
    """The room behind a growing memory, which has a multiple of eight places, lies beyond it."""
    model = build(own={"score": "location:11", "num_heads": 2})
    with torch.no_grad():
        model.decoder.bias[SPECIAL.eos] -= 100
    ((found,),) = decode(model, [SOURCE[0, :3].tolist()], max_lengths=[11])
    assert len(found.tokens) == 11
    given = torch.tensor([[SPECIAL.bos, *found.tokens[:-1]]])
    logits = model(*(torch.tensor(each) for each in ([[*SOURCE[0, :3].tolist(), SPECIAL.eos]], [4])), given)
    logits[..., UNWRITTEN] = -math.inf
    written = logits.log_softmax(-1)[0, torch.arange(11), torch.tensor(found.tokens)]
    torch.testing.assert_close(written, torch.tensor(found.log_probs), rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match="reaches 11 keys, not 12"):
        decode(model, [SOURCE[0, :3].tolist()], max_lengths=[12])


def test_self_attention_belongs_to_the_transformer() -> None:
    with pytest.raises(UsageError, match="self_attention is a part of model"):
        build_model(RNNConfig(), AttentionConfig(), 5, 5, self_attention=SelfAttentionConfig(num_heads=2))


def test_contexts_reach_later_tokens_through_a_layer_above(build: Build) -> None:
    """Test `context_feeds_back`: a change of one step's context alone changes later features, or does not."""
    for layers in (1, 2):
        model = build(decoder_layers=layers)
        assert isinstance(model.decoder, TransformerDecoder)
        encoded = model.encode(SOURCE[:1], LENGTHS[:1])
        cross = cast(DecoderLayer, model.decoder.layers[0]).cross

        def push(_module: nn.Module, _inputs: Any, output: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
            pushed = output[0].clone()
            pushed[:, 1] += torch.linspace(0, 1, 12)  # not a constant, which layer normalisation takes away
            return pushed, output[1]

        before = model.decoder.features(TARGET_IN[:1], encoded).values
        handle = cross.register_forward_hook(push)
        after = model.decoder.features(TARGET_IN[:1], encoded).values
        handle.remove()
        assert not torch.allclose(before[:, 1], after[:, 1])
        assert torch.allclose(before[:, 2:], after[:, 2:], atol=1e-6) is not model.decoder.context_feeds_back


CHANGES: dict[str, dict[str, Any]] = {
    "hidden_size": {"hidden_size": 24},
    "encoder_layers": {"encoder_layers": 1},
    "decoder_layers": {"decoder_layers": 1},
    "feed_forward_size": {"feed_forward_size": 20},
    "activation": {"activation": "silu"},
    "norm": {"norm": "post"},
    "positions": {"positions": "rotary"},
    "max_positions": {"positions": "learned", "max_positions": 3},
    "dropout": {"dropout": 0.5},
    "word_dropout": {"word_dropout": 0.5},
    "tie_embeddings": {"tie_embeddings": False},
    "first_position": {"first_position": 1},
    "scale_embeddings": {"scale_embeddings": False},
    "embedding_norm": {"embedding_norm": True},
    "share_embeddings": {"share_embeddings": True, "vocabularies": (13, 13)},
    "norm_epsilon": {"norm_epsilon": 0.1},
    "source_end": {"source_end": False},
    "lexicon": {"lexicon": 0.4},
}


def test_all_settings_are_tried() -> None:
    assert CHANGES.keys() == TransformerConfig.model_fields.keys() - {"family"}


def _outcome(model: Seq2Seq) -> tuple[int, Tensor]:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    torch.manual_seed(2)
    given = SOURCE, LENGTHS, TARGET_IN
    return model.num_parameters(), torch.stack([model.train()(*given), model.eval()(*given)]).detach()


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_acts(build: Build, name: str) -> None:
    base = {"positions": "learned"} if name == "max_positions" else {}
    (count, logits), (other_count, other) = _outcome(build(**base)), _outcome(build(**CHANGES[name]))
    assert count != other_count or not torch.allclose(logits, other, atol=1e-5)


LONG = torch.cat([torch.arange(24) % 8 + 3, torch.tensor([2])])[None]  # longer than the windows are wide
OWN_CHANGES: list[dict[str, Any]] = [
    {"score": "additive"},
    {"normalize": "entmax15"},
    *({"window": window} for window in sorted(WINDOWS.keys() - {"full"})),
    {"num_heads": 2},
    {"dropout": 0.5},
]


@pytest.mark.slow
@pytest.mark.parametrize("own", OWN_CHANGES, ids=str)
def test_settings_of_self_attention_act(build: Build, own: dict[str, Any]) -> None:
    base, changed = build(), build(own=own)
    for model in (base, changed):
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
        torch.manual_seed(2)
        model.train()
    logits, other = (model(LONG, torch.tensor([25]), LONG) for model in (base, changed))
    assert not torch.allclose(logits, other, atol=1e-5)


def test_all_settings_of_self_attention_are_tried() -> None:
    assert {name for change in OWN_CHANGES for name in change} == SelfAttentionConfig.model_fields.keys()

"""MultiHeadAttention in the place of torch's: same arguments, masks, state dict and numbers."""

import inspect
import warnings

import pytest
import torch
from torch import nn

from attentio.attention import Attention, MultiHeadAttention

B, T, S, E, H = 2, 5, 7, 12, 3


def pair(**options):
    torch.manual_seed(0)
    torchs = nn.MultiheadAttention(E, H, **options).double().eval()
    for bias in (torchs.in_proj_bias, torchs.out_proj.bias):
        if bias is not None:
            nn.init.normal_(bias)
    ours = MultiHeadAttention(E, H, **options).double().eval()
    ours.load_state_dict(torchs.state_dict())
    return torchs, ours


def operands(batch_first=False, kdim=E, vdim=E):
    torch.manual_seed(1)
    tensors = [torch.randn(B, n, size, dtype=torch.float64) for n, size in ((T, E), (S, kdim), (S, vdim))]
    return tensors if batch_first else [x.transpose(0, 1) for x in tensors]


def padding():
    mask = torch.zeros(B, S, dtype=torch.bool)
    mask[1, -3:] = True  # True: ignore, as torch has it
    return mask


MASKS = {
    "none": {},
    "padding": {"key_padding_mask": padding()},
    "ignored pairs": {"attn_mask": torch.rand(T, S, generator=torch.Generator().manual_seed(2)) < 0.3},
    "added": {"attn_mask": torch.randn(T, S, dtype=torch.float64, generator=torch.Generator().manual_seed(2))},
    "of every head": {
        "attn_mask": torch.rand(B * H, T, S, generator=torch.Generator().manual_seed(2)) < 0.3,
        "key_padding_mask": padding(),
    },
    "added to every head": {
        "attn_mask": torch.randn(B * H, T, S, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    },
    "added to keys": {
        "key_padding_mask": torch.randn(B, S, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    },
    "added to pairs and to keys": {
        "attn_mask": torch.randn(T, S, dtype=torch.float64, generator=torch.Generator().manual_seed(2)),
        "key_padding_mask": torch.randn(B, S, dtype=torch.float64, generator=torch.Generator().manual_seed(3)),
    },
    "added with minus infinity": {
        "attn_mask": torch.zeros(T, S).double().masked_fill(torch.eye(T, S, dtype=torch.bool), -torch.inf),
        "key_padding_mask": torch.randn(B, S, dtype=torch.float64, generator=torch.Generator().manual_seed(3)),
    },
}


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_first": True},
        {"bias": False},
        {"kdim": 8, "vdim": 10},
        {"add_bias_kv": True},
        {"add_zero_attn": True},
        {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("training", [False, True])
def test_agrees_with_torch(masks, options, training):
    torchs, ours = pair(**options)
    inputs = operands(**{key: value for key, value in options.items() if key in ("batch_first", "kdim", "vdim")})
    expected, expected_weights = torchs.train(training)(*inputs, **MASKS[masks])
    for average in (True, False):
        output, weights = ours.train(training)(*inputs, **MASKS[masks], average_attn_weights=average)
        torch.testing.assert_close(output, expected)
        torch.testing.assert_close(weights if average else weights.mean(1), expected_weights)
    output, weights = ours(*inputs, **MASKS[masks], need_weights=False)
    torch.testing.assert_close(output, expected)
    assert weights is None


def test_gradients_agree_with_torch():
    torchs, ours = pair()
    inputs = operands()
    for module in (torchs, ours.train()):
        module(*inputs, key_padding_mask=padding(), need_weights=False)[0].square().sum().backward()
    for (name, one), (_, other) in zip(torchs.named_parameters(), ours.named_parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)


def test_a_sentence_alone_and_looking_ahead():
    torchs, ours = pair()
    query = torch.randn(T, E, dtype=torch.float64)
    causal = nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64)
    expected, expected_weights = torchs(query, query, query, attn_mask=causal)
    output, weights = ours(query, query, query, is_causal=True)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(weights, expected_weights)
    ignored = torch.tensor([False, False, False, True, True])
    expected, _ = torchs(query, query, query, key_padding_mask=ignored)
    torch.testing.assert_close(ours(query, query, query, key_padding_mask=ignored)[0], expected)


def test_it_can_be_put_into_torchs_own_transformer_layer():
    torch.manual_seed(0)
    layer = nn.TransformerDecoderLayer(E, H, dim_feedforward=8, dropout=0.0, batch_first=True).double()
    query, memory, _ = operands(batch_first=True)
    expected = layer(query, memory)
    ours = MultiHeadAttention(E, H, batch_first=True).double()
    ours.load_state_dict(layer.multihead_attn.state_dict())
    layer.multihead_attn = ours
    torch.testing.assert_close(layer(query, memory), expected)


def test_the_signature_and_state_dict_are_torchs():
    ours, torchs = (
        {name: p.default for name, p in inspect.signature(kind).parameters.items() if p.kind is not p.KEYWORD_ONLY}
        for kind in (MultiHeadAttention, nn.MultiheadAttention)
    )
    assert ours == torchs
    call, torchs_call = (inspect.signature(k.forward).parameters for k in (MultiHeadAttention, nn.MultiheadAttention))
    assert {n: p.default for n, p in call.items()} == {n: p.default for n, p in torchs_call.items()}
    for options in ({}, {"kdim": 8}, {"bias": False}, {"add_bias_kv": True}):
        torchs, ours = pair(**options)
        assert list(ours.state_dict()) == list(torchs.state_dict())


def test_a_query_that_may_look_nowhere_gets_zeros_not_nan():
    _, ours = pair(bias=False)
    inputs = operands()
    for need_weights in (True, False):
        for training in (True, False):
            for nowhere in (torch.ones(B, S, dtype=torch.bool), torch.full((B, S), -torch.inf).double()):
                output, _ = ours.train(training)(*inputs, key_padding_mask=nowhere, need_weights=need_weights)
                assert (output == 0).all()


@pytest.mark.parametrize("mask", [padding(), torch.zeros(B, S).double().masked_fill(padding(), -torch.inf)])
def test_nan_in_the_padding_reaches_no_gradient(mask):
    _, ours = pair(batch_first=True)
    query, key, value = operands(batch_first=True)
    key[padding()], value[padding()] = torch.nan, torch.inf
    output, _ = ours(query, key, value, key_padding_mask=mask)
    output.sum().backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters())


def test_one_head_is_attention_between_linear_maps():
    torch.manual_seed(0)
    module = MultiHeadAttention(E, 1, batch_first=True).double().eval()
    inputs = operands(batch_first=True)
    weights, biases = module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3)
    q, k, v = (x @ w.T + b for x, w, b in zip(inputs, weights, biases, strict=True))
    attention = Attention(E, E, score="scaled_dot").double().eval()
    attended = attention(q, attention.prepare(k, v, ~padding()))
    output, seen = module(*inputs, key_padding_mask=padding())
    torch.testing.assert_close(output, module.out_proj(attended.context.squeeze(1)))
    torch.testing.assert_close(seen, attended.weights.squeeze(1))


def test_the_axes_of_attention_are_open_to_it():
    module = MultiHeadAttention(E, H, score="additive", normalize="sparsemax", window="causal", batch_first=True)
    query = torch.randn(B, T, E)
    _, weights = module(query, query, query)
    assert (weights.triu(1) == 0).all()
    assert "attention.score.v" in module.state_dict()


def test_dtype_and_device_are_taken_at_birth():
    module = MultiHeadAttention(E, H, dtype=torch.float64, device="cpu", score="additive")
    assert {p.dtype for p in module.parameters()} == {torch.float64}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchs = nn.MultiheadAttention(E, H)
    ours = MultiHeadAttention(E, H)
    for name, value in torchs.state_dict().items():
        assert (ours.state_dict()[name] == 0).all() == (value == 0).all()

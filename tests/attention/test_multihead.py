"""MultiHeadAttention in the place of torch's: same arguments, masks, state dict and numbers."""

import copy
import inspect
import warnings
from itertools import product

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


OPTIONS = (
    {},
    {"batch_first": True},
    {"bias": False},
    {"kdim": 8, "vdim": 10},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
)
EVERY = product(enumerate(MASKS), enumerate(OPTIONS), (False, True))
# Every pair of a mask, options and a mode, half of the product.
COVERING = [(masks, options, training) for (i, masks), (j, options), training in EVERY if (i + j + training) % 2]


@pytest.mark.slow
@pytest.mark.parametrize(("masks", "options", "training"), COVERING, ids=str)
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


SIZES = {"dim_feedforward": 8, "dropout": 0.0, "batch_first": True}


def replaced(module, heads, **options):
    """A copy of a container of torch, in which every attention of torch is ours, with the same weights."""
    module = copy.deepcopy(module)
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.MultiheadAttention):
                ours = MultiHeadAttention(E, heads, batch_first=child.batch_first, **options).double()
                ours.load_state_dict(child.state_dict(), strict=not options)
                setattr(part, name, ours)
    return module


def container(name, heads, **options):
    torch.manual_seed(0)
    options = SIZES | options
    encoder_layer = nn.TransformerEncoderLayer(E, heads, **options)
    decoder_layer = nn.TransformerDecoderLayer(E, heads, **options)
    made = {
        "encoder layer": lambda: encoder_layer,
        "decoder layer": lambda: decoder_layer,
        "encoder": lambda: nn.TransformerEncoder(encoder_layer, 2),
        "decoder": lambda: nn.TransformerDecoder(decoder_layer, 2),
        "transformer": lambda: nn.Transformer(E, heads, 2, 2, **options),
    }[name]()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made.double()


def called(module, masked):
    source, target = operands(batch_first=True)[1], operands(batch_first=True)[0]
    source_masks = {"src_key_padding_mask": padding()} if masked else {}
    target_masks = {"tgt_mask": torch.ones(T, T, dtype=torch.bool).triu(1)} if masked else {}
    memory_masks = {"memory_key_padding_mask": padding()} if masked else {}
    if isinstance(module, nn.TransformerEncoder | nn.TransformerEncoderLayer):
        output = module(source, **source_masks)
        return output.masked_fill(padding()[:, :, None], 0.0) if masked else output  # padding is not defined
    if isinstance(module, nn.Transformer):
        return module(source, target, **source_masks, **target_masks, **memory_masks)
    return module(target, source, **target_masks, **memory_masks)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True", "ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(
    ("name", "heads", "masked", "norm_first"),  # every pair of these
    [
        ("encoder layer", 2, True, False),
        ("encoder layer", 3, False, True),
        ("decoder layer", 2, False, True),
        ("decoder layer", 3, True, False),
        ("encoder", 2, True, False),  # torch has kernels of its own for an even number of heads and nested tensors
        ("encoder", 3, False, True),
        ("decoder", 2, True, True),
        ("decoder", 3, False, False),
        ("transformer", 2, False, False),
        ("transformer", 3, True, True),
    ],
)
def test_it_takes_the_place_of_torchs_in_every_container(name, heads, masked, norm_first):
    torchs = container(name, heads, norm_first=norm_first)
    ours = replaced(torchs, heads)
    for training in (True, False):
        for gradient in (True, False):
            with torch.set_grad_enabled(gradient):
                expected = called(torchs.train(training), masked)
                torch.testing.assert_close(called(ours.train(training), masked), expected, atol=1e-6, rtol=0)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True", "ignore:The PyTorch API of nested tensors")
def test_an_encoder_that_is_made_of_layers_with_ours_is_torchs():
    torchs = container("encoder layer", 2)
    ours = nn.TransformerEncoder(replaced(torchs, 2), 2).eval()
    torchs = nn.TransformerEncoder(torchs, 2).eval()
    for masked in (False, True):
        with torch.no_grad():
            torch.testing.assert_close(called(ours, masked), called(torchs, masked), atol=1e-6, rtol=0)


def test_containers_use_the_axes_of_ours_in_evaluation_too():
    torchs = container("encoder layer", 2).eval()
    ours = replaced(torchs, 2, normalize="sparsemax").eval()
    with torch.no_grad():
        sparse, dense = called(ours, masked=False), called(torchs, masked=False)
    assert not torch.allclose(sparse, dense, atol=1e-3)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_sentences_without_padding():
    _, ours = pair(batch_first=True)
    rows = [torch.randn(n, E, dtype=torch.float64) for n in (S, S - 3)]
    nested = torch.nested.nested_tensor(rows)
    output, weights = ours(nested, nested, nested, need_weights=False)
    assert output.is_nested
    assert weights is None
    for row, expected in zip(output.unbind(), rows, strict=True):
        torch.testing.assert_close(row, ours(expected, expected, expected)[0])
    with pytest.raises(TypeError, match="take no masks and give no weights"):
        ours(nested, nested, nested)
    with pytest.raises(TypeError, match="must all be nested"):
        ours(torch.randn(2, 3, E).double(), nested, nested, need_weights=False)


@pytest.mark.parametrize("name", ["key_padding_mask", "attn_mask"])
def test_masks_of_integers_are_refused_as_torch_does(name):
    torchs, ours = pair()
    mask = (padding() if name == "key_padding_mask" else torch.eye(T, S)).long()
    with pytest.raises((AssertionError, RuntimeError)):
        torchs(*operands(), **{name: mask})
    with pytest.raises(TypeError, match=rf"{name} must be boolean .* or floating .*, not torch.int64"):
        ours(*operands(), **{name: mask})


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

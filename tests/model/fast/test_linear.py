"""Linear maps against torch's own."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attentio.model.fast import linear as module
from attentio.model.fast.linear import Linear, input_gradient, linear, product_and, weight_gradient

ONEDNN = pytest.mark.skipif(not module.HAS_ONEDNN, reason="this build of torch has no oneDNN product")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 5, 7), (0, 7), (2, 0, 7), (1, 1, 7)], ids=str)
def test_values_and_gradients_are_torchs(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    given = [torch.randn(*shape), torch.randn(11, 7), *([torch.randn(11)] if bias else [])]
    for parameter in given:
        parameter.requires_grad_()
    found, wanted = linear(*given), F.linear(*given)
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn_like(wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found, given, upstream), torch.autograd.grad(wanted, given, upstream)
    )
    with torch.no_grad():
        torch.testing.assert_close(linear(*given), wanted.detach())
    changed = linear(*given)
    changed[..., :2] = 0  # as torch's own may be
    torch.testing.assert_close(torch.autograd.grad(changed, given, upstream)[0], (upstream[..., 2:] @ given[1][2:]))


def test_a_bias_learns_by_itself() -> None:
    inputs, weight, bias = torch.randn(5, 7), torch.randn(11, 7), torch.zeros(11, requires_grad=True)
    linear(inputs, weight, bias).sum().backward()
    assert bias.grad is not None
    torch.testing.assert_close(bias.grad, torch.full((11,), 5.0))


def test_strided_operands() -> None:
    torch.manual_seed(0)
    inputs, weight = torch.randn(5, 3, 7).transpose(0, 1), torch.randn(7, 11).t()
    torch.testing.assert_close(linear(inputs, weight), F.linear(inputs, weight))
    left, right, added = torch.randn(7, 5).t(), torch.randn(11, 7).t(), torch.randn(5, 13)[:, :11]
    torch.testing.assert_close(input_gradient(left, right), left @ right)
    torch.testing.assert_close(weight_gradient(left.t(), right), left @ right)
    torch.testing.assert_close(product_and(added, left, right), added + left @ right)


@ONEDNN
def test_slices_of_matrices_are_given_as_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    """What oneDNN computes in a plain loop, three thousand times slower, never reaches it."""
    torch.manual_seed(0)
    given: list[torch.Tensor] = []
    for name, place in (("onednn_unary", 1), ("onednn_binary", 2)):
        plain = getattr(module, name)
        watch = lambda *call, plain=plain, place=place: (given.append(call[place]), plain(*call))[1]  # noqa: E731
        monkeypatch.setattr(module, name, watch)
    inputs, wide, tall = torch.randn(5, 7), torch.randn(11, 13)[:, 3:10], torch.randn(13, 11)[3:10]
    sliced = wide.requires_grad_()
    found = linear(inputs.requires_grad_(), sliced)
    torch.testing.assert_close(found, F.linear(inputs, sliced))
    found.sum().backward()
    with torch.no_grad():
        torch.testing.assert_close(input_gradient(inputs, wide.t()), inputs @ wide.t())
        torch.testing.assert_close(product_and(found, inputs, wide.t()), found + inputs @ wide.t())
        torch.testing.assert_close(input_gradient(inputs, tall), inputs @ tall)
    assert len(given) == 6
    for weight in given:
        assert weight.is_contiguous() or weight.t().is_contiguous()


@ONEDNN
def test_single_precision_is_kept() -> None:
    """As close to the sums in double precision as torch's own product: no operand is rounded to less."""
    torch.manual_seed(0)
    inputs, weight = torch.randn(65, 257), torch.randn(129, 257)
    exact = F.linear(inputs.double(), weight.double())

    def error(found: torch.Tensor) -> float:
        return (found.double() - exact).abs().max().item()

    assert module.takes_onednn(inputs, weight)
    assert error(linear(inputs, weight)) < 3 * error(F.linear(inputs, weight)) + 1e-6
    assert error(F.linear(inputs.bfloat16(), weight.bfloat16())) > 100 * error(linear(inputs, weight))


@ONEDNN
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_left_to_torch(dtype: torch.dtype) -> None:
    inputs, weight = torch.randn(5, 7, dtype=dtype), torch.randn(11, 7, dtype=dtype)
    assert not module.takes_onednn(inputs, weight)
    assert linear(inputs, weight).equal(F.linear(inputs, weight))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(torch.ones(2, 7), torch.ones(3, 7)).dtype == torch.bfloat16


def test_the_module_is_torchs() -> None:
    mine, theirs = Linear(7, 11), nn.Linear(7, 11)
    for name, parameter in theirs.named_parameters():
        assert mine.get_parameter(name).shape == parameter.shape
        assert 0.2 < mine.get_parameter(name).abs().max() <= 7**-0.5
    inputs = torch.randn(3, 7)
    mine.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(mine(inputs), theirs(inputs))
    assert Linear(7, 11, bias=False).bias is None


@ONEDNN
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(7,), (1, 7), (5, 7), (2, 3, 7), (0, 7), (300, 7)], ids=str)
def test_packed_weights_give_the_same(
    shape: tuple[int, ...], dtype: torch.dtype, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    mine, inputs = Linear(7, 11, bias=bias).to(dtype), torch.randn(shape, dtype=dtype)
    read: list[torch.Tensor] = []
    plain = module.onednn_unary
    monkeypatch.setattr(module, "onednn_unary", lambda *call: (read.append(call[1]), plain(*call))[1])
    with torch.inference_mode():
        wanted = mine(inputs)
        mine.pack()
        read.clear()
        torch.testing.assert_close(mine(inputs), wanted)
    has_product = dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert (mine.packed is not None) == has_product  # a processor without bf16 products packs none
    taken = has_product and len(shape) > 1 and 0 not in shape
    assert len(read) == taken
    assert all(weight is mine.packed for weight in read)


@ONEDNN
def test_packed_weights_are_for_use_only() -> None:
    """Where a gradient is wanted, or the weight is of another kind by now, the weight itself is read."""
    mine, inputs = Linear(7, 11), torch.randn(5, 7)
    mine.pack()
    mine(inputs).sum().backward()
    assert mine.weight.grad is not None
    torch.testing.assert_close(mine.weight.grad, inputs.sum(0).expand(11, 7))
    mine.double()
    with torch.inference_mode():
        wanted = F.linear(inputs.double(), mine.weight, mine.bias)
        torch.testing.assert_close(mine(inputs.double()), wanted)
        assert torch.equal(mine(inputs.double()), wanted)
    assert module.pack(torch.randn(3, 5, dtype=torch.float64)) is None


@pytest.mark.slow
@ONEDNN
def test_a_processor_without_half_precision_products_packs_none() -> None:
    """One with AVX2 alone, as oneDNN is told."""
    program = """
import torch
from attentio.model.fast.linear import Linear
inputs = torch.randn(5, 7)
with torch.inference_mode():
    for dtype in (torch.float32, torch.bfloat16):
        map = Linear(7, 11).to(dtype)
        wanted = map(inputs.to(dtype))
        map.pack()
        torch.testing.assert_close(map(inputs.to(dtype)), wanted)
        print(map.packed is None)
"""
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["False", "True"]

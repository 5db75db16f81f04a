"""Linear maps, y = W x + b, in the fastest form that computes the same. Nearly all the time of a model goes here.

`torch.nn.functional.linear` is the definition. On some processors its float32 product on a CPU takes twice as long as
that of oneDNN, which torch holds, too. On others it is faster. So each product, forwards and backwards, takes what was
measured on this machine (`runtime/choices.py`). A model that learns no more has its weights laid out for oneDNN, in
both precisions. Everything else is torch's own choice: other devices, a compiler looking on, half precision in
training.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from attentio.attention.tensors import is_traced
from attentio.runtime.choices import CHOSEN, FEW, FEW_ROWS, MANY


class Linear(nn.Module):
    """`torch.nn.Linear`, its parameters and first values included, through `linear`."""

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound)) if bias else None
        self.packed: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (..., out_features) for inputs (..., in_features)."""
        return linear(inputs, self.weight, self.bias, self.packed)

    def rectified(self, inputs: Tensor) -> Tensor:
        """Return the greater of that and 0."""
        if self.packed is not None and _takes_packed(inputs, self.packed):
            return onednn_unary(inputs, self.packed, self.bias, "relu", [], "")
        return F.relu(self(inputs))

    def pack(self) -> None:
        """Lay the weight out, which changes no more, see `pack`."""
        self.packed = pack(self.weight)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None, packed: Tensor | None = None) -> Tensor:
    """Return (..., O) for inputs (..., I), weight (O, I) and bias (O,). `packed`: what `pack` made of `weight`."""
    if packed is not None and _takes_packed(inputs, packed):
        return onednn_unary(inputs, packed, bias, "none", [], "")
    if not takes_onednn(inputs, weight):
        return F.linear(inputs, weight, bias)
    learns = inputs.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    if learns and torch.is_grad_enabled() and _any_onednn(_rows(inputs)):
        found = cast(Tensor, _Linear.apply(inputs.flatten(0, -2), weight, bias))
        return found.unflatten(0, inputs.shape[:-1])  # out here, so that what is returned may be changed in place
    return _forward(inputs, weight, bias)


def pack(weight: Tensor) -> Tensor | None:
    """Return `weight` (O, I), which changes no more, in the order in which oneDNN reads it, or None where it cannot.

    Else oneDNN brings it into that order at every product, which for few rows of inputs takes longer than the product.
    """
    if not HAS_ONEDNN or weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return None
    if weight.dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():  # pyright: ignore[reportPrivateUsage]
        return None
    return _reorder(weight.detach().contiguous())


def input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    """Return gradient (N, O) weight (O, I), without a gradient, for a backward pass written by hand."""
    if takes_onednn(gradient, weight) and CHOSEN[f"input gradient, {_rows(gradient)}"] == "onednn":
        return onednn(gradient, weight.t(), None)
    return gradient @ weight


def weight_gradient(gradient: Tensor, inputs: Tensor) -> Tensor:
    """Return gradient (N, O) transposed, times inputs (N, I), without a gradient."""
    if takes_onednn(gradient, inputs) and CHOSEN[f"weight gradient, {_rows(gradient)}"] == "onednn":
        return onednn(gradient.t(), inputs.t(), None)
    return gradient.t() @ inputs


def product_and(added: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return added (M, N) + left (M, K) right (K, N), without a gradient."""
    if takes_onednn(left, right) and CHOSEN[f"sum and product, {_rows(left)}"] == "onednn":
        return onednn_binary(left, added, _dense(right.t()), None, "add")
    return torch.addmm(added, left, right)


class _Linear(torch.autograd.Function):
    """The product of inputs (N, I), and its gradient, two products more."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _forward(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  (the decorator hides the names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        (gradient,) = grad_outputs
        inputs, weight = cast(tuple[Tensor, Tensor], ctx.saved_tensors)
        of_inputs, of_weight, of_bias = cast(tuple[bool, bool, bool], ctx.needs_input_grad)
        return (
            input_gradient(gradient, weight) if of_inputs else None,
            weight_gradient(gradient, inputs) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


_SHORT = {torch.float32: "fp32", torch.bfloat16: "bf16"}
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def takes_onednn(inputs: Tensor, weight: Tensor) -> bool:
    """Return whether oneDNN's own product can multiply these: float32 on a CPU, outside of autocast."""
    return HAS_ONEDNN and inputs.dtype == weight.dtype == torch.float32 and _suits(inputs)


def _suits(inputs: Tensor) -> bool:
    """Return whether oneDNN's own products can be asked for it."""
    return (
        inputs.device.type == "cpu"
        and inputs.dim() > 1
        and inputs.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not is_traced()
    )


def _rows(inputs: Tensor) -> str:
    """Return the class of a product by the number of rows of inputs (..., I)."""
    return FEW if inputs.shape[:-1].numel() < FEW_ROWS else MANY


def _takes_packed(inputs: Tensor, packed: Tensor) -> bool:
    fits = not torch.is_grad_enabled() and inputs.dtype == packed.dtype and _suits(inputs)
    return fits and CHOSEN[f"packed {_SHORT[packed.dtype]}, {_rows(inputs)}"] == "packed"


def _any_onednn(rows: str) -> bool:
    """Return whether any of the three products of a map that learns is oneDNN's. If not, torch does all of it."""
    return any(CHOSEN[f"{kind}, {rows}"] == "onednn" for kind in ("forward", "input gradient", "weight gradient"))


def _forward(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    chosen = CHOSEN[f"forward, {_rows(inputs)}"]
    return onednn(inputs, weight, bias) if chosen == "onednn" else F.linear(inputs, weight, bias)


def onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return inputs (..., I) weight (O, I) transposed, plus bias (O,), by oneDNN, without a gradient."""
    return onednn_unary(inputs, _dense(weight), bias, "none", [], "")


def _dense(weight: Tensor) -> Tensor:
    """Return the same without gaps between rows. For slices oneDNN has a plain loop, a thousand times slower."""
    return weight if weight.is_contiguous() or weight.t().is_contiguous() else weight.contiguous()


if HAS_ONEDNN:
    onednn_unary = torch.ops.mkldnn._linear_pointwise.default  # pyright: ignore[reportPrivateUsage]
    _reorder = torch.ops.mkldnn._reorder_linear_weight.default  # pyright: ignore[reportPrivateUsage]
    onednn_binary = torch.ops.mkldnn._linear_pointwise.binary  # pyright: ignore[reportPrivateUsage]

"""The arithmetic a model computes in, learning or translating.

Settings name it, so torch is imported inside functions only.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from attentio.errors import UsageError
from attentio.runtime.choices import CHOSEN, DECODING, TRAINING, stored

if TYPE_CHECKING:
    import torch

Precision: TypeAlias = Literal["auto", "fp32", "bf16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)


def has_fast_bf16(device: "torch.device") -> bool:
    """Return whether `device` multiplies bfloat16 faster than float32.

    That is a CPU with AVX-512 BF16 or AMX, and an NVIDIA GPU of the Ampere generation or later.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # pyright: ignore[reportPrivateUsage]
    return False


def resolve_precision(precision: str, device: "torch.device", purpose: str = TRAINING) -> str:
    """Return "fp32" or "bf16". "auto" is the faster one for this purpose where a CPU was measured (choices.py).

    Elsewhere it is bf16 where `has_fast_bf16`, else fp32. purpose: `TRAINING` or `DECODING`.
    Raises UsageError for any other name.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}.", hint=f"One of: {', '.join(PRECISIONS)}.")
    if precision != "auto":
        return precision
    if device.type == "cpu" and purpose in CHOSEN:
        return CHOSEN[purpose]
    return "bf16" if has_fast_bf16(device) else "fp32"


def slow_bf16(precision: str, device: "torch.device", purpose: str = DECODING) -> str | None:
    """Return, in one line, that bf16 was asked for and measured to be slower than fp32 on this processor."""
    took = (stored() or {}).get(purpose, {}) if precision == "bf16" and device.type == "cpu" else {}
    if len(took) < 2 or took["bf16"] <= took["fp32"]:
        return None
    return (
        f"bf16 takes {took['bf16'] / took['fp32']:.1f} times as long as fp32 on this processor: leave out "
        f"{'--precision' if purpose == DECODING else 'train.precision'}"
    )


def arithmetic(precision: str, device: "torch.device") -> AbstractContextManager[object]:
    """Return the context to compute in. bf16 casts the operands of matrix products, and weights stay float32."""
    import torch

    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()

"""Which arithmetic a model computes in, learning or translating."""

from contextlib import AbstractContextManager, nullcontext
from typing import get_args

import torch

from attentio.errors import UsageError
from attentio.train.settings import Precision

PRECISIONS: tuple[str, ...] = get_args(Precision)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 faster than float32: a CPU with AVX-512 BF16 or AMX, Ampere or later."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # pyright: ignore[reportPrivateUsage]
    return False


def resolve_precision(precision: str, device: torch.device) -> str:
    """The arithmetic of that name; "auto" is bf16 where it is fast, else fp32. UsageError for any other name."""
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}.", hint=f"One of: {', '.join(PRECISIONS)}.")
    if precision != "auto":
        return precision
    return "bf16" if has_fast_bf16(device) else "fp32"


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a model computes: bf16 casts the operands of matrix products, weights stay float32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()

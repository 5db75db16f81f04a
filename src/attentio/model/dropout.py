"""Dropout whose random bits are cheap on a CPU.

`torch.nn.Dropout` draws one random number per element from a sequential generator, which takes a quarter of a training
step on a CPU. Here eight elements share one 64-bit draw, a byte each, so the rate is rounded to a multiple of 1/256
and the scale is exact for the rounded rate. The draws come from torch's own generator: its saved state covers them.
"""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zeroes elements with probability round(256 p) / 256 in training and scales the rest to keep the mean."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.threshold = round(256 * p)
        self.scale = 256 / (256 - self.threshold) if self.threshold < 256 else 0.0

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape; returns the same shape and dtype."""
        if not self.training or self.threshold == 0:
            return x
        return x * dropout_mask(x.shape, self.threshold, self.scale, x)

    def extra_repr(self) -> str:
        return f"p={self.threshold}/256"


def dropout_mask(shape: torch.Size, threshold: int, scale: float, like: Tensor) -> Tensor:
    """A mask of `shape` holding 0 with probability threshold / 256, else `scale`; dtype and device of `like`."""
    count = shape.numel()
    if like.device.type != "cpu":
        return (torch.rand(shape, device=like.device) * 256 >= threshold).to(like.dtype) * scale
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    keep = words.view(torch.uint8)[:count].view(shape) >= threshold
    return keep.to(like.dtype).mul_(scale)

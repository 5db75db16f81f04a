"""Precision: scores, exponentials, positions and sums are in at least float32, with one exception.

Inner products of bfloat16 are summed in float32 and rounded to bfloat16, which has the same range (`inner_product`).
"""

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return half precision as float32. float32 and float64 stay as they are."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()

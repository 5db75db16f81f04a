"""Windows: which keys a query sees because of where it stands, and how much position alone counts.

A window never looks at a score. It gives a mask, a bias that is added to the scores, and a factor that multiplies the
weights; most give only one of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from attentio.attention.memory import Memory


class Span(NamedTuple):
    """What a window says; each part broadcasts to (B, H, T, S), and None leaves things as they are."""

    mask: Tensor | None = None
    bias: Tensor | None = None
    factor: Tensor | None = None


class Window(nn.Module, ABC):
    """From positions to a mask, a bias and a factor; built as `Kind(query_size, num_heads)`, sizes of one head."""

    @abstractmethod
    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        """query (B, H, T, Q), whose first row stands at `position`."""


class Full(Window):
    """Every query sees every key ("global" in Luong 2015, section 3.1)."""

    def __init__(self, query_size: int = 0, num_heads: int = 1) -> None:
        super().__init__()

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        return Span()


WINDOWS: dict[str, Callable[[int, int], Window]] = {
    "full": Full,
}

"""Attention of every kind, usable alone: needs torch and nothing else of Attentio.

A kind is a choice on each of three axes, over one head or several:

- `score`: how well a query fits a key,
- `window`: which keys a query sees,
- `normalize`: how scores become weights.

`attention.py` joins them.
"""

from typing import TYPE_CHECKING

from attentio.attention.attention import Attended, Attention, AttentionState, join_attended
from attentio.attention.kind import About, Kind, KindError
from attentio.attention.memory import GrowingMemory, Memory
from attentio.attention.normalize import Normalized, Normalizer, RowNormalizer
from attentio.attention.registry import AXES, NORMALIZERS, SCORES, WINDOWS, allow_kinds
from attentio.attention.score import AdditiveScore, InnerProductScore, Score
from attentio.attention.tensors import merge_heads
from attentio.attention.window import Span, Window, combine_windows

if TYPE_CHECKING:
    from attentio.attention.multihead import MultiHeadAttention

__all__ = [
    "AXES",
    "NORMALIZERS",
    "SCORES",
    "WINDOWS",
    "About",
    "AdditiveScore",
    "Attended",
    "Attention",
    "AttentionState",
    "GrowingMemory",
    "InnerProductScore",
    "Kind",
    "KindError",
    "Memory",
    "MultiHeadAttention",
    "Normalized",
    "Normalizer",
    "RowNormalizer",
    "Score",
    "Span",
    "Window",
    "allow_kinds",
    "combine_windows",
    "join_attended",
    "merge_heads",
]


def __getattr__(name: str) -> object:
    if name != "MultiHeadAttention":  # no model here is built from it
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from attentio.attention.multihead import MultiHeadAttention

    return MultiHeadAttention

"""Attention of every kind, usable alone: needs torch and nothing else of Attentio.

A kind is a choice on each of three axes, `score` (how well a query fits a key), `window` (which keys it sees) and
`normalize` (how scores become weights), over one head or several. `attention.py` puts them together.
"""

from attentio.attention.attention import Attended, Attention, AttentionState, join_attended
from attentio.attention.heads import merge_heads
from attentio.attention.memory import GrowingMemory, Memory
from attentio.attention.multihead import MultiHeadAttention
from attentio.attention.normalize import Normalized, Normalizer, RowNormalizer
from attentio.attention.registry import NORMALIZERS, SCORES, WINDOWS
from attentio.attention.score import AdditiveScore, InnerProductScore, Score
from attentio.attention.window import Span, Window, combine_windows

__all__ = [
    "NORMALIZERS",
    "SCORES",
    "WINDOWS",
    "AdditiveScore",
    "Attended",
    "Attention",
    "AttentionState",
    "GrowingMemory",
    "InnerProductScore",
    "Memory",
    "MultiHeadAttention",
    "Normalized",
    "Normalizer",
    "RowNormalizer",
    "Score",
    "Span",
    "Window",
    "combine_windows",
    "join_attended",
    "merge_heads",
]

"""Attentio: neural machine translation in which attention is the part you choose, measure and see.

    from attentio import Translator
    translation = Translator.load("run")("I love you.")

The names below are loaded when first asked for, so that importing a part, or asking for help, does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attentio.trace import AttentionTrace
    from attentio.translator import Translation, Translator

__version__ = "0.1.0"
__all__ = ["AttentionTrace", "Translation", "Translator", "__version__"]

_HOMES = {"AttentionTrace": "trace", "Translation": "translator", "Translator": "translator"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"attentio.{_HOMES[name]}"), name)

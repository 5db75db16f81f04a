"""Attentio: neural machine translation in which attention is the part you choose, measure and see.

    import attentio
    attentio.train("cmn.txt", "runs/mine")
    translation = attentio.Translator.load("runs/mine")("I love you.")

The names below are loaded when first asked for, so that importing a part, or asking for help, does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attentio.experiment.runner import compare
    from attentio.trace import AttentionTrace
    from attentio.train.run import train_files as train
    from attentio.translator import Translation, Translator

__version__ = "0.1.0"
_HOMES = {
    "AttentionTrace": "trace",
    "Translation": "translator",
    "Translator": "translator",
    "compare": "experiment.runner",
}
__all__ = ["AttentionTrace", "Translation", "Translator", "__version__", "compare", "train"]


def __getattr__(name: str) -> object:
    if name == "train":  # a room that can be called
        return import_module("attentio.train")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"attentio.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

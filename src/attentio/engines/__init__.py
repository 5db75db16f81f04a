"""Programs of others that search with our models: one module for each, and `Engine`, what a translator asks of it.

An engine is chosen by its name. What it cannot do is done by our own search, so that every request is answered.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from attentio.attention.registry import AXES
from attentio.bundle import Architecture, Bundle
from attentio.errors import UsageError
from attentio.exported import Exported
from attentio.runtime.device import resolve_device
from attentio.search.batched import Asked, SearchConfig
from attentio.search.hypothesis import Hypothesis

ENGINES = ("attentio", "ctranslate2")
SECTIONS = ("attention", "self_attention")


class Expresses(NamedTuple):
    """What a program can express: names of families, and of the kinds of each axis of attention, and a lexicon."""

    families: frozenset[str]
    score: frozenset[str]
    normalize: frozenset[str]
    window: frozenset[str]
    lexicon: bool = False

    def refusals(self, architecture: Architecture) -> list[str]:
        """Return the settings that it cannot express. Empty where it can express all."""
        family = architecture.model.family
        found = [] if family in self.families else [f"model.family = {family!r}"]
        for section in SECTIONS if family == "transformer" else SECTIONS[:1]:
            for name, axis in AXES.items():
                kind = axis.choose(getattr(getattr(architecture, section), name)).name
                if kind not in getattr(self, name):
                    found.append(f"{section}.{name} = {kind!r}")
        if (weight := architecture.model.lexicon) and not self.lexicon:
            found.append(f"model.lexicon = {weight}")
        return found


class Engine(Protocol):
    """What searches in the place of `search.batched`."""

    def answers(self, config: SearchConfig, asked: Asked) -> bool:
        """Return whether it can search in this way."""
        ...

    def search_batches(
        self, sources: Sequence[Sequence[int]], config: SearchConfig, asked: Asked
    ) -> Iterator[tuple[list[int], list[list[Hypothesis] | None]]]:
        """Search as `search.batched.search_batches` does. None for a source that must be searched by our own."""
        ...


def open_engine(
    name: str, bundle: Bundle | Exported, *, device: str = "auto", precision: str = "fp32"
) -> Engine | None:
    """Return the engine of a name for a model, None for our own search.

    Raises UsageError where it cannot express the model, and MissingExtra where it is not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"there is no engine {name!r}.", hint=f"One of: {', '.join(ENGINES)}.")
    if name == "attentio":
        return None
    from attentio.engines.ctranslate2 import CTranslate2

    if isinstance(bundle, Exported):
        raise UsageError(
            f"{name} searches with a trained model, not with an exported one.", hint="Give the run itself."
        )
    return CTranslate2.of(bundle, device=resolve_device(device).type, precision=precision)

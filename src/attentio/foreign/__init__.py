"""Models that other toolkits have trained, as bundles: one module for each format, and `FORMATS` with all of them.

What a vanilla Transformer has is taken over, and anything else is refused by name. Nothing of a file is run.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from attentio.bundle import Bundle
from attentio.errors import ModelError, UsageError
from attentio.foreign import ctranslate2, marian, opennmt
from attentio.foreign.asked import Asked


class Foreign(NamedTuple):
    """A format. about: what it is. is_model: whether a path may hold such a model. read: gives the model."""

    about: str
    is_model: Callable[[Path], bool]
    read: Callable[[Path, Asked], Bundle]


# The first that fits is taken.
FORMATS: Mapping[str, Foreign] = {
    "ctranslate2": Foreign("a folder of CTranslate2", ctranslate2.is_model, ctranslate2.read),
    "marian": Foreign("a folder of Marian, as Hugging Face keeps it", marian.is_model, marian.read),
    "opennmt": Foreign("a checkpoint of OpenNMT-py", opennmt.is_model, opennmt.read),
}


def import_model(path: Path, asked: Asked | None = None) -> tuple[str, Bundle]:
    """Return the name of the format of a foreign model, and the model.

    Raises UsageError where no format fits, and ModelError for what is damaged or cannot be expressed.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such file or folder.", code="E_MODEL_MISSING", file=path)
    for name, each in FORMATS.items():
        if each.is_model(path):
            try:
                bundle = each.read(path, asked or Asked())
                bundle.build()  # says where a part has another size than the others
            except ValidationError as error:
                fault = error.errors()[0]
                raise ModelError(f"{path}: {fault['msg']}.", code="E_MODEL_CORRUPT", file=path) from None
            return name, bundle
    known = ", ".join(each.about for each in FORMATS.values())
    raise UsageError(f"{path} is no model of a known format.", hint=f"Known: {known}.")

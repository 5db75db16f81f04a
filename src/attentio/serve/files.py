"""Documents and pages with tags, translated through the core. Their structure is kept by `attentio.documents`."""

from collections.abc import Sequence

from attentio.serve.problems import Problem
from attentio.serve.service import Options, Pair, Service

FORMATS: tuple[str, ...] = ()
"""The suffixes of files that can be translated."""


async def translate_html(_: Service, __: Sequence[str], ___: Pair, ____: Options) -> list[str]:
    """Return parts of pages translated, with their tags kept."""
    raise Problem("bad", "html format is not supported")

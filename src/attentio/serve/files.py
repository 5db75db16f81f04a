"""Documents and pages with tags, translated through the core. Their structure is kept by `attentio.documents`.

A document is opened twice: once to see its texts, and once to put the translations there. In between nothing waits, so
that a client that hangs up stops its search as always. What was translated is kept in memory until it is fetched.
"""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from attentio import documents
from attentio.errors import AttentioError
from attentio.serve.forms import Upload
from attentio.serve.problems import Problem
from attentio.serve.service import Options, Pair, Service
from attentio.translator import Translation

Result = TypeVar("Result")
Opened = Callable[[documents.Translate], Result]
"""A document that is translated by the function it is given."""

FORMATS = tuple(documents.FORMATS)
"""The suffixes of files that can be translated."""
KEPT_SECONDS = 600.0
KEPT_BYTES = 64 << 20


async def translate_html(service: Service, texts: Sequence[str], pair: Pair, options: Options) -> list[str]:
    """Return parts of pages translated, with their tags kept."""
    found = await _translated(service, pair, options, lambda translate: documents.translate_html(texts, translate))
    return [each.content.decode("utf-8") for each in found]


async def translate_file(service: Service, upload: Upload, pair: Pair, options: Options) -> documents.Translated:
    """Return a file translated. Raises Problem for one of an unknown format, and for a damaged one."""
    suffix = documents.suffix_of(upload.name)
    if suffix is None:
        raise Problem("bad", f"Invalid request: file format not supported. One of {', '.join(FORMATS)}")
    return await _translated(
        service,
        pair,
        options,
        lambda translate: documents.translate_document(
            upload.content, suffix, translate, source_language=pair.source, target_language=pair.target
        ),
    )


async def _translated(service: Service, pair: Pair, options: Options, opened: "Opened[Result]") -> Result:
    texts: list[str] = []
    answers: list[Translation] = []

    def look(found: Sequence[str]) -> Sequence[str]:
        texts.extend(found)
        return found

    try:
        unchanged = await asyncio.to_thread(opened, look)
        if not texts:
            return unchanged
        answers += await service.translate_parts(texts, pair, options)
        return await asyncio.to_thread(opened, lambda _: answers)
    except AttentioError as error:
        raise Problem("bad", str(error)) from None


class _File(NamedTuple):
    content: bytes
    media_type: str
    since: float


class Shelf:
    """Files that wait to be fetched, for ten minutes, and 64 MiB of them at most. The oldest go first."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._files: OrderedDict[str, _File] = OrderedDict()

    def put(self, content: bytes, suffix: str, target: str) -> str:
        """Keep a file, and return the name by which it is fetched. Nobody can guess it."""
        name = f"{uuid.uuid4()}_{target}{suffix}"
        self._files[name] = _File(content, documents.FORMATS[suffix].media_type, self._now())
        self._drop()
        return name

    def get(self, name: str) -> tuple[bytes, str]:
        """Return a file and its media type. Raises Problem where there is none."""
        self._drop()
        found = self._files.get(name)
        if found is None:
            raise Problem("missing", "there is no such file, or no longer.")
        return found.content, found.media_type

    def _drop(self) -> None:
        size = sum(len(file.content) for file in self._files.values())
        while self._files:
            oldest = next(iter(self._files.values()))
            if size <= KEPT_BYTES and self._now() - oldest.since <= KEPT_SECONDS:
                return
            size -= len(oldest.content)
            self._files.popitem(last=False)

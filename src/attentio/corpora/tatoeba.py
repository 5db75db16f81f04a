"""Fetching a published archive: resumed where it broke off, checked, and never half there.

A download goes to NAME.part; what the server says identifies its content stands in NAME.part.json, so that a later run
goes on only with the same file. NAME appears when every byte is there, with its SHA-256 in NAME.sha256.
"""

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from attentio import __version__
from attentio.errors import DataError, ResourceError, UsageError

TATOEBA_URL = "https://www.manythings.org/anki"
_BLOCK = 1 << 16
_ATTEMPTS = 5
_TIMEOUT = 30.0  # seconds without a byte
_THREE_LETTERS = {
    "ar": "ara", "cs": "ces", "de": "deu", "en": "eng", "es": "spa", "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin",
    "hu": "hun", "it": "ita", "ja": "jpn", "ko": "kor", "nl": "nld", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus",
    "sv": "swe", "th": "tha", "tr": "tur", "uk": "ukr", "vi": "vie", "zh": "cmn",
}  # fmt: skip

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where the server says so


class Fetched(NamedTuple):
    """A corpus that was fetched: its text file, the archive it came from, and the archive's SHA-256."""

    text: Path
    archive: Path
    sha256: str


def fetch_tatoeba(
    pair: str,
    folder: Path,
    *,
    base_url: str = TATOEBA_URL,
    sha256: str | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch and unpack the sentence pairs of two languages, such as "eng-cmn": English first, the other second.

    The publisher offers every language it has beside English. Raises DataError for a pair it does not have.
    """
    other = _other_language(pair)
    archive = folder / f"{other}-eng.zip"
    url = f"{base_url.rstrip('/')}/{archive.name}"
    try:
        digest = download(url, archive, sha256=sha256, progress=progress)
    except _NotThereError:
        raise DataError(
            f"{url}: the publisher has no such pair.",
            hint=f"The pairs are listed at {base_url}; languages have three letters, such as cmn, deu, fra.",
            code="E_DATA_MISSING",
        ) from None
    return Fetched(_unpack(archive, f"{other}.txt", folder / f"{other}-eng.txt"), archive, digest)


def download(url: str, path: Path, *, sha256: str | None = None, progress: Progress | None = None) -> str:
    """Fetch `url` to `path` unless it is there already and whole; returns its SHA-256.

    `sha256` is the sum the file must have; without one, a file that is there is held to the sum stored beside it.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url} is no http address.")
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = _stored_sum(path)
    if path.exists() and (sha256 or stored):
        found = _sha256(path)
        if found == (sha256 or stored):
            _store_sum(path, found)
            return found
    part = path.with_name(path.name + ".part")
    _fetch(url, part, progress or _silent)
    found = _sha256(part)
    if sha256 is not None and found != sha256.lower():
        part.unlink()
        _identity(part).unlink(missing_ok=True)
        raise DataError(
            f"{url} has SHA-256 {found}, not {sha256}.", hint="It was removed.", code="E_DATA_CHECKSUM", file=path
        )
    part.replace(path)
    _identity(part).unlink(missing_ok=True)
    _store_sum(path, found)
    return found


class _NotThereError(Exception):
    """The server says 404."""


def _fetch(url: str, part: Path, progress: Progress) -> None:
    """All bytes of `url` in `part`, however often the connection breaks; what is there already is kept."""
    fault = ""
    for attempt in range(_ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            _fetch_once(url, part, progress)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise _NotThereError from None
            if error.code < 500 and error.code != 429:
                raise _failed(url, f"the server says {error.code} {error.reason}", part) from None
            fault = f"the server says {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(error, OSError) and error.errno == 28:  # ENOSPC
                raise ResourceError(f"disk full while fetching {url} to {part.parent}.") from None
            fault = str(getattr(error, "reason", error)) or type(error).__name__
        got_further = part.exists() and part.stat().st_size > before
        if attempt + 1 < _ATTEMPTS:
            _sleep(0.1 if got_further else 0.25 * 2**attempt)
    raise _failed(url, fault, part)


def _failed(url: str, fault: str, part: Path) -> DataError:
    held = part.stat().st_size if part.exists() else 0
    return DataError(
        f"could not fetch {url}: {fault}.",
        hint=f"The same command goes on after the {held:,} bytes that are here." if held else "Is the network up?",
        code="E_DATA_DOWNLOAD",
    )


def _fetch_once(url: str, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    known = _read_identity(part)
    if known.get("url") != url or not known.get("mark"):
        have = 0
    request = urllib.request.Request(url)
    request.add_header("User-Agent", f"attentio/{__version__}")  # the publisher turns away urllib's own name
    request.add_header("Accept-Encoding", "identity")
    if have:
        # If-Range: the rest only if the file is still the one that was begun, otherwise all of the new one.
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", known["mark"])
    try:
        response: Any = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        part.unlink()  # longer than the file on the server: begin again
        raise http.client.IncompleteRead(b"") from None
    with response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        etag = response.headers.get("ETag")
        # A weak tag promises like meaning, not like bytes.
        mark = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
        _identity(part).write_text(json.dumps({"url": url, "mark": mark}), encoding="utf-8")
        with part.open("ab" if have else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                have += len(block)
                progress(have, total)
        if total is not None and have != total:
            raise http.client.IncompleteRead(b"", total - have)


def _unpack(archive: Path, member: str, out: Path) -> Path:
    """Extract one text file; its CRC is checked on the way, and it appears whole or not at all."""
    partial = out.with_name(out.name + ".partial")
    try:
        with zipfile.ZipFile(archive) as zipped:
            damaged = zipped.testzip()
            if damaged is not None:
                raise zipfile.BadZipFile(f"wrong CRC in {damaged}")
            with zipped.open(member) as source, partial.open("wb") as file:
                while block := source.read(_BLOCK):
                    file.write(block)
    except KeyError:
        raise DataError(f"{archive} holds no {member}.", file=archive) from None
    except (zipfile.BadZipFile, OSError) as error:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"{archive} is damaged ({error}).", hint="Delete it, then fetch it again.", code="E_DATA_ZIP", file=archive
        ) from None
    partial.replace(out)
    return out


def _other_language(pair: str) -> str:
    names = [_THREE_LETTERS.get(name, name) for name in pair.lower().split("-")]
    others = [name for name in names if name != "eng"]
    if len(names) != 2 or len(others) != 1 or not (others[0].isascii() and others[0].isalpha()):
        raise UsageError(
            f"{pair!r} is no pair of languages that Tatoeba's publisher offers.",
            hint="One of the two is English: eng-cmn, eng-deu, eng-fra, …",
        )
    return others[0]


def _sum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _stored_sum(path: Path) -> str | None:
    try:
        return _sum_file(path).read_text(encoding="utf-8").split()[0]
    except (FileNotFoundError, IndexError):
        return None


def _store_sum(path: Path, digest: str) -> None:
    """As `sha256sum` writes it, so that `sha256sum -c` can check it."""
    _sum_file(path).write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def _identity(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_identity(part: Path) -> dict[str, str]:
    try:
        held = json.loads(_identity(part).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _silent(done: int, total: int | None) -> None:
    del done, total

"""Fetch a published archive of sentence pairs: resumed where it broke off, checked, and never half there.

pooch moves the bytes. They go to NAME.part, and NAME.part.json holds what identifies the file on the server. A later
run resumes only if the server still has the same file. NAME appears when every byte is there, with its SHA-256 in
NAME.sha256.
"""

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

import pooch

from attentio import __version__
from attentio.errors import DataError, ResourceError, UsageError
from attentio.runtime.files import new_file, write_json, write_text

TATOEBA_URL = "https://www.manythings.org/anki"
_BLOCK = 1 << 16
_FETCH_BLOCK = 1 << 12  # what a broken connection loses at most
_ATTEMPTS = 5
_TIMEOUT = 30.0  # seconds without a byte
_THREE_LETTERS = {
    "ar": "ara", "cs": "ces", "de": "deu", "en": "eng", "es": "spa", "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin",
    "hu": "hun", "it": "ita", "ja": "jpn", "ko": "kor", "nl": "nld", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus",
    "sv": "swe", "th": "tha", "tr": "tur", "uk": "ukr", "vi": "vie", "zh": "cmn",
}  # fmt: skip

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where the server says so


class Fetched(NamedTuple):
    """A fetched corpus: its text file, the archive it came from, and the archive's SHA-256."""

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
            hint=f"The pairs are listed at {base_url}. Languages have three letters, such as cmn, deu, fra.",
            code="E_DATA_MISSING",
        ) from None
    return Fetched(_unpack(archive, f"{other}.txt", folder / f"{other}-eng.txt"), archive, digest)


def download(url: str, path: Path, *, sha256: str | None = None, progress: Progress | None = None) -> str:
    """Fetch `url` to `path` unless it is there already and whole. Return its SHA-256.

    `sha256` is the checksum that the file must have. Without one, an existing file is compared with the checksum stored
    beside it. Raises DataError where the file cannot be fetched or has another checksum.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url} is no http address.")
    path.parent.mkdir(parents=True, exist_ok=True)
    expected = sha256.lower() if sha256 else _stored_sum(path)
    if path.exists() and expected and pooch.file_hash(str(path)) == expected:
        _store_sum(path, expected)
        return expected
    part = _Part(path.with_name(path.name + ".part"), url, progress)
    _fetch(part)
    found = pooch.file_hash(str(part.path))
    if sha256 is not None and found != sha256.lower():
        part.delete()
        raise DataError(
            f"{url} has SHA-256 {found}, not {sha256}.", hint="It was removed.", code="E_DATA_CHECKSUM", file=path
        )
    part.path.replace(path)
    part.delete()
    _store_sum(path, found)
    return found


class _NotThereError(Exception):
    """The server says 404."""


class _Part:
    """The part of a download that is here: a file that pooch writes to, and what identifies it on the server."""

    def __init__(self, path: Path, url: str, progress: Progress | None) -> None:
        self.path = path
        self.url = url
        self._identity = path.with_name(path.name + ".json")
        self._progress = progress
        self._file: IO[bytes] | None = None
        self._response: Any = None
        self.status = 0, ""  # of the last reply
        self._total: int | None = None

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def headers(self) -> dict[str, str]:
        """Ask for the rest only if the server still has the file that was begun, otherwise for all of the new one."""
        asked = {"User-Agent": f"attentio/{__version__}", "Accept-Encoding": "identity"}
        try:
            known = json.loads(self._identity.read_text(encoding="utf-8"))
            if self.size and known["url"] == self.url and known["mark"]:
                return asked | {"Range": f"bytes={self.size}-", "If-Range": known["mark"]}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass
        return asked

    def begin(self, response: Any, **_: object) -> None:
        """Open the file at the place where the server's reply begins. Called by requests."""
        self._response = response
        self.status = response.status_code, response.reason
        if response.status_code not in (200, 206):
            return
        at = self.size
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {at}-")
        length = response.headers.get("Content-Length")
        self._total = (at if resumed else 0) + int(length) if length is not None else None
        etag = response.headers.get("ETag")
        # A weak tag promises the same meaning, not the same bytes.
        mark = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
        write_json(self._identity, {"url": self.url, "mark": mark})
        self._file = self.path.open("ab" if resumed else "wb")

    def write(self, block: bytes) -> None:
        assert self._file is not None, "the server's reply was not read"
        self._file.write(block)
        if self._progress is not None:
            self._progress(self._file.tell(), self._total)

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is closed."""

    def close(self) -> None:
        """Close the file and the connection, which pooch leaves open after an error."""
        if self._response is not None:
            self._response.close()
            self._response = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
        self._identity.unlink(missing_ok=True)


def _fetch(part: _Part) -> None:
    """Fetch all bytes, however often the connection breaks. What is there already is kept."""
    import requests

    fault = ""
    for attempt in range(_ATTEMPTS):
        before = part.size
        fetch = pooch.HTTPDownloader(
            chunk_size=_FETCH_BLOCK, timeout=_TIMEOUT, headers=part.headers(), hooks={"response": part.begin}
        )
        try:
            fetch(part.url, part, None)
            return
        except requests.HTTPError:
            status, reason = part.status
            fault = f"the server says {status} {reason}"
            if status in (404, 410):
                raise _NotThereError from None
            if status == 416:
                part.delete()  # longer than the file on the server: begin again
            elif status < 500 and status != 429:
                raise _failed(part, fault) from None
        except OSError as error:  # requests' own errors are OSErrors, too
            if error.errno == 28:  # ENOSPC
                raise ResourceError(f"disk full while fetching {part.url} to {part.path.parent}.") from None
            fault = str(error) or type(error).__name__
            if isinstance(error, requests.ConnectionError | requests.Timeout):  # their texts are the library's inside
                fault = f"{urlsplit(part.url).hostname} does not answer"
        finally:
            part.close()
        if attempt + 1 < _ATTEMPTS:
            time.sleep(0.1 if part.size > before else 0.25 * 2**attempt)
    raise _failed(part, fault)


def _failed(part: _Part, fault: str) -> DataError:
    held = part.size
    return DataError(
        f"could not fetch {part.url}: {fault}.",
        hint=f"The same command resumes after the {held:,} bytes that are here." if held else "Is the network up?",
        code="E_DATA_DOWNLOAD",
    )


def _unpack(archive: Path, member: str, out: Path) -> Path:
    """Extract one text file. Its CRC is checked on the way, and it appears whole or not at all."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            damaged = zipped.testzip()
            if damaged is not None:
                raise zipfile.BadZipFile(f"wrong CRC in {damaged}")
            with zipped.open(member) as source, new_file(out) as partial, partial.open("wb") as file:
                shutil.copyfileobj(source, file)
    except KeyError:
        raise DataError(f"{archive} holds no {member}.", file=archive) from None
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"{archive} is damaged ({error}).", hint="Delete it, then fetch it again.", code="E_DATA_ZIP", file=archive
        ) from None
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
    """Write the checksum as `sha256sum` does, so that `sha256sum -c` can check it."""
    write_text(_sum_file(path), f"{digest}  {path.name}\n")

"""Files that appear whole or not at all, and the SHA-256 that shows whether they were altered.

A file or folder is written beside its place, flushed to the disk and renamed into its place. A crash at any moment
leaves the old content or the new, never half of it. What is written is decided elsewhere.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from attentio.errors import ResourceError, UsageError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
LOCK = ".lock"  # in a folder that a process holds
PARTIAL = ".*.partial"  # names of what was being written when a process was killed
_FREE_SPACE = "Free some space and run the same command again."
_OTHER_PLACE = "Mend that or choose another place, and run the same command again."


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, all or nothing.

    Raises ResourceError, with code E_DISK_FULL where the disk is full and E_DISK otherwise. An old file is then kept.
    """
    with new_file(path) as partial, partial.open("wb") as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file with its line ends as they are, all or nothing. Raises ResourceError as `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, all or nothing. Raises ResourceError as `write_bytes`."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, or None when there is no such file or it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def new_file(path: Path) -> Generator[Path]:
    """Give a path to write to, and rename it to `path` at the end of the block. An error leaves `path` as it was.

    A link is followed. A device or pipe (/dev/stdout) cannot be replaced, so it is written to directly.
    Raises ResourceError as `write_bytes`, also for what the block could not write.
    """
    with disk_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        path = path.resolve() if path.is_symlink() else path
        if path.exists() and not path.is_file():
            yield path
            return
        partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}.partial")
        try:
            yield partial
            _flush(partial)
            partial.replace(path)
            _flush(path.parent)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(folder: Path) -> Generator[Path]:
    """Give an empty folder to fill, and rename it to `folder` at the end of the block. An error leaves the old folder.

    A folder cannot be replaced in one step: the old one is moved aside first. After a crash between the two steps,
    `resolve_path` finds it there. Raises ResourceError as `write_bytes`.
    """
    partial, old = folder.with_name(f".{folder.name}.partial"), _old(folder)
    with disk_errors(folder, hint=f"What was saved before is kept. {_FREE_SPACE}"):
        try:
            remove(partial)
            make_folder(folder.parent)
            partial.mkdir()
            yield partial
            for path in [*partial.rglob("*"), partial]:
                _flush(path)
            if folder.exists():
                remove(old)
                folder.rename(old)
            partial.rename(folder)
            _flush(folder.parent)  # before what stood there is removed
            remove(old)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it, so that a crash does not lose it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush(folder.parent)


def remove(path: Path) -> None:
    """Remove a folder with all that is in it, or a file. It may be missing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def hold(folder: Path, work: str) -> Generator[None]:
    """Hold a folder for this process during the block. The hold ends with the process, however that ends.

    work: what another process is doing there, for the message. Raises UsageError while one holds the folder, and
    ResourceError as `write_bytes`.
    """
    from filelock import FileLock, Timeout  # only here: whoever translates does not need it

    path = folder / LOCK
    lock = FileLock(path, blocking=False, fallback_to_soft=False)
    with disk_errors(folder):
        try:
            lock.acquire()
            path.write_text(f"{os.getpid()}\n", encoding="ascii")
        except Timeout:
            number = path.read_text(encoding="ascii", errors="replace").strip()
            who = f"process {number}" if number else "another process"
            hint = "Let it end, or choose another --out."
            raise UsageError(f"{folder} is in use: {who} is {work} there.", hint=hint) from None
        except OSError as error:
            if error.errno != errno.ENOSYS and not lock.is_locked:  # a file system without locks, or one that is full
                raise
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()


def check_place(path: Path | None) -> None:
    """Check that a file can be written at `path`, before any work is done for it. Nothing is left there.

    Raises ResourceError with code E_DISK where the folder is missing or may not be written to, or where `path` is a
    folder. None needs no place.
    """
    if path is None:
        return
    with disk_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        path = path.resolve() if path.is_symlink() else path
        if path.is_file() or not path.exists():
            tempfile.TemporaryFile(dir=path.parent).close()


def check_folder(folder: Path) -> None:
    """Check that files can be written in `folder`, or that it can be made. Nothing is. Raises ResourceError, E_DISK."""
    with disk_errors(folder):
        there = next(place for place in (folder, *folder.parents) if place.exists())
        tempfile.TemporaryFile(dir=there).close()


def resolve_path(folder: Path) -> Path:
    """Return where `folder` is now: aside, if its writer was killed between the two renames of `new_folder`."""
    return _old(folder) if not folder.exists() and _old(folder).exists() else folder


@contextlib.contextmanager
def disk_errors(path: Path, *, hint: str = _FREE_SPACE) -> Generator[None]:
    """Turn each OSError of the block into a ResourceError that names `path`: E_DISK_FULL or E_DISK.

    hint: what to do when the disk is full.
    """
    try:
        yield
    except BrokenPipeError:  # whoever read has gone: no fault of the disk
        raise
    except OSError as error:
        if error.errno not in FULL_DISK:
            reason = error.strerror or str(error)
            message = f"{path} cannot be written ({reason})."
            raise ResourceError(message, hint=_OTHER_PLACE, code="E_DISK", file=path) from error
        raise ResourceError(
            f"disk full while saving {path}{_free_space(path)}.", hint=hint, code="E_DISK_FULL", file=path
        ) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(content: bytes | str) -> str:
    """Return the SHA-256 of bytes, or of a text as UTF-8, in hexadecimal."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def sha256_of_json(value: object) -> str:
    """Return the SHA-256 of a JSON value. The order of keys does not count."""
    return sha256_of(json.dumps(value, sort_keys=True, ensure_ascii=False))


def _flush(path: Path) -> None:
    """Wait until a file, or the list of names of a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free_space(path: Path) -> str:
    try:
        return f" ({shutil.disk_usage(path.parent).free / 1e6:,.0f} MB free)"
    except OSError:
        return ""


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")

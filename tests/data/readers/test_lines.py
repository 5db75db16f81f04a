"""Packed files and archives are read as what is in them, and damaged ones are named."""

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from attentio.data.readers.archives import open_archive
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.data.source import file_origin, open_rows, read_pairs
from attentio.errors import DataError, MissingExtra

PAIRS = [(f"This is line {i}.", f"这是第{i}行。") for i in range(9)]
TSV = "".join(f"{source}\t{target}\n" for source, target in PAIRS).encode()
ENGLISH = "".join(source + "\n" for source, _ in PAIRS).encode()
CHINESE = "".join(target + "\n" for _, target in PAIRS).encode()


def read(path: Path) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in read_pairs(path)]


def zipped(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


def tarred(files: dict[str, bytes], mode: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:  # pyright: ignore
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return held.getvalue()


@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".tsv", bytes)]
)
def test_packed_files(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.tsv{ending}"
    path.write_bytes(pack(TSV))
    assert read(path) == PAIRS


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_damaged_packed_files(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.tsv{ending}"
    path.write_bytes(pack(TSV)[:-9])
    with pytest.raises(DataError, match=r"is damaged|ended before"):
        read(path)


def test_zstandard_files(tmp_path: Path) -> None:
    """Also of several frames, and a cut one is refused: nothing is lost in silence."""
    zstd = pytest.importorskip("backports.zstd")
    (tmp_path / "a.tsv.zst").write_bytes(zstd.compress(TSV[:100]) + zstd.compress(TSV[100:]))
    assert read(tmp_path / "a.tsv.zst") == PAIRS
    (tmp_path / "b.tsv.zst").write_bytes(zstd.compress(TSV)[:-9])
    with pytest.raises(DataError, match="is damaged"):
        read(tmp_path / "b.tsv.zst")
    (tmp_path / "c.tsv.zst").write_bytes(zstd.compress(TSV)[:8] + b"\xff" * 90)
    with pytest.raises(DataError, match="is damaged"):
        read(tmp_path / "c.tsv.zst")


def test_a_zstandard_file_that_this_python_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "a.tsv.zst").write_bytes(b"\x28\xb5\x2f\xfd and so on")
    with pytest.raises(MissingExtra, match=r"a\.tsv\.zst is a zstandard file.*attentio\[zstd\].*backports\.zstd"):
        read(tmp_path / "a.tsv.zst")


MOSES = {"README": b"about", "Own.en-zh.en": ENGLISH, "Own.en-zh.zh": CHINESE, "Own.en-zh.ids": b"1"}
OTHER_CASE = {"Own.en-ZH.zh": CHINESE, "Own.en-ZH.en": ENGLISH}


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.zip", zipped),
        ("a.tar", lambda files: tarred(files, "w")),
        ("a.tar.gz", lambda files: tarred(files, "w:gz")),
        ("a.tgz", lambda files: tarred(files, "w:gz")),
        ("a.tar.xz", lambda files: tarred(files, "w:xz")),
    ],
)
@pytest.mark.parametrize(
    "files", [MOSES, {"LICENSE": b"", "data/a.tsv": TSV}, dict(reversed(MOSES.items())), OTHER_CASE]
)
def test_archives(
    tmp_path: Path, name: str, pack: Callable[[dict[str, bytes]], bytes], files: dict[str, bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(files))
    assert read(path) == PAIRS


def test_the_names_in_an_archive_say_the_languages(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"a.zh-en.en": ENGLISH, "a.zh-en.zh": CHINESE}))
    rows = open_rows(file_origin(str(path)), DataConfig(), DropLog())
    assert rows.languages == ("zh", "en")
    assert next(rows.pairs)[0] == PAIRS[0][1]


@pytest.mark.parametrize("files", [{}, {"a.en": b"", "b.zh": b""}, {"1.tsv": TSV, "2.tsv": TSV, "3.tsv": TSV}])
def test_an_archive_of_something_else_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(files))
    with pytest.raises(DataError, match="Unpack it and name the files"):
        open_archive(path)


def test_a_damaged_archive(tmp_path: Path) -> None:
    content = zipped({"a.tsv": TSV})
    (tmp_path / "a.zip").write_bytes(content.replace(b"line 7", b"line 8", 1))
    with pytest.raises(DataError, match=r"a\.zip:a\.tsv"):
        read(tmp_path / "a.zip")
    (tmp_path / "b.zip").write_bytes(content[:40])
    with pytest.raises(DataError, match="no readable archive"):
        read(tmp_path / "b.zip")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "begin", "what"),
    [
        ("bomb.tsv.gz", b"Good.\t\xe5\xa5\xbd\n", "line 2 has over 64 MB"),
        ("bomb.jsonl.gz", b'{"source": "', "line 1 has over 64 MB"),
        ("bomb.tmx.gz", b'<tmx><body><tu><tuv xml:lang="en"><seg>', "a unit of over 64 million characters"),
    ],
)
def test_a_file_that_unpacks_to_one_line_larger_than_memory_is_refused(
    tmp_path: Path, name: str, begin: bytes, what: str
) -> None:
    with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
        file.write(begin)
        for _ in range(68):
            file.write(b"a" * (1 << 20))
    with pytest.raises(DataError, match=what):
        read(tmp_path / name)


def test_names_in_an_archive_cannot_break_the_line_of_a_message(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"one\n\x1b[31m.txt": b"a", "two.txt": b"b"}))
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.zip")
    assert "holds one\ufffd\ufffd[31m.txt, two.txt." in str(caught.value)

"""Files that appear whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from attentio.errors import ResourceError
from attentio.runtime.files import (
    check_folder,
    check_place,
    new_file,
    new_folder,
    read_json,
    resolve_path,
    sha256,
    sha256_of,
    sha256_of_json,
    write_bytes,
    write_json,
    write_text,
)


class Killed(BaseException):
    pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one\r\n二")
    write_bytes(tmp_path / "b", b"\x00\xff")
    write_json(tmp_path / "c.json", {"b": [1, None], "a": "字"})
    assert (tmp_path / "a.txt").read_bytes() == "one\r\n二".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert read_json(tmp_path / "c.json") == {"b": [1, None], "a": "字"}
    assert "字" in (tmp_path / "c.json").read_text(encoding="utf-8")
    assert names(tmp_path) == ["a.txt", "b", "c.json"]


def test_no_json_is_none(tmp_path: Path) -> None:
    write_text(tmp_path / "broken", "{")
    assert read_json(tmp_path / "broken") is None
    assert read_json(tmp_path / "missing") is None


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_text(path, "old")

    def die_half_way() -> None:
        with new_file(path) as partial:
            partial.write_text("half")
            assert path.read_text() == "old"
            raise Killed

    with pytest.raises(Killed):
        die_half_way()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(28, "E_DISK_FULL", "disk full while saving"), (122, "E_DISK_FULL", "disk full"), (30, "E_DISK", "Read-only")],
)
def test_a_failing_disk_is_said(tmp_path: Path, number: int, code: str, words: str) -> None:
    write_text(tmp_path / "a", "old")
    with pytest.raises(ResourceError) as caught, new_file(tmp_path / "a"):
        raise OSError(number, os.strerror(number))
    assert (caught.value.code, caught.value.file) == (code, str(tmp_path / "a"))
    assert words in caught.value.message
    assert (tmp_path / "a").read_text() == "old"


def test_where_no_file_can_be(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "a"):
        with pytest.raises(ResourceError, match="cannot be written"):
            write_text(path, "x")
    assert names(tmp_path) == []


def test_the_gone_reader_of_a_pipe_is_no_disk_error(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), new_file(tmp_path / "a"):
        raise BrokenPipeError


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "a")
    write_text(link, "x")
    assert link.is_symlink()
    assert (tmp_path / "there" / "a").read_text() == "x"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_permissions_are_those_of_any_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    for name in ("one", "two"):
        with new_folder(folder) as partial:
            (partial / "deep").mkdir()
            (partial / "deep" / name).touch()
    assert names(folder / "deep") == ["two"]

    def die_half_way() -> None:
        with new_folder(folder) as partial:
            (partial / "three").touch()
            raise Killed

    with pytest.raises(Killed):
        die_half_way()
    assert names(folder / "deep") == ["two"]
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("survived", range(3))
def test_a_kill_at_any_rename_leaves_a_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    folder, rename, left = tmp_path / "f", Path.rename, survived
    with new_folder(folder) as partial:
        (partial / "one").touch()

    def dying(self: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return rename(self, target)

    def write() -> None:
        with new_folder(folder) as partial:
            (partial / "two").touch()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying)
        if survived < 2:
            with pytest.raises(Killed):
                write()
        else:
            write()
    assert names(resolve_path(folder)) == [["one"], ["one"], ["two"]][survived]
    write()
    assert names(tmp_path) == ["f"]
    assert names(folder) == ["two"]


def test_hashes(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "a") == sha256_of("abc") == sha256_of(b"abc") == known
    assert sha256_of_json({"a": 1, "b": "字"}) == sha256_of_json({"b": "字", "a": 1}) != sha256_of_json({"a": 1})


def test_places_are_tried_and_left_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("kept", encoding="utf-8")
    check_place(None)
    check_place(tmp_path / "new.txt")
    check_place(tmp_path / "there.txt")
    check_folder(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "there.txt").read_text(encoding="utf-8") == "kept"
    for path in (tmp_path, tmp_path / "none" / "x"):
        with pytest.raises(ResourceError, match="cannot be written"):
            check_place(path)
    with pytest.raises(ResourceError, match="cannot be written"):
        check_folder(tmp_path / "there.txt")

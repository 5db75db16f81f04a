"""Parts of an output: whole or not there, and made again where they are not what they were."""

import json
from pathlib import Path

import pytest

from attentio.errors import ResourceError, UsageError
from attentio.runtime.parts import INDEX, Parts

ABOUT = {"the model": "a", "--beam": "5"}


def made(folder: Path, count: int = 3) -> list[bool]:
    """Write what is missing of `count` parts. Whether each was there."""
    with Parts.opened(folder, ".txt", ABOUT) as parts:
        there = [parts.has(number, f"source {number}") for number in range(count)]
        for number in (number for number, is_there in enumerate(there) if not is_there):
            parts.write(number, f"source {number}", f"output {number}\n".encode())
        parts.end(count)
    return there


def held(folder: Path) -> str:
    return "".join(path.read_text("utf-8") for path in sorted(folder.glob("part-*")))


def test_parts_are_kept_and_the_rest_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    assert made(folder, 2) == [False, False]
    assert made(folder) == [True, True, False]
    assert held(folder) == "output 0\noutput 1\noutput 2\n"
    (folder / ".part-000002.txt.12.12.partial").write_text("of a process that was killed", encoding="utf-8")
    assert made(folder, 1) == [True]
    assert sorted(path.name for path in folder.iterdir()) == ["part-000000.txt", INDEX]


@pytest.mark.parametrize("damage", ["removed", "emptied", "flipped", "cut", "no line of the index", "no name"])
def test_a_part_that_is_not_what_it_was_is_made_again(tmp_path: Path, damage: str) -> None:
    made(tmp_path)
    part, index = tmp_path / "part-000001.txt", tmp_path / INDEX
    lines = index.read_text("utf-8").splitlines()
    if damage == "removed":
        part.unlink()
    elif damage in ("emptied", "flipped", "cut"):
        content = part.read_bytes()
        part.write_bytes({"emptied": b"", "flipped": b"O" + content[1:], "cut": content[:-1]}[damage])
    elif damage == "no line of the index":
        index.write_text("\n".join(line for line in lines if '"part": 1' not in line), encoding="utf-8")
    else:
        index.write_text(index.read_text("utf-8").replace('"part": 1', '"prt": 1'), encoding="utf-8")
    assert made(tmp_path) == [True, False, True]
    assert held(tmp_path) == "output 0\noutput 1\noutput 2\n"


@pytest.mark.slow
def test_the_index_may_end_anywhere(tmp_path: Path) -> None:
    """A crash while a line is written costs that part alone. Without its first line nothing is known."""
    made(tmp_path)
    content = (tmp_path / INDEX).read_bytes()
    first = content.index(b"\n") + 1
    for end in range(first, len(content)):
        (tmp_path / INDEX).write_bytes(content[:end])
        there = made(tmp_path)
        assert there == sorted(there, reverse=True)
        assert made(tmp_path) == [True] * 3
        assert held(tmp_path) == "output 0\noutput 1\noutput 2\n"


def test_other_lines_make_other_parts(tmp_path: Path) -> None:
    made(tmp_path)
    with Parts.opened(tmp_path, ".txt", ABOUT) as parts:
        assert parts.has(1, "source 1")
        assert not parts.has(1, "source one")


def test_what_is_of_something_else_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    with (
        pytest.raises(UsageError, match="another translation: --beam was '5', and is '3'") as caught,
        Parts.opened(tmp_path, ".txt", ABOUT | {"--beam": "3"}),
    ):
        pass
    assert "\n" not in str(caught.value)
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match=r"holds other files, such as mine\.txt"), Parts.opened(other, ".txt", ABOUT):
        pass
    assert [path.name for path in other.iterdir()] == ["mine.txt"]


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        Parts.opened(tmp_path, ".txt", ABOUT),
        pytest.raises(UsageError, match="is in use"),
        Parts.opened(tmp_path, ".txt", ABOUT),
    ):
        pass


def test_a_place_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ResourceError, match="cannot be written"), Parts.opened(tmp_path / "file" / "x", ".txt", ABOUT):
        pass


def test_the_index_is_for_people_and_programs(tmp_path: Path) -> None:
    made(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / INDEX).read_text("utf-8").splitlines() if line]
    assert rows[0] == {"schema": 1, "about": ABOUT}
    assert [row["part"] for row in rows[1:]] == [0, 1, 2]

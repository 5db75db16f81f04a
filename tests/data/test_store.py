"""The cleaned copy on disk: what is put in comes out, and a full disk is said."""

import contextlib
from pathlib import Path

import pytest

from attentio.data.links import span_links
from attentio.data.store import NO_LINKS, CleanStore
from attentio.errors import ResourceError


def test_a_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    store = CleanStore(tmp_path / "clean")
    some = [span_links([(0, 0)], [(0, 3)], [(1, 2)]), NO_LINKS]
    more = [span_links([(0, 0), (1, 0)], [(0, 3), (4, 70_000)], [(1, 2)])]
    store.add(["a", "two words"], ["甲", ""], some)
    store.add([], [], [])
    store.add(["b"], ["乙"], more)
    store.add(["c"], ["丙"], [NO_LINKS])
    store.add(["d", "e"], ["丁", "戊"])
    assert len(store) == 6
    for _ in range(2):
        chunks = list(store.chunks())
        assert [chunk[:3] for chunk in chunks] == [
            (0, ["a", "two words"], ["甲", ""]),
            (2, ["b"], ["乙"]),
            (3, ["c"], ["丙"]),
            (4, ["d", "e"], ["丁", "戊"]),
        ]
        links = [None if chunk.links is None else [pair.tolist() for pair in chunk.links] for chunk in chunks]
        assert links == [[[[0, 3, 1, 2]], []], [[[0, 3, 1, 2], [4, 70_000, 1, 2]]], [[]], None]
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "clean").symlink_to("/dev/full")
    store = CleanStore(tmp_path / "clean")
    with pytest.raises(ResourceError, match=r"cannot write .*clean: No space left"):
        store.add(["a" * 100_000], ["b"])
    with contextlib.suppress(OSError):  # what was not written cannot be written now
        store.close()

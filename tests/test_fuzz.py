"""The targets of `fuzz.py` on files with random changes: only errors of one line come out."""

import json
import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SPEC = spec_from_file_location("fuzz", Path(__file__).with_name("fuzz.py"))
assert SPEC is not None
assert SPEC.loader is not None
fuzz = sys.modules["fuzz"] = module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)
TARGETS = fuzz.targets()
TOKENS = [b"\0", b"\n", b"\r", b"\t", b'"', b"[", b"{", b"}", b"\xff", b"<", b"&", b"9", b"-1", b"null", b"1e999"]


class Edit(NamedTuple):
    """A change at a place, from 0 to 1: bytes are taken out, doubled, and others put in."""

    place: float
    out: int
    doubled: int
    put: bytes

    def of(self, content: bytes) -> bytes:
        place = int(self.place * len(content))
        return content[:place] + self.put + content[place : place + self.doubled] + content[place + self.out :]


EDITS = st.lists(
    st.builds(
        Edit,
        st.floats(0, 1),
        st.integers(0, 20),
        st.integers(0, 20),
        st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4)),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", TARGETS)
def test_what_fuzzing_begins_with_is_read(name: str, tmp_path: Path) -> None:
    accepted = [fuzz.run(TARGETS[name], seed, tmp_path) for seed in TARGETS[name].seeds]
    assert all(accepted), f"{name}: {accepted}"


@pytest.mark.parametrize("name", TARGETS)
def test_changed_files_are_read_or_refused_in_one_line(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    target, folder = TARGETS[name], tmp_path_factory.mktemp("fuzz")

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(st.sampled_from(target.seeds), EDITS)
    def changed(content: bytes, edits: Sequence[Edit]) -> None:
        for edit in edits:
            content = edit.of(content)
        fuzz.run(target, content, folder)

    changed()


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from(
        [1 << 31, 1 << 70, -(1 << 63), float("nan"), float("inf"), 1e300, 0.5, "", "x", "../x", "\n", "\0"]
    ),
    st.sampled_from([[], {}, [[]], [1, "x"], {"x": {}}]),
)


def places(value: object, before: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The places of all values in a JSON value."""
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [before, *(place for key, held in inside for place in places(held, (*before, key)))]


def with_value(value: Any, place: Sequence[str | int], new: object) -> Any:
    """The JSON value with another one at a place."""
    if not place:
        return new
    changed = value.copy()
    changed[place[0]] = with_value(value[place[0]], place[1:], new)
    return changed


@pytest.mark.parametrize("name", ["bundle", "checkpoint", "prepared"])
def test_manifests_with_other_values_are_read_or_refused_in_one_line(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target, folder = TARGETS[name], tmp_path_factory.mktemp("fuzz")
    (content,) = map(json.loads, target.seeds)

    @settings(max_examples=300, derandomize=True, deadline=None, database=None)
    @given(st.sampled_from(places(content)), VALUES)
    def changed(place: Sequence[str | int], new: object) -> None:
        fuzz.run(target, json.dumps(with_value(content, place, new)).encode(), folder)

    changed()

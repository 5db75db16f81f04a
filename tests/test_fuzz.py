"""The targets of `fuzz.py` on files with random changes: only errors of one line come out."""

import random
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SPEC = spec_from_file_location("fuzz", Path(__file__).with_name("fuzz.py"))
assert SPEC is not None
assert SPEC.loader is not None
fuzz = sys.modules["fuzz"] = module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)
TARGETS = fuzz.targets()


def changed(content: bytes, draw: random.Random) -> bytes:
    """The content with up to four bytes changed, cut out, doubled or put in."""
    held = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(held) + 1)
        match draw.randrange(60):
            case 0 if place < len(held):
                held[place] = draw.randrange(256)
            case 1:
                del held[place : place + draw.randint(1, 20)]
            case 2:
                held[place:place] = held[place : place + draw.randint(1, 20)]
            case _:
                held[place:place] = draw.choice(
                    [b"\0", b"\n", b"\r", b"\t", b'"', b"[", b"{", b"\xff", b"<", b"&", b"9"]
                )
    return bytes(held)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_files_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    target, draw = TARGETS[name], random.Random(7)
    accepted = [fuzz.run(target, seed, tmp_path) for seed in target.seeds]
    assert all(accepted), f"{name}: {accepted}"
    for _ in range(60):
        fuzz.run(target, changed(draw.choice(target.seeds), draw), tmp_path)

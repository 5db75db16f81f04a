"""Which cleaned pairs are left out and why, which sentences count as the same, and which script Chinese text is in."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from attentio.text.clean import convert
from attentio.text.script import HAN, PUNCTUATION

_HAN_LETTER = re.compile(f"[{HAN}]")
_SCRIPTS = {
    (True, False): "traditional",
    (False, True): "simplified",
    (False, False): "neutral",
    (True, True): "mixed",
}


def script_mix(lines: Sequence[str]) -> dict[str, float] | None:
    """Return the shares of Chinese lines by script, or None where no line holds a Han character.

    Each line is converted both ways. It is traditional if only the conversion to simplified changes it, and simplified
    if only the other does. It is mixed if both do, and neutral if neither does.
    """
    lines = [line for line in lines if _HAN_LETTER.search(line)]
    if not lines:
        return None
    both = (convert(name, "\n".join(lines)).split("\n") for name in ("t2s", "s2t"))
    counts = Counter(_SCRIPTS[line != simple, line != full] for line, simple, full in zip(lines, *both, strict=True))
    return {name: counts[name] / len(lines) for name in _SCRIPTS.values()}


def split_keys(lines: Sequence[str], *, han: bool) -> list[str]:
    """Return a key for each cleaned line: equal where sentences differ in case, punctuation, spaces or script only."""
    if not lines:
        return []
    text = "\n".join(lines)
    if han:
        text = convert("t2s", text)
    codes = np.frombuffer(text.casefold().encode("utf-32-le"), dtype=np.uint32)
    keys = codes[_in_key()[codes]].tobytes().decode("utf-32-le").split("\n")
    return [key or line for key, line in zip(keys, lines, strict=True)]


def unfit(sources: Sequence[str], targets: Sequence[str], max_ratio: float) -> dict[int, str]:
    """Return index and reason of every cleaned pair to drop: empty, identical, or of very different lengths."""
    left, right = byte_lengths(sources), byte_lengths(targets)
    # Seven bytes are added so that short sentences may differ more: "Hi." and its polite translation pass.
    longer, shorter = np.maximum(left, right) + 7, np.minimum(left, right) + 7
    found = dict.fromkeys(np.flatnonzero(longer > max_ratio * shorter).tolist(), "length ratio")
    found |= {i: "identical" for i, (s, t) in enumerate(zip(sources, targets, strict=True)) if s == t}
    return found | dict.fromkeys(np.flatnonzero(np.minimum(left, right) == 0).tolist(), "empty")


@cache
def _in_key() -> npt.NDArray[np.bool_]:
    """For every code point, whether it is kept in a key: all but punctuation and the space."""
    counts = np.ones(0x110000, dtype=np.bool_)
    plane = "".join(map(chr, range(0xD800))) + " " * 0x800 + "".join(map(chr, range(0xE000, 0x10000)))
    counts[[found.start() for found in re.finditer(f"[{PUNCTUATION}]", plane)]] = False
    counts[ord(" ")] = False
    return counts


def byte_lengths(lines: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the length of each line in UTF-8 bytes."""
    return np.fromiter((len(line.encode()) for line in lines), dtype=np.int64, count=len(lines))

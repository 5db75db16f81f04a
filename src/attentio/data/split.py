"""Train, dev and test such that no sentence stands on both sides of a split.

Two pairs belong together if they share a source or a target, up to case, punctuation and script (`split_keys`).
A whole connected component goes to one part. Keys are 64-bit hashes, so millions of pairs cost a few arrays.
"""

import re
from collections.abc import Hashable, Iterable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from attentio.data.report import Leak
from attentio.text.clean import convert
from attentio.text.script import PUNCTUATION

TRAIN, DEV, TEST = 0, 1, 2

Hashes = npt.NDArray[np.int64]


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


@cache
def _in_key() -> npt.NDArray[np.bool_]:
    """For every code point, whether it is kept in a key: all but punctuation and the space."""
    counts = np.ones(0x110000, dtype=np.bool_)
    plane = "".join(map(chr, range(0xD800))) + " " * 0x800 + "".join(map(chr, range(0xE000, 0x10000)))
    counts[[found.start() for found in re.finditer(f"[{PUNCTUATION}]", plane)]] = False
    counts[ord(" ")] = False
    return counts


def hashes(keys: Iterable[Hashable], count: int) -> Hashes:
    """Return a 64-bit hash of each key. They are equal within one process only: never save them."""
    return np.fromiter(map(hash, keys), dtype=np.int64, count=count)


def components(source: Hashes, target: Hashes) -> npt.NDArray[np.int64]:
    """Return for each of N pairs the smallest index of a pair in its connected component."""
    groups = [np.unique(side, return_inverse=True)[1] for side in (source, target)]
    labels = np.arange(len(source))
    while True:
        before = labels
        for group in groups:
            smallest = np.full(int(group.max(initial=-1)) + 1, len(labels))
            np.minimum.at(smallest, group, labels)
            # A label is itself a pair of the component: lowering its own label too joins whole chains at a time.
            merged = labels.copy()
            np.minimum.at(merged, labels, smallest[group])
            labels = np.minimum(merged, smallest[group])
            labels = labels[labels]
        if np.array_equal(labels, before):
            return labels


def repeated(pairs: Hashes) -> npt.NDArray[np.bool_]:
    """Return True at every pair that stood earlier already."""
    again = np.ones(len(pairs), dtype=np.bool_)
    again[np.unique(pairs, return_index=True)[1]] = False
    return again


def split(
    labels: npt.NDArray[np.int64], parts: npt.NDArray[np.integer], dev: Sequence[int], test: Sequence[int], seed: int
) -> npt.NDArray[np.uint8]:
    """Return TRAIN, DEV or TEST for each of N pairs, whole components at a time, in an order drawn from `seed`.

    `parts` (N,) is the corpus each pair comes from. `dev` and `test` say how many pairs to hold out of each. A
    component that spans corpora, or is larger than what is still wanted, stays in train. The counts are upper bounds.
    """
    roots, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    lowest, highest = np.full(len(roots), np.iinfo(np.int64).max), np.full(len(roots), -1)
    np.minimum.at(lowest, inverse, parts)
    np.maximum.at(highest, inverse, parts)
    chosen = np.full(len(roots), TRAIN, dtype=np.uint8)
    order = np.random.default_rng(seed).permutation(len(roots))
    for part, wanted in enumerate(zip(dev, test, strict=True)):
        mine = order[(lowest[order] == part) & (highest[order] == part)]
        for name, left in zip((DEV, TEST), wanted, strict=True):
            taken = np.zeros(len(mine), dtype=np.bool_)
            for place, size in enumerate(sizes[mine].tolist()):
                if left <= 0:
                    break
                if size <= left:
                    taken[place] = True
                    left -= size
            chosen[mine[taken]] = name
            mine = mine[~taken]
    return chosen[inverse]


def leak(source: Hashes, target: Hashes, assigned: npt.NDArray[np.uint8]) -> Leak | None:
    """Return the shares of held-out pairs that share a side with training, or None where nothing is held out."""
    train = assigned == TRAIN
    if train.all():
        return None
    shared = [contained(side[~train], side[train]) for side in (source, target)]
    return Leak(float(shared[0].mean()), float(shared[1].mean()), float((shared[0] | shared[1]).mean()))


def contained(these: Hashes, those: Hashes) -> npt.NDArray[np.bool_]:
    """Return for each of `these` whether it is one of `those`. The smaller of the two is sorted."""
    if len(these) == 0 or len(those) == 0:
        return np.zeros(len(these), dtype=np.bool_)
    few, inverse = np.unique(min(these, those, key=len), return_inverse=True)
    many = max(those, these, key=len)
    place = np.minimum(np.searchsorted(few, many), len(few) - 1)
    match = few[place] == many
    if many is these:
        return match
    found = np.zeros(len(few), dtype=np.bool_)
    found[place[match]] = True
    return found[inverse]

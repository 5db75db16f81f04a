"""Train, dev and test such that no sentence stands on both sides of a split.

Two pairs belong together if they share a source or a target, up to case, punctuation and script (`split_keys`).
A whole connected component goes to one part. Keys are 64-bit hashes and groups 32-bit numbers, so millions of pairs
cost a few arrays.
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
Numbers = npt.NDArray[np.int32]
_BLOCK = 1 << 20  # keys that are looked for at a time


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


def groups(keys: Hashes) -> Numbers:
    """Return a number for each of N keys, from 0 and in their order: the same for equal keys."""
    order = np.argsort(keys, kind="stable")
    sort = keys[order]
    first = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(sort[1:], sort[:-1], out=first[1:])
    del sort
    numbers = np.empty(len(keys), dtype=np.int32)
    numbers[order] = np.cumsum(first, dtype=np.int32) - 1
    return numbers


def components(source: Numbers, target: Numbers) -> Numbers:
    """Return for each of N pairs the smallest index of a pair in its connected component.

    source, target: what `groups` gives for either side.
    """
    labels = np.arange(len(source), dtype=np.int32)
    while True:
        before = labels
        for group in (source, target):
            smallest = np.full(int(group.max(initial=-1)) + 1, len(labels), dtype=np.int32)
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
    sort = np.sort(pairs)
    several = np.unique(sort[1:][sort[1:] == sort[:-1]])
    del sort
    again = contained(pairs, several)
    rows = np.flatnonzero(again)
    again[rows[np.unique(pairs[rows], return_index=True)[1]]] = False
    return again


def split(
    labels: npt.NDArray[np.integer], parts: npt.NDArray[np.integer], dev: Sequence[int], test: Sequence[int], seed: int
) -> npt.NDArray[np.uint8]:
    """Return TRAIN, DEV or TEST for each of N pairs, whole components at a time, in an order drawn from `seed`.

    `parts` (N,) is the corpus each pair comes from. `dev` and `test` say how many pairs to hold out of each. A
    component that spans corpora, or is larger than what is still wanted, stays in train. The counts are upper bounds.
    """
    # All in arrays of N small numbers: there may be as many components as pairs.
    sizes = np.bincount(labels).astype(np.int32)
    roots = np.flatnonzero(sizes).astype(np.int32)
    lowest, highest = np.full(len(sizes), np.iinfo(np.int16).max, dtype=np.int16), np.full(len(sizes), -1, np.int16)
    np.minimum.at(lowest, labels, parts)
    np.maximum.at(highest, labels, parts)
    chosen = np.full(len(sizes), TRAIN, dtype=np.uint8)
    roots = roots[np.random.default_rng(seed).permutation(len(roots)).astype(np.int32)]
    for part, wanted in enumerate(zip(dev, test, strict=True)):
        mine = roots[(lowest[roots] == part) & (highest[roots] == part)]
        for name, left in zip((DEV, TEST), wanted, strict=True):
            taken = np.zeros(len(mine), dtype=np.bool_)
            for place, root in enumerate(mine):
                if left <= 0:
                    break
                if sizes[root] <= left:
                    taken[place] = True
                    left -= int(sizes[root])
            chosen[mine[taken]] = name
            mine = mine[~taken]
    return chosen[labels]


def leak(source: Hashes, target: Hashes, assigned: npt.NDArray[np.uint8]) -> Leak | None:
    """Return the shares of held-out pairs that share a side with training, or None where nothing is held out.

    Pairs with other names than TRAIN, DEV and TEST do not count.
    """
    train, held = assigned == TRAIN, (assigned == DEV) | (assigned == TEST)
    if not held.any():
        return None
    shared = [contained(side[held], side[train]) for side in (source, target)]
    return Leak(float(shared[0].mean()), float(shared[1].mean()), float((shared[0] | shared[1]).mean()))


def contained(these: Hashes, those: Hashes) -> npt.NDArray[np.bool_]:
    """Return for each of `these` whether it is one of `those`. The smaller of the two is sorted."""
    found = np.zeros(len(these), dtype=np.bool_)
    if len(these) == 0 or len(those) == 0:
        return found
    if len(those) <= len(these):
        few = np.unique(those)
        for start in range(0, len(these), _BLOCK):  # so that little is in memory at a time
            found[start : start + _BLOCK] = _match(few, these[start : start + _BLOCK])[0]
        return found
    few, inverse = np.unique(these, return_inverse=True)
    met = np.zeros(len(few), dtype=np.bool_)
    for start in range(0, len(those), _BLOCK):
        match, place = _match(few, those[start : start + _BLOCK])
        met[place[match]] = True
    return met[inverse]


def _match(few: Hashes, many: Hashes) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return for each of `many` whether it is one of the sorted `few`, and where."""
    place = np.minimum(np.searchsorted(few, many), len(few) - 1)
    return few[place] == many, place

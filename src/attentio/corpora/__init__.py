"""The built-in corpora, by name: English sentences with their Chinese translations.

`CORPORA` says how each is read and which version it is. `COLLECTIONS` names several at once. Reading files is not done
here but in `data`.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from attentio.corpora import hsk
from attentio.corpora.small_world import sampling


class Corpus(NamedTuple):
    """A built-in corpus. `read(count)` gives English, Chinese and a number from 1 for each pair."""

    read: Callable[[int], Iterable[tuple[str, str, int]]]  # count: how many pairs, where they are sampled
    version: Callable[[], str]
    installed: Callable[[], bool]


CORPORA: dict[str, Corpus] = {
    "small-world": Corpus(sampling.pairs, sampling.version, lambda: True),
    "hsk": Corpus(lambda _: hsk.pairs(), hsk.version, hsk.installed),
}
# What a collection names is read where it is installed.
COLLECTIONS: dict[str, tuple[str, ...]] = {"demo": ("small-world", "hsk")}

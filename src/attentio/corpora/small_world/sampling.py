"""The small world as a corpus: the grammar's sample, drawn once per process and size."""

from collections.abc import Iterator
from functools import lru_cache

from attentio.corpora.small_world.grammar import GrammarPair, sample, version

__all__ = ["SAMPLE_SEED", "pairs", "sampled", "version"]
SAMPLE_SEED = 1  # the corpus is the same for everyone: a run's seed changes its split and order only


@lru_cache(maxsize=2)
def sampled(count: int) -> tuple[GrammarPair, ...]:
    """Return `count` pairs of the grammar, always the same."""
    return tuple(sample(count, SAMPLE_SEED))


def pairs(count: int) -> Iterator[tuple[str, str, int]]:
    """Yield English, Chinese and the number of each of `count` pairs, from 1."""
    for number, pair in enumerate(sampled(count), start=1):
        yield pair.source, pair.target, number

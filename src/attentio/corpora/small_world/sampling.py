"""The built-in small world as a corpus: the grammar's sample, drawn once per process and size."""

from collections.abc import Sequence
from functools import lru_cache

from attentio.corpora.small_world.grammar import GrammarPair, sample
from attentio.data.heldout import LinkedPair

SAMPLE_SEED = 1  # the corpus is the same for everyone; a run's seed changes its split and order only


@lru_cache(maxsize=2)
def sampled(count: int) -> tuple[GrammarPair, ...]:
    """`count` pairs of the grammar, always the same."""
    return tuple(sample(count, SAMPLE_SEED))


def linked_pairs(numbers: Sequence[int], sources: Sequence[str], count: int) -> list[LinkedPair]:
    """The words and links of the pairs with these numbers (from 1) among `count`, in the direction of their sources."""
    world = sampled(count)
    return [_linked(world[number - 1], source) for number, source in zip(numbers, sources, strict=True)]


def _linked(pair: GrammarPair, source: str) -> LinkedPair:
    english = tuple(pair.source[start:end] for start, end in pair.source_spans)
    chinese = tuple(pair.target[start:end] for start, end in pair.target_spans)
    linked = LinkedPair(english, chinese, pair.links)
    return linked if source == pair.source else linked.turned()

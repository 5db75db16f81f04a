"""The built-in small world as a corpus: the grammar's sample, drawn once per process and size."""

from functools import lru_cache

from attentio.data.grammar import GrammarPair, sample

SAMPLE_SEED = 1  # the corpus is the same for everyone; a run's seed changes its split and order only


@lru_cache(maxsize=2)
def sampled(count: int) -> tuple[GrammarPair, ...]:
    """`count` pairs of the grammar, always the same."""
    return tuple(sample(count, SAMPLE_SEED))

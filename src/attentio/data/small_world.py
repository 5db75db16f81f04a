"""The built-in small world as a corpus: the grammar's sample, drawn once per process and size."""

from functools import lru_cache

from attentio.data.corpus import EncodedCorpus
from attentio.data.grammar import GrammarPair, sample
from attentio.data.links import TokenLinks, token_links
from attentio.data.tokenizer import Tokenizer

SAMPLE_SEED = 1  # the corpus is the same for everyone; a run's seed changes its split and order only


@lru_cache(maxsize=2)
def sampled(count: int) -> tuple[GrammarPair, ...]:
    """`count` pairs of the grammar, always the same."""
    return tuple(sample(count, SAMPLE_SEED))


def known_links(corpus: EncodedCorpus, source: Tokenizer, target: Tokenizer, count: int) -> TokenLinks:
    """The links of the pairs of an encoded corpus that are the small world's, found by their text; others have none."""
    known = {(pair.source, pair.target): pair for pair in sampled(count)}
    found: list[list[tuple[int, int]]] = []
    for number in range(len(corpus)):
        read = source.decode(corpus.source[number].tolist())
        written = target.decode(corpus.target[number].tolist())
        pieces = source.spans(read), target.spans(written)
        if (pair := known.get((read, written))) is not None:
            found.append(token_links(pair.links, pair.source_spans, pair.target_spans, *pieces))
        elif (pair := known.get((written, read))) is not None:
            links = {(j, i) for i, j in pair.links}
            found.append(token_links(links, pair.target_spans, pair.source_spans, *pieces))
        else:
            found.append([])
    return TokenLinks.of_pairs(found)

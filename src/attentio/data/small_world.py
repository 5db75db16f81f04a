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
        texts = source.decode(corpus.source[number].tolist()), target.decode(corpus.target[number].tolist())
        if (pair := known.get(texts)) is not None:
            words = pair.links, pair.source_spans, pair.target_spans
        elif (pair := known.get(texts[::-1])) is not None:
            words = {(j, i) for i, j in pair.links}, pair.target_spans, pair.source_spans
        else:
            found.append([])
            continue
        found.append(token_links(*words, source.spans(texts[0]), target.spans(texts[1])))
    return TokenLinks.of_pairs(found)

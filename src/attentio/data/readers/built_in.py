"""The built-in corpora as data: their pairs in the direction that the settings ask for, and their known word links."""

from collections.abc import Sequence

from attentio.corpora import CORPORA
from attentio.corpora.small_world import sampling
from attentio.data.heldout import LinkedPair
from attentio.data.readers.lines import Origin, Rows
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig


def read_built_in(origin: Origin, config: DataConfig, log: DropLog) -> Rows:  # noqa: ARG001
    """Read a built-in corpus: English to Chinese, unless the languages or, without those, `swap` say otherwise."""
    given = (config.source_language, config.target_language)
    pairs = iter(CORPORA[origin.corpus or ""].read(config.small_world_pairs))
    if given == ("zh", "en") if all(given) else config.swap:
        return Rows(((chinese, english, number) for english, chinese, number in pairs), ("zh", "en"))
    return Rows(pairs, ("en", "zh"))


def known_links(numbers: Sequence[int], sources: Sequence[str], targets: Sequence[str], count: int) -> list[LinkedPair]:
    """Return words and links of pairs of the small world, in the direction of their sources.

    numbers: of the pairs, from 1, among `count`. sources, targets: their texts, cleaned or not. Words are spelled as
    there, or as the grammar spells them where cleaning has moved them.
    """
    world = sampling.sampled(count)
    found: list[LinkedPair] = []
    for number, source, target in zip(numbers, sources, targets, strict=True):
        pair, backwards = world[number - 1], target.isascii()
        english, chinese = (target, source) if backwards else (source, target)
        linked = LinkedPair(
            _words(english, pair.source_spans, pair.source_words),
            _words(chinese, pair.target_spans, pair.target_words),
            pair.links,
        )
        found.append(linked.swapped() if backwards else linked)
    return found


def _words(text: str, spans: Sequence[tuple[int, int]], words: Sequence[str]) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in spans) if spans and spans[-1][1] == len(text) else tuple(words)

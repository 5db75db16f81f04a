"""The built-in corpora as data: their pairs in the direction that the settings ask for, and their known word links."""

from collections.abc import Iterator, Sequence

from attentio.corpora import CORPORA
from attentio.corpora.small_world import sampling
from attentio.data.heldout import LinkedPair
from attentio.data.readers.rows import Origin, Row, Rows
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig


def read_built_in(origin: Origin, config: DataConfig, log: DropLog) -> Rows:  # noqa: ARG001
    """Read a built-in corpus: English to Chinese, unless the languages or, without those, `swap` say otherwise."""
    assert origin.corpus is not None
    given = (config.source_language, config.target_language)
    swapped = given == ("zh", "en") if all(given) else config.swap
    pairs = CORPORA[origin.corpus].read(config.small_world_pairs)

    def rows() -> Iterator[Row]:
        for english, chinese, number in pairs:
            yield (chinese, english, number) if swapped else (english, chinese, number)

    return Rows(rows(), ("zh", "en") if swapped else ("en", "zh"))


def knows_links(origin: Origin) -> bool:
    """Return whether the word links of a part are known by construction."""
    return origin.corpus == "small-world"


def known_links(numbers: Sequence[int], sources: Sequence[str], targets: Sequence[str], count: int) -> list[LinkedPair]:
    """Return words and links of pairs of the small world, in the direction of their sources.

    numbers: of the pairs, from 1, among `count`. sources, targets: their texts, cleaned or not. Words are spelled as
    there, or as the grammar spells them where cleaning has moved them.
    """
    world = sampling.sampled(count)
    found: list[LinkedPair] = []
    for number, *texts in zip(numbers, sources, targets, strict=True):
        pair = world[number - 1]
        backwards = texts[1].isascii()
        english, chinese = texts[::-1] if backwards else texts
        linked = LinkedPair(
            _words(english, pair.source_spans, pair.source_words),
            _words(chinese, pair.target_spans, pair.target_words),
            pair.links,
        )
        found.append(linked.swapped() if backwards else linked)
    return found


def _words(text: str, spans: Sequence[tuple[int, int]], words: Sequence[str]) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in spans) if spans and spans[-1][1] == len(text) else tuple(words)

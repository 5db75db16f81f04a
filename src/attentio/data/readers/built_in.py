"""The built-in corpora as data: their pairs in the direction that the settings ask for, and their known word links."""

from collections.abc import Iterator, Sequence

from attentio.corpora import CORPORA
from attentio.corpora.small_world import sampling
from attentio.corpora.small_world.grammar import GrammarPair
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


def known_links(numbers: Sequence[int], sources: Sequence[str], count: int) -> list[LinkedPair]:
    """Return words and links of pairs of the small world, in the direction of their sources.

    numbers: of the pairs, from 1, among `count`.
    """
    world = sampling.sampled(count)
    return [_linked(world[number - 1], source) for number, source in zip(numbers, sources, strict=True)]


def _linked(pair: GrammarPair, source: str) -> LinkedPair:
    english = tuple(pair.source[start:end] for start, end in pair.source_spans)
    chinese = tuple(pair.target[start:end] for start, end in pair.target_spans)
    linked = LinkedPair(english, chinese, pair.links)
    return linked if source == pair.source else linked.swapped()

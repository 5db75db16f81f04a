"""The known word links of one part of the data: read beside its pairs, and followed through cleaning.

A file of links has a line for each line of the parallel file; the small world knows its own. Which pairs are kept is
decided in `passes`, and what becomes of the links of those in `links`.
"""

from collections.abc import Callable, Sequence
from itertools import starmap
from pathlib import Path
from typing import cast

from attentio.corpora.small_world import sampling as small_world
from attentio.data.alignments import LinkFile, check_line_counts
from attentio.data.heldout import LinkedPair
from attentio.data.links import SpanLinks, place_words, span_links
from attentio.data.readers.source import Chunk, Origin, existing, read_lines
from attentio.data.settings import DataConfig
from attentio.errors import UsageError
from attentio.text.clean import Cleaner

Linked = Callable[[Chunk], list[LinkedPair]]


def link_files(origins: Sequence[Origin], config: DataConfig) -> list[Path | None]:
    """The file of links of each part; built-in corpora have none. Raises where numbers or kinds do not fit."""
    if not config.links:
        return [None] * len(origins)
    files = [origin.path for origin in origins if origin.path is not None]
    if len(files) != len(config.links):
        raise UsageError(
            f"{len(files)} parallel and {len(config.links)} links files: each parallel file needs one of its own.",
            hint="Give them in the same order.",
        )
    for path in files:
        if path.name.removesuffix(".gz").endswith(".tmx"):
            raise UsageError(
                f"{path}: word links go line by line, and a TMX file has no lines.", hint="Convert it to TSV."
            )
    named = map(existing, config.links)
    return [next(named) if origin.path is not None else None for origin in origins]


def is_small_world(origin: Origin) -> bool:
    """Whether a part is the grammar's, whose word links are known."""
    return origin.path is None and origin.name.startswith("small-world")


def linked_reader(origin: Origin, links: Path | None, config: DataConfig) -> Linked | None:
    """What gives the words and links of a part's chunks, asked chunk after chunk; None where no links are known.

    Raises DataError, with file and line, where a file of links does not fit its text or holds what is no link.
    """
    if links is not None:
        return _of_file(cast(Path, origin.path), links, config)
    if is_small_world(origin):
        count = config.small_world_pairs
        return lambda chunk: small_world.linked_pairs(chunk.lines.tolist(), chunk.sources, count)
    return None


def follow(
    pairs: Sequence[LinkedPair], texts: tuple[Sequence[str], Sequence[str]], cleaners: tuple[Cleaner, Cleaner]
) -> list[SpanLinks | None]:
    """The links of each pair in its cleaned texts; None where its words cannot be found there again."""
    linked = [i for i, pair in enumerate(pairs) if pair.links]
    words = ([pairs[i].source_words for i in linked], [pairs[i].target_words for i in linked])
    placed = [
        place_words(side, [lines[i] for i in linked], cleaner)
        for side, lines, cleaner in zip(words, texts, cleaners, strict=True)
    ]
    found: list[SpanLinks | None] = [span_links((), (), ())] * len(pairs)
    for i, source, target in zip(linked, *placed, strict=True):
        found[i] = None if source is None or target is None else span_links(pairs[i].links, source, target)
    return found


def _of_file(text: Path, links: Path, config: DataConfig) -> Linked:
    counts = (sum(1 for _ in read_lines(path, encoding)) for path, encoding in ((links, None), (text, config.encoding)))
    check_line_counts(links, next(counts), text, next(counts))
    file = LinkFile(links, config.links_index)

    def read(chunk: Chunk) -> list[LinkedPair]:
        # A link joins a word of the first column to one of the second, whichever of them is the source.
        columns = (chunk.targets, chunk.sources) if config.swap else (chunk.sources, chunk.targets)
        first, second = ([tuple(line.split()) for line in column] for column in columns)
        lengths = [(len(left), len(right)) for left, right in zip(first, second, strict=True)]
        found = zip(first, second, file.take(chunk.lines.tolist(), lengths), strict=True)
        return (
            [pair.turned() for pair in starmap(LinkedPair, found)] if config.swap else list(starmap(LinkedPair, found))
        )

    return read

"""The three passes over the data: clean everything, learn the tokenizers from training pairs, encode what is kept.

Nothing that is dropped decides anything: languages, the split and the tokenizers follow from the pairs that are kept.
Only hashes, lengths and line numbers of all pairs stay in memory. Their text lies in a `CleanStore`. `prepare` runs the
passes and says what came out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from attentio.data.corpus import write_corpus
from attentio.data.filter import Filter, byte_lengths, script_mix, split_keys
from attentio.data.links import (
    Linked,
    TokenLinks,
    follow,
    link_files,
    linked_reader,
    token_links,
)
from attentio.data.readers.built_in import knows_links
from attentio.data.readers.rows import Origin
from attentio.data.report import DropLog, Leak
from attentio.data.settings import DataConfig
from attentio.data.source import Chunk, file_origin, open_rows, origins, read_chunks
from attentio.data.split import DEV, TEST, TRAIN, components, contained, hashes, leak, random_split, repeated, split
from attentio.data.store import NO_LINKS, CleanStore, SpanLinks, StoredChunk
from attentio.errors import DataError
from attentio.text.clean import Cleaner
from attentio.text.learn import train_tokenizer
from attentio.text.script import base_language, guess_language
from attentio.text.tokenizer import Tokenizer

_DUPLICATE, _IN_HELD_OUT, _TOO_LONG = 8, 9, 10  # beside TRAIN, DEV and TEST: pairs that are left out
_NO_PAIR = ("one column", "blank", "language missing")  # dropped by readers, so that no chunk holds them
# What makes a pair worthless, and what most of a file then has.
_WORTHLESS = {
    "one column": "have one column",
    "empty": "have an empty side",
    "identical": "have the same text on both sides",
    "length ratio": "have sides of very different lengths",
    "language missing": "lack one of the languages",
}
_LEAST_PAIRS = 200  # smaller parts hold nothing out unless asked to
_MIX_LINES = 100_000
_SAMPLE_PAIRS = 20_000  # usable pairs of a part from which its languages are guessed

Progress = Callable[[str, int], None]
HeldPair = tuple[int, int, str, str]  # part, line, source, target
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Parts:
    """All origins in reading order: those for training, then a dev and a test file where given."""

    origins: list[Origin]
    training: int  # how many are for training
    dev: int | None  # place of the dev file in `origins`
    test: int | None
    links: list[Path | None]  # files of word links, one place for each origin

    @property
    def linked(self) -> bool:
        """Whether word links of any training pair are known."""
        return any(self.links) or any(map(knows_links, self.origins[: self.training]))

    @classmethod
    def of(cls, config: DataConfig) -> Self:
        """Return the parts that the settings name."""
        found = origins(config)
        training = len(found)
        links = link_files(found, config)
        places: dict[str, int | None] = {"dev": None, "test": None}
        for name, value in (("dev", config.dev), ("test", config.test)):
            if isinstance(value, str):
                places[name] = len(found)
                found.append(file_origin(value))
        return cls(found, training, places["dev"], places["test"], links + [None] * (len(found) - training))


class SideRules(NamedTuple):
    """What is known of one side before reading all of it. A model that is trained further has a tokenizer."""

    language: str | None
    cleaner: Cleaner
    tokenizer: Tokenizer | None = None


@dataclass(frozen=True)
class Cleaned:
    """All cleaned pairs: their text in `store`, and a row each in the arrays."""

    store: CleanStore
    part: npt.NDArray[np.int16]
    line: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]  # hashes of keys
    target: npt.NDArray[np.int64]
    pair: npt.NDArray[np.int64]  # hashes of the cleaned pair itself
    characters: npt.NDArray[np.int32]  # of the longer side
    size: npt.NDArray[np.int32]  # of the larger side, in UTF-8 bytes: no tokenizer makes more tokens than that and one
    read: list[int]  # pairs met in each part
    mixes: list[dict[str, float] | None]  # of source and target, before conversion


@dataclass(frozen=True)
class Split:
    """Where each cleaned pair goes, and how well that keeps the sides apart."""

    assigned: npt.NDArray[np.uint8]
    components: int
    largest_component: int
    leak_random: Leak | None
    leak: Leak | None


@dataclass(frozen=True)
class Kept:
    """What the last pass kept: counts of training pairs by part, and the held-out pairs."""

    train: list[int]
    dev: list[HeldPair]
    test: list[HeldPair]
    tokens: list[int]  # in training, source and target
    longest: list[int]
    links: list[TokenLinks]  # known links of training pairs, chunk by chunk. Empty where no part has any
    linked: list[list[int]]  # by part: training pairs that have links, and how many links between words


def detect_languages(config: DataConfig, parts: Parts, log: DropLog) -> list[SideRules]:
    """Return the language of each side and the cleaning rules that follow from it.

    Languages come from the settings, else from what a file says of itself, else from its first usable pairs.
    """
    quiet = DropLog()
    named: list[tuple[str | None, str | None]] = []
    guessed: list[tuple[str | None, str | None]] = []
    for origin in parts.origins:
        rows = open_rows(origin, config, quiet)
        named.append(rows.languages)
        if origin.corpus is not None:
            guessed.append(rows.languages)
            continue
        sources, targets = _usable_sample(origin, config, quiet)
        guessed.append((guess_language(sources), guess_language(targets)))
    wanted = tuple(
        given or named[0][side] or guessed[0][side]
        for side, given in enumerate((config.source_language, config.target_language))
    )
    for origin, guess in zip(parts.origins, guessed, strict=True):
        if None not in guess and guess == (base_language(wanted[1]), base_language(wanted[0])) and guess[0] != guess[1]:
            raise DataError(
                f"{origin.path or origin.name} holds {guess[0]} on the source and {guess[1]} on the target side, "
                f"but {wanted[0]} to {wanted[1]} is wanted.",
                hint="Swapped columns? --swap",
                code="E_DATA_SWAPPED",
                file=None if origin.path is None else str(origin.path),
            )
    for note in quiet.notes:
        log.note(note)
    rules: list[SideRules] = []
    for language in wanted:
        han = base_language(language) in ("zh", "cmn", "yue")
        rules.append(SideRules(language, Cleaner(han=han, script=config.script if han else "keep")))
    return rules


def _usable_sample(origin: Origin, config: DataConfig, log: DropLog) -> tuple[list[str], list[str]]:
    """Return the first pairs of a part that are kept whatever the languages are: not too long, repeated or unfit."""
    found: dict[tuple[str, str], None] = {}
    first: Chunk | None = None
    cleaner, rules = Cleaner(), Filter(config.max_ratio)
    for chunk in read_chunks(origin, config, log):
        first = first or chunk
        sources, targets = cleaner.lines(chunk.sources), cleaner.lines(chunk.targets)
        unfit = rules.reasons(sources, targets)
        for i, pair in enumerate(zip(sources, targets, strict=True)):
            if i not in unfit and max(map(len, pair)) <= config.max_length:
                found[pair] = None
        if len(found) >= _SAMPLE_PAIRS:
            break
    pairs = list(found)[:_SAMPLE_PAIRS]
    if not pairs and first is not None:
        return first.sources, first.targets
    return [source for source, _ in pairs], [target for _, target in pairs]


def clean(
    store: CleanStore,
    config: DataConfig,
    parts: Parts,
    sides: Sequence[SideRules],
    log: DropLog,
    progress: Progress,
) -> Cleaned:
    """First pass: read, mend and filter every pair. Survivors go to the store, with their known links."""
    columns: list[list[npt.NDArray[Any]]] = [[] for _ in range(7)]
    read: list[int] = []
    mixes = [_MixSample(), _MixSample()]
    rules = Filter(config.max_ratio)
    passed = 0
    for part, origin in enumerate(parts.origins):
        count = 0
        reader = linked_reader(origin, parts.links[part], config) if part < parts.training else None
        lost: list[int] = []
        for chunk in read_chunks(origin, config, log):
            count += len(chunk.sources)
            raw = (chunk.sources, chunk.targets)
            both = [side.cleaner.lines(lines, log.mended) for side, lines in zip(sides, raw, strict=True)]
            for mix, side, lines in zip(mixes, sides, raw, strict=True):
                if side.cleaner.han:
                    mix.add(lines)
            known = _known_links(reader, chunk, both, sides, lost)
            sources, targets, kept = _filtered(origin.name, rules, both, chunk.lines, log)
            store.add(sources, targets, [known[i] for i in kept] if parts.linked else None)
            keys = [split_keys(t, han=s.cleaner.han) for t, s in zip((sources, targets), sides, strict=True)]
            size = len(sources)
            new = (
                np.full(size, part, dtype=np.int16),
                chunk.lines[kept],
                hashes(keys[0], size),
                hashes(keys[1], size),
                hashes(zip(sources, targets, strict=True), size),
                np.fromiter(map(max, map(len, sources), map(len, targets)), dtype=np.int32, count=size),
                np.maximum(byte_lengths(sources), byte_lengths(targets)).astype(np.int32),
            )
            for column, array in zip(columns, new, strict=True):
                column.append(array)
            passed += len(chunk.sources)
            progress("clean", passed)
        if lost:
            log.note(
                f"{parts.links[part] or origin.name}: links of {len(lost):,} pairs are left out, their words cannot be "
                f"found after cleaning (first: line {lost[0]:,})"
            )
        read.append(count + sum(log.counts[origin.name][reason] for reason in _NO_PAIR))
        _check_worth(origin, read[-1], config, log)
    if not len(store):
        raise DataError("no usable pair in the data.", code="E_DATA_EMPTY")
    part_of, line, source, target, pair, characters, sizes = (np.concatenate(column) for column in columns)
    shares = [mix.shares() for mix in mixes]
    return Cleaned(store, part_of, line, source, target, pair, characters, sizes, read, shares)


def split_and_learn(
    cleaned: Cleaned,
    config: DataConfig,
    parts: Parts,
    sides: Sequence[SideRules],
    seed: int,
    log: DropLog,
    progress: Progress,
) -> tuple[Split, tuple[Tokenizer, Tokenizer]]:
    """Second pass: split the pairs and learn the tokenizers, both without the pairs that are too long.

    How long a pair is, only a tokenizer can say. Where some pairs may be too long, a first tokenizer learns from the
    others and judges them. Both steps are repeated until no pair that took part turns out too long.
    """
    too_long = np.zeros(len(cleaned.part), dtype=np.bool_)
    short = cleaned.characters <= config.max_length
    if not short.all():
        usable = (cleaned.part < parts.training) & ~repeated(cleaned.pair)
        some = usable & short if (usable & short).any() else usable
        too_long = _find_too_long(cleaned, _tokenizers(cleaned, some, config, sides, progress), config)
    while True:
        found = _assign(cleaned, too_long, config, parts, seed)
        tokenizers = _tokenizers(cleaned, found.assigned == TRAIN, config, sides, progress)
        new = _find_too_long(cleaned, tokenizers, config) & ~too_long
        if not new.any():
            break
        too_long |= new
    inside = int((found.assigned == _IN_HELD_OUT).sum())
    if inside:
        log.note(f"{inside:,} training pairs share a side with the dev or test file and were left out")
    return found, tokenizers


def _find_too_long(cleaned: Cleaned, tokenizers: tuple[Tokenizer, Tokenizer], config: DataConfig) -> Bools:
    """Return whether each pair has more tokens on a side than `max_length`. Only those that could are encoded."""
    found = cleaned.size + 1 > config.max_length
    if not found.any():
        return found
    for chunk in cleaned.store.chunks():
        rows = np.flatnonzero(found[chunk.start : chunk.start + len(chunk.sources)])
        if len(rows):
            sides = ([side[i] for i in rows.tolist()] for side in (chunk.sources, chunk.targets))
            lengths = [t.encode_lines(side)[1] for t, side in zip(tokenizers, sides, strict=True)]
            found[chunk.start + rows] = np.maximum(*lengths) > config.max_length
    return found


def _assign(cleaned: Cleaned, too_long: Bools, config: DataConfig, parts: Parts, seed: int) -> Split:
    """Split the cleaned pairs by connected component and mark those that are left out."""
    training = cleaned.part < parts.training
    assigned = np.full(len(training), TRAIN, dtype=np.uint8)
    for place, name in ((parts.dev, DEV), (parts.test, TEST)):
        if place is not None:
            assigned[cleaned.part == place] = name
    # A pair that repeats within a held-out file is a duplicate there. Elsewhere it is one of the training part.
    for group in (training, *(cleaned.part == place for place in (parts.dev, parts.test) if place is not None)):
        rows = np.flatnonzero(group)
        assigned[rows[repeated(cleaned.pair[rows])]] = _DUPLICATE
    assigned[too_long & (assigned != _DUPLICATE)] = _TOO_LONG
    held = ~training & (assigned <= TEST)
    if held.any():
        shared = contained(cleaned.source, cleaned.source[held]) | contained(cleaned.target, cleaned.target[held])
        assigned[training & (assigned == TRAIN) & shared] = _IN_HELD_OUT
    rows = np.flatnonzero(training & (assigned == TRAIN))
    labels = components(cleaned.source[rows], cleaned.target[rows])
    pairs = np.bincount(cleaned.part[rows], minlength=parts.training).tolist()
    dev = [_wanted(config.dev, count, 1000) for count in pairs]
    test = [_wanted(config.test, count, 2000) for count in pairs]
    assigned[rows] = split(labels, cleaned.part[rows], dev, test, seed)
    if not (assigned == TRAIN).any():
        if (assigned[training] == _TOO_LONG).any() and not len(rows):
            raise DataError(
                f"every pair has more than {config.max_length:,} tokens on a side. Nothing was trained.",
                hint="Allow more: --max-length.",
                code="E_DATA_EMPTY",
            )
        raise DataError("no pair is left for training.", hint="Hold out less: --dev, --test.", code="E_DATA_EMPTY")
    sizes = np.bincount(labels)
    before, after = _leaks(cleaned, assigned, parts, seed)
    return Split(assigned, int((sizes > 0).sum()), int(sizes.max(initial=0)), before, after)


def _tokenizers(
    cleaned: Cleaned, chosen: Bools, config: DataConfig, sides: Sequence[SideRules], progress: Progress
) -> tuple[Tokenizer, Tokenizer]:
    """Return the tokenizers of both sides: those that are known, or else learned from the chosen pairs only."""
    known = sides[0].tokenizer, sides[1].tokenizer
    if known[0] is not None and known[1] is not None:
        return known[0], known[1]

    def texts(side: int) -> Iterator[str]:
        for start, lines in cleaned.store.side(side):
            yield from compress(lines, chosen[start : start + len(lines)].tolist())
            progress("tokenizer", start + len(lines))

    return (
        train_tokenizer(
            config.source_tokenizer,
            texts(0),
            config.source_vocab_size,
            min_count=config.min_count,
            lowercase=config.lowercase_source,
        ),
        train_tokenizer(config.target_tokenizer, texts(1), config.target_vocab_size, min_count=config.min_count),
    )


def encode(
    folder: Path,
    cleaned: Cleaned,
    split: Split,
    tokenizers: tuple[Tokenizer, Tokenizer],
    parts: Parts,
    log: DropLog,
    progress: Progress,
) -> Kept:
    """Third pass: write training pairs to the corpora, and return the held-out pairs. Log what is left out."""
    kept = Kept([0] * len(parts.origins), [], [], [0, 0], [0, 0], [], [[0, 0] for _ in parts.origins])
    sizes = [tokenizer.vocab_size for tokenizer in tokenizers]
    with write_corpus(folder / "train", *sizes) as writer:
        for chunk in cleaned.store.chunks():
            start, sources, targets, _ = chunk
            rows = slice(start, start + len(sources))
            names, part, line = split.assigned[rows], cleaned.part[rows], cleaned.line[rows]
            encoded = [t.encode_lines(side) for t, side in zip(tokenizers, (sources, targets), strict=True)]
            for reason, name in (
                ("duplicate", _DUPLICATE),
                ("in held-out file", _IN_HELD_OUT),
                ("too long", _TOO_LONG),
            ):
                for i in np.flatnonzero(names == name).tolist():
                    log.drop(parts.origins[part[i]].name, reason, int(line[i]), sources[i], targets[i])
            chosen = names == TRAIN
            source, target = ((ids[np.repeat(chosen, lengths)], lengths[chosen]) for ids, lengths in encoded)
            writer.add(source, target)
            for side, (ids, lengths) in enumerate((source, target)):
                kept.tokens[side] += len(ids)
                kept.longest[side] = max(kept.longest[side], int(lengths.max(initial=0)))
            for i, count in enumerate(np.bincount(part[chosen], minlength=len(kept.train)).tolist()):
                kept.train[i] += count
            _link(kept, chunk, np.flatnonzero(chosen).tolist(), part, tokenizers)
            for held, name in ((kept.dev, DEV), (kept.test, TEST)):
                for i in np.flatnonzero(names == name).tolist():
                    held.append((int(part[i]), int(line[i]), sources[i], targets[i]))
            progress("encode", start + len(sources))
    for path, train, (pairs, links) in zip(parts.links, kept.train, kept.linked, strict=True):
        if path is not None:
            log.note(f"{path}: {links:,} word links on {pairs:,} of {train:,} training pairs")
    return kept


def _known_links(
    reader: Linked | None, chunk: Chunk, texts: list[list[str]], sides: Sequence[SideRules], lost: list[int]
) -> list[SpanLinks]:
    """Return the links of each pair of a chunk in its cleaned texts. Lines whose links are lost go to `lost`."""
    if reader is None:
        return [NO_LINKS] * len(chunk.sources)
    found = follow(reader(chunk), (texts[0], texts[1]), (sides[0].cleaner, sides[1].cleaner))
    lost.extend(int(line) for line, links in zip(chunk.lines, found, strict=True) if links is None)
    return [NO_LINKS if links is None else links for links in found]


def _link(
    kept: Kept,
    chunk: StoredChunk,
    rows: list[int],
    part: npt.NDArray[np.int16],
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> None:
    """Return the links of the training pairs in `rows` as links between tokens."""
    known, texts = chunk.links, (chunk.sources, chunk.targets)
    if known is None:
        return
    found: list[list[tuple[int, int]]] = [[] for _ in rows]
    for place, i in enumerate(rows):
        if len(known[i]):
            source, target = (tokenizer.spans(side[i]) for tokenizer, side in zip(tokenizers, texts, strict=True))
            found[place] = token_links(known[i], source, target)
            kept.linked[part[i]][0] += 1
            kept.linked[part[i]][1] += len(known[i])
    kept.links.append(TokenLinks.of_pairs(found))


def _filtered(
    name: str, rules: Filter, both: list[list[str]], lines: npt.NDArray[np.int64], log: DropLog
) -> tuple[list[str], list[str], list[int]]:
    """Both sides of the pairs that stay, and their places in the chunk."""
    sources, targets = both
    reasons = rules.reasons(sources, targets)
    if not reasons:
        return sources, targets, list(range(len(sources)))
    for i in sorted(reasons):
        log.drop(name, reasons[i], int(lines[i]), sources[i], targets[i])
    kept = [i for i in range(len(sources)) if i not in reasons]
    return [sources[i] for i in kept], [targets[i] for i in kept], kept


def _check_worth(origin: Origin, read: int, config: DataConfig, log: DropLog) -> None:
    """Refuse a file of which most is unusable: it is probably not what the user meant."""
    dropped = log.counts[origin.name]
    pairs = read - dropped["blank"]
    if config.keep_going or sum(dropped[reason] for reason in _WORTHLESS) * 2 <= pairs:
        return
    reason = max(_WORTHLESS, key=lambda r: dropped[r])
    first = log.first[origin.name, reason]
    raise DataError(
        f"{origin.path or origin.name}: {dropped[reason]:,} of {pairs:,} pairs {_WORTHLESS[reason]} "
        f"(first: lines {', '.join(map(str, first))}). Nothing was trained.",
        hint="If that is meant: --keep-going.",
        code=f"E_DATA_{reason.upper().replace(' ', '_')}",
        file=None if origin.path is None else str(origin.path),
        line=first[0],
    )


def _wanted(setting: int | float | str | None, pairs: int, at_most: int) -> int:
    """Return how many of a part's pairs to hold out."""
    if isinstance(setting, str):
        return 0
    if setting is None:
        return min(pairs // 20, at_most) if pairs >= _LEAST_PAIRS else 0
    return round(setting * pairs) if isinstance(setting, float) else setting


def _leaks(
    cleaned: Cleaned, assigned: npt.NDArray[np.uint8], parts: Parts, seed: int
) -> tuple[Leak | None, Leak | None]:
    """Return the leak of the given files (or of a random split of these sizes), and the leak of this split."""
    before = np.where(assigned == _IN_HELD_OUT, TRAIN, assigned).astype(np.uint8)
    rows = np.flatnonzero(before <= TEST)
    drawn = rows[cleaned.part[rows] < parts.training]
    if (before[drawn] != TRAIN).any():
        before[drawn] = random_split(before[drawn], seed)
    used = np.flatnonzero(assigned <= TEST)
    return (
        leak(cleaned.source[rows], cleaned.target[rows], before[rows]),
        leak(cleaned.source[used], cleaned.target[used], assigned[used]),
    )


class _MixSample:
    """The first lines of one side, for the script mix: enough for a tenth of a per cent."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, lines: list[str]) -> None:
        self._lines.extend(lines[: max(0, _MIX_LINES - len(self._lines))])

    def shares(self) -> dict[str, float] | None:
        return script_mix(self._lines)

"""The three passes over the data: clean everything, learn the tokenizers from training pairs, encode what is kept.

Nothing that is dropped decides anything: languages, the split and the tokenizers follow from the pairs that are kept.
Only hashes, lengths and line numbers of all pairs stay in memory. Their text lies in a `CleanStore`. `prepare` runs the
passes and says what came out.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from attentio.data.corpus import write_corpus
from attentio.data.links import TokenLinks, follow, linked_reader, token_links
from attentio.data.readers.lines import Languages, Origin
from attentio.data.report import DropLog, Leak
from attentio.data.settings import DataConfig
from attentio.data.source import open_rows, read_chunks
from attentio.data.split import (
    DEV,
    TEST,
    TRAIN,
    components,
    contained,
    groups,
    hashes,
    leak,
    repeated,
    split,
    split_keys,
)
from attentio.data.start import Mixture, SideRules, Start
from attentio.data.store import NO_LINKS, CleanStore, SpanLinks, StoredChunk
from attentio.errors import DataError
from attentio.text.clean import Cleaner, convert
from attentio.text.learn import extend_tokenizer, train_tokenizer
from attentio.text.placeholders import mask_pair
from attentio.text.script import HAN, base_language, guess_language
from attentio.text.tokenizer import Tokenizer

_DUPLICATE, _IN_HELD_OUT, _TOO_LONG = 8, 9, 10  # beside TRAIN, DEV and TEST: pairs that are left out
_LEFT_OUT = {"duplicate": _DUPLICATE, "in held-out file": _IN_HELD_OUT, "too long": _TOO_LONG}
_NO_PAIR = ("one column", "blank", "language missing")  # dropped by readers, so that no chunk holds them
# What makes a pair worthless, and what most of a file then has.
_WORTHLESS = {
    "one column": "have one column",
    "empty": "have an empty side",
    "identical": "have the same text on both sides",
    "length ratio": "have sides of very different lengths",
    "language missing": "lack one of the languages",
}
_HAN_LETTER = re.compile(f"[{HAN}]")
_SCRIPTS = {(True, False): "traditional", (False, True): "simplified", (False, False): "neutral", (True, True): "mixed"}
_LEAST_PAIRS = 200  # smaller parts hold nothing out unless asked to
_MIX_LINES = 100_000  # of each side, for the script mix: enough for a tenth of a per cent
_SAMPLE_PAIRS = 20_000  # usable pairs of a part from which its languages are guessed

Progress = Callable[[str, int], None]
HeldPair = tuple[int, int, str, str]  # part, line, source, target
Bools = npt.NDArray[np.bool_]
Names = npt.NDArray[np.uint8]
Tokenizers = tuple[Tokenizer, Tokenizer]


class Job(NamedTuple):
    """One preparation: what is asked for, and whom to tell what happens."""

    config: DataConfig
    parts: Sequence[Origin]
    seed: int
    log: DropLog
    progress: Progress
    start: Start | None = None


@dataclass(frozen=True)
class Cleaned:
    """All cleaned pairs: their text in `store`, and a row each in the arrays."""

    store: CleanStore
    read: list[int]  # pairs met in each part
    mixes: list[dict[str, float] | None]  # of source and target, before conversion
    training: Bools  # whether it is of a part for training
    part: npt.NDArray[np.int16]
    line: npt.NDArray[np.integer]
    source: npt.NDArray[np.int64]  # hashes of keys
    target: npt.NDArray[np.int64]
    pair: npt.NDArray[np.int64]  # hashes of the cleaned pair itself
    characters: npt.NDArray[np.int32]  # of the longer side
    size: npt.NDArray[np.int32]  # of the larger side, in UTF-8 bytes: no tokenizer makes more tokens than that and one


class Split(NamedTuple):
    """Where each cleaned pair goes, and how well that keeps the sides apart."""

    assigned: Names
    components: int
    largest_component: int
    leak_random: Leak | None
    leak: Leak | None


class Kept(NamedTuple):
    """What the last pass kept beside the corpus."""

    dev: list[HeldPair]
    test: list[HeldPair]
    links: list[TokenLinks]  # known links of training pairs, chunk by chunk. Empty where no part has any
    mixture: Mixture  # with earlier pairs, where training starts from a model


def detect_languages(job: Job) -> list[SideRules]:
    """Return the language of each side and the cleaning rules that follow from it.

    Languages come from the settings, else from what a file says of itself, else from its first usable pairs.
    """
    quiet, config = DropLog(), job.config
    held: set[int] = set()  # keys of the sides of held-out files
    named: dict[Origin, Languages] = {}
    guessed: dict[Origin, Languages] = {}
    for origin in sorted(job.parts, key=lambda origin: origin.role == TRAIN):  # held-out files first
        named[origin] = guessed[origin] = open_rows(origin, config, quiet).languages
        if origin.corpus is None:
            pairs = _sample(origin, config, held, quiet)
            guessed[origin] = (guess_language(s for s, _ in pairs), guess_language(t for _, t in pairs))
    given, first = (config.source_language, config.target_language), job.parts[0]
    wanted = [given[side] or named[first][side] or guessed[first][side] for side in (0, 1)]
    for origin in job.parts:
        guess = guessed[origin]
        if None not in guess and guess[0] != guess[1] and [*guess[::-1]] == [*map(base_language, wanted)]:
            what = f"{origin.where} holds {guess[0]} on the source and {guess[1]} on the target side, "
            what += f"but {wanted[0]} to {wanted[1]} is wanted."
            raise DataError(
                what, hint="Swapped columns? --swap", code="E_DATA_SWAPPED", file=origin.path and origin.where
            )
    for note in quiet.notes:
        job.log.note(note)
    han = [base_language(language) in ("zh", "cmn", "yue") for language in wanted]
    guess = [not (given[side] or named[first][side]) for side in (0, 1)]
    return [SideRules(wanted[side], _cleaner(config, han=han[side]), guessed=guess[side]) for side in (0, 1)]


def check_languages(job: Job, cleaned: Cleaned, assigned: Names, sides: Sequence[SideRules]) -> None:
    """Compare guessed languages with the pairs that are kept, where some were too long: a guess may count these.

    Raises DataError where another language would have been cleaned by other rules. Elsewhere it is noted.
    """

    def kept(side: int) -> Iterator[str]:
        for chunk in cleaned.store.chunks():
            texts = (chunk.sources, chunk.targets)[side]
            yield from compress(texts, (assigned[chunk.start : chunk.start + len(texts)] == TRAIN).tolist())

    if not (assigned == _TOO_LONG).any():
        return
    for side, (rules, name) in enumerate(zip(sides, ("source", "target"), strict=True)):
        found = guess_language(kept(side)) if rules.guessed else None
        if found is None or found == base_language(rules.language):
            continue
        what = f"the {name} side was taken for {rules.language}, but the pairs that are kept look like {found}."
        hint = f"Name the language: --{name}-language {found}"
        if (found == "zh") != rules.cleaner.han:
            raise DataError(what, hint=hint, code="E_DATA_LANGUAGE")
        job.log.note(f"{what} {hint}")


def _cleaner(config: DataConfig, *, han: bool) -> Cleaner:
    return Cleaner(han=han, script=config.script if han else "keep")


def _sample(origin: Origin, config: DataConfig, held: set[int], log: DropLog) -> list[tuple[str, str]]:
    """Return the first pairs of a part that are kept whatever the languages are: fit, different, none too long.

    A held-out file adds its keys to `held`. Training pairs with one of these are left out. If all are long, the
    shortest tenth counts.
    """
    short: dict[tuple[str, str], None] = {}
    long: dict[tuple[str, str], None] = {}
    cleaners = {han: _cleaner(config, han=han) for han in (False, True)}
    for chunk in read_chunks(origin, config, log):
        sides = [cleaners[False].lines(side) for side in (chunk.sources, chunk.targets)]
        out = set(unfit(sides[0], sides[1], config.max_ratio))
        if held or origin.role != TRAIN:
            # Whether a side is Chinese is not known yet, so that a key counts under either of the rules.
            for place, side in enumerate(sides):
                for han, cleaner in cleaners.items():
                    keys = [hash((place, han, key)) for key in split_keys(cleaner.lines(side), han=han)]
                    if origin.role == TRAIN:
                        out.update(i for i, key in enumerate(keys) if key in held)
                    else:
                        held.update(key for i, key in enumerate(keys) if i not in out)
        for i, pair in enumerate(zip(*sides, strict=True)):
            if i not in out:
                (short if max(map(len, pair)) <= config.max_length else long)[pair[0], pair[1]] = None
        if len(short) >= _SAMPLE_PAIRS:
            break
        long = dict.fromkeys([*long][:_SAMPLE_PAIRS])
    shortest = sorted(long, key=lambda pair: len(pair[0]) + len(pair[1]))[: len(long) // 10 + 1]
    return [*short][:_SAMPLE_PAIRS] or shortest


def clean(job: Job, store: CleanStore, sides: Sequence[SideRules]) -> Cleaned:
    """First pass: read, mend and filter every pair. Survivors go to the store, with their known links."""
    config, parts, log = job.config, job.parts, job.log
    columns = [_Column() for _ in range(8)]
    read: list[int] = []
    mixes: list[list[str]] = [[], []]
    cleaners = [side.cleaner for side in sides]
    linked = any(origin.linked for origin in parts)
    for number, origin in enumerate(parts):
        links_of = linked_reader(origin, config) if origin.role == TRAIN else None
        lost: list[int] = []
        passed = 0
        for chunk in read_chunks(origin, config, log):
            passed += len(chunk.sources)
            both = [cleaner.lines(raw, log.mended) for cleaner, raw in zip(cleaners, chunk[:2], strict=True)]
            for mix, cleaner, raw in zip(mixes, cleaners, chunk[:2], strict=True):
                if cleaner.han:
                    mix += raw[: _MIX_LINES - len(mix)]
            known: list[SpanLinks | None] = [NO_LINKS] * len(chunk.sources)
            if links_of is not None:
                known = follow(links_of(chunk), both, cleaners)
                lost += compress(chunk.lines.tolist(), [links is None for links in known])
            reasons = unfit(both[0], both[1], config.max_ratio)
            for i in sorted(reasons):
                log.drop(origin.name, reasons[i], int(chunk.lines[i]), both[0][i], both[1][i])
            rows = [i for i in range(len(known)) if i not in reasons]
            sources, targets = ([side[i] for i in rows] for side in both)
            spans = (known[i] for i in rows)
            store.add(sources, targets, [NO_LINKS if s is None else s for s in spans] if linked else None)
            keys = [split_keys(texts, han=c.han) for texts, c in zip((sources, targets), cleaners, strict=True)]
            size = len(rows)
            found = (
                np.full(size, origin.role == TRAIN),
                np.full(size, number, dtype=np.int16),
                _compact(chunk.lines[rows]),
                *(hashes(texts, size) for texts in keys),
                hashes(zip(sources, targets, strict=True), size),
                np.fromiter(map(max, map(len, sources), map(len, targets)), dtype=np.int32, count=size),
                np.maximum(byte_lengths(sources), byte_lengths(targets)).astype(np.int32),
            )
            for column, values in zip(columns, found, strict=True):
                column.add(values)
            job.progress("clean", sum(read) + passed)
        if lost:
            what = f"links of {len(lost):,} pairs are left out, their words cannot be found after cleaning"
            log.note(f"{origin.links or origin.name}: {what} (first: line {lost[0]:,})")
        read.append(passed + sum(log.counts[origin.name][reason] for reason in _NO_PAIR))
        _check_worth(origin, read[-1], config, log)
    if not len(store):
        raise DataError("no usable pair in the data.", code="E_DATA_EMPTY")
    return Cleaned(store, read, [*map(script_mix, mixes)], *(column.array() for column in columns))


def _compact(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.integer]:
    return numbers.astype(np.int32) if numbers.max(initial=0) <= np.iinfo(np.int32).max else numbers


class _Column:
    """An array that grows in place: joining its chunks at the end would take its memory twice."""

    def __init__(self) -> None:
        self._held: npt.NDArray[Any] = np.empty(0, dtype=np.bool_)
        self._size = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        """Append values. A wider kind of numbers widens the array."""
        end = self._size + len(values)
        if (kind := np.promote_types(self._held.dtype, values.dtype)) != self._held.dtype:
            self._held = self._held.astype(kind)
        if end > len(self._held):
            self._held.resize(end + end // 8, refcheck=False)
        self._held[self._size : end] = values
        self._size = end

    def array(self) -> npt.NDArray[Any]:
        """Return the array. Nothing may be added after that."""
        self._held.resize(self._size, refcheck=False)
        return self._held


def unfit(sources: Sequence[str], targets: Sequence[str], max_ratio: float) -> dict[int, str]:
    """Return index and reason of every cleaned pair to drop: empty, identical, or of very different lengths."""
    left, right = byte_lengths(sources), byte_lengths(targets)
    # Seven bytes are added so that short sentences may differ more: "Hi." and its polite translation pass.
    longer, shorter = np.maximum(left, right) + 7, np.minimum(left, right) + 7
    found = dict.fromkeys(np.flatnonzero(longer > max_ratio * shorter).tolist(), "length ratio")
    found |= {i: "identical" for i, (s, t) in enumerate(zip(sources, targets, strict=True)) if s == t}
    return found | dict.fromkeys(np.flatnonzero(np.minimum(left, right) == 0).tolist(), "empty")


def byte_lengths(lines: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.fromiter((len(line.encode()) for line in lines), dtype=np.int64, count=len(lines))


def script_mix(lines: Sequence[str]) -> dict[str, float] | None:
    """Return the shares of Chinese lines by script, or None where no line holds a Han character.

    Each line is converted both ways. It is traditional if only the conversion to simplified changes it, and simplified
    if only the other does. It is mixed if both do, and neutral if neither does.
    """
    lines = [line for line in lines if _HAN_LETTER.search(line)]
    if not lines:
        return None
    both = (convert(name, "\n".join(lines)).split("\n") for name in ("t2s", "s2t"))
    counts = Counter(_SCRIPTS[line != simple, line != full] for line, simple, full in zip(lines, *both, strict=True))
    return {name: counts[name] / len(lines) for name in _SCRIPTS.values()}


def _check_worth(origin: Origin, read: int, config: DataConfig, log: DropLog) -> None:
    """Refuse a file of which most is unusable: it is probably not what the user meant."""
    dropped = log.counts[origin.name]
    pairs = read - dropped["blank"]
    if config.keep_going or sum(dropped[reason] for reason in _WORTHLESS) * 2 <= pairs:
        return
    reason = max(_WORTHLESS, key=lambda r: dropped[r])
    first = log.first[origin.name, reason]
    what = f"{origin.where}: {dropped[reason]:,} of {pairs:,} pairs {_WORTHLESS[reason]} "
    what += f"(first: lines {', '.join(map(str, first))}). Nothing was trained."
    code = f"E_DATA_{reason.upper().replace(' ', '_')}"
    raise DataError(
        what, hint="If that is meant: --keep-going.", code=code, file=origin.path and origin.where, line=first[0]
    )


def split_and_learn(job: Job, cleaned: Cleaned, sides: Sequence[SideRules]) -> tuple[Split, Tokenizers]:
    """Second pass: split the pairs and learn the tokenizers, both without the pairs that are too long.

    How long a pair is, only a tokenizer can say. Where some pairs may be too long, a first tokenizer learns from the
    others and judges them. Both steps are repeated until no pair that took part turns out too long.
    """
    too_long = np.zeros(len(cleaned.part), dtype=np.bool_)
    most = job.config.max_length
    short = cleaned.characters <= most
    if not short.all():
        usable = cleaned.training & ~repeated(cleaned.pair)
        some = usable & short if (usable & short).any() else usable
        too_long = _find_too_long(cleaned, _tokenizers(job, cleaned, some, sides), most)
    while True:
        found = _assign(job, cleaned, too_long, sides)
        tokenizers = _tokenizers(job, cleaned, found.assigned == TRAIN, sides)
        new = _find_too_long(cleaned, tokenizers, most) & ~too_long
        if not new.any():
            break
        too_long |= new
    _note_held_out(job, cleaned, found.assigned)
    if inside := int((found.assigned == _IN_HELD_OUT).sum()):
        what = "the dev or test file"
        if job.start is not None and job.start.earlier is not None:
            what = "held-out text, that of the earlier run included,"
        job.log.note(f"{inside:,} training pairs share a side with {what} and were left out")
    return found, tokenizers


def _find_too_long(cleaned: Cleaned, tokenizers: Tokenizers, most: int) -> Bools:
    """Return whether each pair has more than `most` tokens on a side. Only those that could are encoded."""
    found = cleaned.size + 1 > most
    for start, *texts, _ in cleaned.store.chunks() if found.any() else ():
        rows = np.flatnonzero(found[start : start + len(texts[0])])
        if len(rows):
            sides = ([side[i] for i in rows.tolist()] for side in texts)
            lengths = [t.encode_lines(side)[1] for t, side in zip(tokenizers, sides, strict=True)]
            found[start + rows] = np.maximum(*lengths) > most
    return found


def _assign(job: Job, cleaned: Cleaned, too_long: Bools, sides: Sequence[SideRules]) -> Split:
    """Split the cleaned pairs by connected component and mark those that are left out."""
    config, training, source, target = job.config, cleaned.training, cleaned.source, cleaned.target
    roles = np.array([origin.role for origin in job.parts], dtype=np.uint8)
    assigned = roles[cleaned.part]
    # A pair that repeats within a held-out file is a duplicate there. Elsewhere it is one of the training part.
    for role in (TRAIN, DEV, TEST):
        rows = roles[cleaned.part] == role
        rows[rows] = repeated(cleaned.pair[rows])
        assigned[rows] = _DUPLICATE
    assigned[too_long & (assigned != _DUPLICATE)] = _TOO_LONG
    held = ~training & (assigned <= TEST)
    shared = contained(source, source[held]) | contained(target, target[held])
    if job.start is not None and job.start.earlier is not None:
        for side, keys, texts in zip(sides, (source, target), job.start.earlier.held_out_texts(), strict=True):
            shared |= contained(keys, hashes(split_keys(texts, han=side.cleaner.han), len(texts)))
    assigned[training & (assigned == TRAIN) & shared] = _IN_HELD_OUT
    rows = training & (assigned == TRAIN)
    labels = components(*(groups(side[rows]) for side in (source, target)))
    pairs = np.bincount(cleaned.part[rows], minlength=int((roles == TRAIN).sum())).tolist()
    dev = [_wanted(config.dev, count, 1000) for count in pairs]
    test = [_wanted(config.test, count, 2000) for count in pairs]
    assigned[rows] = split(labels, cleaned.part[rows], dev, test, job.seed)
    if not (assigned == TRAIN).any():
        what, hint = "no pair is left for training.", "Hold out less: --dev, --test."
        if (assigned[training] == _TOO_LONG).any() and not rows.any():
            what = f"every pair has more than {config.max_length:,} tokens on a side. Nothing was trained."
            hint = "Allow more: --max-length."
        raise DataError(what, hint=hint, code="E_DATA_EMPTY")
    # The leak of the given files, or of a random split of these sizes, and the leak of this split.
    before = np.where(assigned == _IN_HELD_OUT, TRAIN, assigned).astype(np.uint8)
    drawn = (before <= TEST) & training
    if (before[drawn] != TRAIN).any():
        before[drawn] = np.random.default_rng(job.seed).permutation(before[drawn])
    leaks = [leak(source, target, used) for used in (before, assigned)]
    sizes = np.bincount(labels)
    return Split(assigned, int((sizes > 0).sum()), int(sizes.max(initial=0)), *leaks)


def _note_held_out(job: Job, cleaned: Cleaned, assigned: Names) -> None:
    held = {name: int((cleaned.training & (assigned == name)).sum()) for name in (DEV, TEST)}
    pairs = int((cleaned.training & (assigned <= TEST)).sum())
    for name, word, setting in ((DEV, "dev", job.config.dev), (TEST, "test", job.config.test)):
        if setting is None and not held[name] and pairs < _LEAST_PAIRS:
            job.log.note(f"no {word} set: fewer than {_LEAST_PAIRS} pairs. To hold some out all the same: --{word} 20")
        elif setting is not None and not isinstance(setting, str):
            wanted = _wanted(setting, pairs, pairs)
            if held[name] < wanted:
                what = f"{held[name]:,} of {wanted:,} {word} pairs are held out"
                job.log.note(f"{what}: pairs that share a sentence stay together, and may be too many")


def _wanted(setting: int | float | str | None, pairs: int, at_most: int) -> int:
    if isinstance(setting, str):
        return 0
    if setting is None:
        return min(pairs // 20, at_most) if pairs >= _LEAST_PAIRS else 0
    return round(setting * pairs) if isinstance(setting, float) else setting


def _tokenizers(job: Job, cleaned: Cleaned, chosen: Bools, sides: Sequence[SideRules]) -> Tokenizers:
    """Return the tokenizers of both sides, learned from the chosen pairs only, or extended by what these need."""

    def texts(side: int) -> Iterator[str]:
        for chunk in cleaned.store.chunks():
            lines = _masked(chunk, hidden=hidden)[side]
            yield from compress(lines, chosen[chunk.start : chunk.start + len(lines)].tolist())
            job.progress("tokenizer", chunk.start + len(lines))

    config, hidden = job.config, uses_placeholders(job.config, job.parts)
    known = sides[0].tokenizer, sides[1].tokenizer
    if known[0] is not None and known[1] is not None:
        extend = partial(extend_tokenizer, min_count=config.min_count)
        return extend(known[0], texts(0)), extend(known[1], texts(1))
    learn = partial(train_tokenizer, min_count=config.min_count, placeholders=hidden)
    source = learn(config.source_tokenizer, texts(0), config.source_vocab_size, lowercase=config.lowercase_source)
    return source, learn(config.target_tokenizer, texts(1), config.target_vocab_size)


def uses_placeholders(config: DataConfig, parts: Sequence[Origin]) -> bool:
    """Return whether placeholders are used. Known word links are of texts without them."""
    return config.placeholders and not any(origin.linked for origin in parts)


def _masked(chunk: StoredChunk, *, hidden: bool) -> tuple[list[str], list[str]]:
    """Return both sides of a chunk with placeholders. Which comes first varies from pair to pair: all are learned."""
    if not hidden:
        return chunk.sources, chunk.targets
    pairs = zip(chunk.sources, chunk.targets, strict=True)
    masked = [mask_pair(source, target, crc32(source.encode())) for source, target in pairs]
    return [source for source, _, _ in masked], [target for _, target, _ in masked]


def encode(job: Job, folder: Path, cleaned: Cleaned, assigned: Names, tokenizers: Tokenizers) -> Kept:
    """Third pass: write training pairs to the corpora, and return the held-out pairs. Log what is left out."""
    parts, log = job.parts, job.log
    earlier, new = None if job.start is None else job.start.earlier, int((assigned == TRAIN).sum())
    mixture = Mixture(1, np.empty(0, dtype=np.int64))
    if earlier is not None and job.start is not None:
        mixture = Mixture.of(new, len(earlier.train), job.start.share, job.seed)
    kept = Kept([], [], [], mixture)
    hidden = uses_placeholders(job.config, parts)
    linked = np.zeros((len(parts), 2), dtype=np.int64)  # training pairs that have links, and how many between words
    with write_corpus(folder / "train", *(tokenizer.vocab_size for tokenizer in tokenizers)) as writer:
        for chunk in cleaned.store.chunks():
            start, sources, targets, known = chunk
            rows = slice(start, start + len(sources))
            names, part = assigned[rows], cleaned.part[rows]
            columns = (part, cleaned.line[rows], sources, targets)
            for reason, name in _LEFT_OUT.items():
                for number, line, source, target in _pairs(names == name, *columns):
                    log.drop(parts[number].name, reason, line, source, target)
            chosen = names == TRAIN
            masked = _masked(chunk, hidden=hidden)
            encoded = (t.encode_lines(side) for t, side in zip(tokenizers, masked, strict=True))
            pairs = [(ids[np.repeat(chosen, lengths)], lengths[chosen]) for ids, lengths in encoded]
            for _ in range(mixture.copies):
                writer.add(*pairs)
            if known is not None:
                found: list[list[tuple[int, int]]] = []
                for i in np.flatnonzero(chosen).tolist():
                    spans = (t.spans(side[i]) for t, side in zip(tokenizers, (sources, targets), strict=True))
                    found.append(token_links(known[i], *spans) if len(known[i]) else [])
                    linked[part[i]] += (len(known[i]) > 0, len(known[i]))
                kept.links.extend([TokenLinks.of_pairs(found)] * mixture.copies)
            kept.dev.extend(_pairs(names == DEV, *columns))
            kept.test.extend(_pairs(names == TEST, *columns))
            job.progress("encode", rows.stop)
        if earlier is not None:
            for pairs in mixture.encoded(earlier.train):
                writer.add(*pairs)
            if earlier.links is not None and not kept.links:
                kept.links.append(TokenLinks.of_pairs([()] * (new * mixture.copies)))
            if kept.links:
                kept.links.append(mixture.links(earlier))
    train = np.bincount(cleaned.part[assigned == TRAIN], minlength=len(parts))
    for origin, count, (pairs, links) in zip(parts, train, linked, strict=True):
        if origin.links is not None:
            log.note(f"{origin.links}: {links:,} word links on {pairs:,} of {count:,} training pairs")
    return kept


def _pairs(
    chosen: Bools, part: npt.NDArray[np.int16], line: npt.NDArray[np.integer], sources: list[str], targets: list[str]
) -> list[HeldPair]:
    return [(int(part[i]), int(line[i]), sources[i], targets[i]) for i in np.flatnonzero(chosen).tolist()]

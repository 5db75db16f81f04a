"""From what the user named to what training reads: read, clean, split, tokenize, encode, and say what happened.

`prepare` writes one folder and returns it opened; asked again with the same settings, files and seed, it opens what is
there. Three passes over a cleaned copy on disk keep memory flat: only hashes and line numbers of all pairs are held.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from attentio.data.clean import Cleaner, Filter, script_mix, split_keys
from attentio.data.corpus import CorpusWriter, EncodedCorpus
from attentio.data.heldout import HeldOut, LinkedPair, write_links, write_pairs
from attentio.data.report import DataReport, DropLog, Leak, PartReport, SideReport
from attentio.data.script import guess_language
from attentio.data.settings import DataConfig
from attentio.data.source import CHUNK_LINES, Chunk, Origin, held_out_origin, origins, read_chunks
from attentio.data.split import DEV, TEST, TRAIN, components, hashes, leak, random_split, repeated, split
from attentio.data.tokenizer import Tokenizer, fingerprint, load_tokenizer, train_tokenizer
from attentio.errors import DataError, ResourceError

MANIFEST = "prepared.json"
_FORMAT = 1
_DUPLICATE, _IN_HELD_OUT = 8, 9  # beside TRAIN, DEV and TEST: pairs that are left out
_WORTHLESS = ("one column", "empty", "identical", "length ratio")
_LEAST_PAIRS = 200  # smaller parts hold nothing out unless asked to
_MIX_LINES = 100_000

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class PreparedData:
    """A prepared folder, opened: `dev` and `tests` hold text, `train` and `dev_corpus` encoded pairs."""

    folder: Path
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    source_cleaner: Cleaner
    target_cleaner: Cleaner
    source_language: str | None
    target_language: str | None
    train: EncodedCorpus
    dev_corpus: EncodedCorpus | None
    dev: HeldOut | None
    tests: dict[str, HeldOut]
    links: dict[str, Path]  # name of a test set -> stem for `heldout.read_links`
    report: DataReport

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open what `prepare` wrote; DataError where it is not there or damaged."""
        held = _manifest(folder)
        if held is None:
            raise DataError(f"{folder}: no prepared data here.", hint="Prepare the data again.", file=folder)
        tokenizers = [load_tokenizer(folder / f"{side}.tokenizer") for side in ("source", "target")]
        for side, tokenizer in zip(("source", "target"), tokenizers, strict=True):
            if fingerprint(tokenizer) != held[side]["tokenizer"]:
                raise DataError(
                    f"{folder / side}.tokenizer does not belong to this data.",
                    hint="Prepare the data again.",
                    file=folder,
                )
        return cls(
            folder=folder,
            source_tokenizer=tokenizers[0],
            target_tokenizer=tokenizers[1],
            source_cleaner=Cleaner.from_dict(held["source"]["cleaner"]),
            target_cleaner=Cleaner.from_dict(held["target"]["cleaner"]),
            source_language=held["source"]["language"],
            target_language=held["target"]["language"],
            train=EncodedCorpus.open(folder / "train"),
            dev_corpus=EncodedCorpus.open(folder / "dev") if held["dev"] else None,
            dev=HeldOut.load(folder / "dev.tsv", "dev") if held["dev"] else None,
            tests={name: HeldOut.load(folder / path, name) for name, path in held["tests"].items()},
            links={name: folder / path for name, path in held["links"].items()},
            report=DataReport.load(folder / "report.json"),
        )


def prepare(config: DataConfig, folder: Path, *, seed: int, progress: Progress | None = None) -> PreparedData:
    """Prepare the data that `config` names in `folder`, or open it if this very preparation is there already.

    The folder appears whole or not at all. `progress` is told the stage and how many pairs have passed it.
    """
    parts = _Parts.of(config)
    key = _fingerprint(config, parts, seed)
    held = _manifest(folder)
    if held is not None and held["fingerprint"] == key:
        return PreparedData.load(folder)
    if held is None and folder.exists() and any(folder.iterdir()):
        raise DataError(
            f"{folder} is not empty and holds no prepared data.", hint="Choose another folder.", file=folder
        )
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _check_space(partial, parts)
        _prepare_into(partial, config, parts, key, seed, progress or _silent)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return PreparedData.load(folder)


@dataclass(frozen=True)
class _Parts:
    """All origins in reading order: those for training, then a dev and a test file where given."""

    origins: list[Origin]
    training: int
    dev: int | None  # place of the dev file in `origins`
    test: int | None

    @classmethod
    def of(cls, config: DataConfig) -> Self:
        found = origins(config)
        training = len(found)
        places: dict[str, int | None] = {"dev": None, "test": None}
        for name, value in (("dev", config.dev), ("test", config.test)):
            if isinstance(value, str):
                places[name] = len(found)
                found.append(held_out_origin(value))
        return cls(found, training, places["dev"], places["test"])


class _Cleaned(NamedTuple):
    """What is kept in memory of all cleaned pairs; their text is in the file `text`, one line a pair."""

    text: Path
    part: npt.NDArray[np.int16]
    line: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]  # hashes of keys
    target: npt.NDArray[np.int64]
    pair: npt.NDArray[np.int64]  # hashes of the cleaned pair itself
    read: list[int]
    mixes: list[dict[str, float] | None]  # of source and target, before conversion


def _prepare_into(folder: Path, config: DataConfig, parts: _Parts, key: str, seed: int, progress: Progress) -> None:
    started = time.monotonic()
    with closing(DropLog(folder / "dropped.tsv")) as log:
        sides = _look(config, parts, log)
        cleaned = _clean(folder, config, parts, sides, log, progress)
        labels = components(cleaned.source, cleaned.target)
        assigned = _assign(cleaned, labels, config, parts, seed, log)
        tokenizers = _train_tokenizers(cleaned, assigned, config, progress)
        kept = _encode(folder, cleaned, assigned, tokenizers, config, parts, log, progress)
    cleaned.text.unlink()
    for side, tokenizer in zip(("source", "target"), tokenizers, strict=True):
        tokenizer.save(folder / f"{side}.tokenizer")
    tests = _write_held_out(folder, config, parts, kept, sides)
    _, sizes = np.unique(labels, return_counts=True)
    leaks = _leaks(cleaned, assigned, parts, seed)
    report = DataReport(
        parts=[_part_report(i, origin, cleaned, kept, log) for i, origin in enumerate(parts.origins)],
        source=_side_report(0, sides, tokenizers, cleaned, kept),
        target=_side_report(1, sides, tokenizers, cleaned, kept),
        train=sum(kept.train),
        dev=len(kept.dev),
        test=len(kept.test),
        components=len(sizes),
        largest_component=int(sizes.max(initial=0)),
        leak_random=leaks[0],
        leak=leaks[1],
        mended=dict(log.mended),
        notes=log.notes,
        seconds=round(time.monotonic() - started, 3),
    )
    report.save(folder / "report.json")
    manifest = {
        "format": _FORMAT,
        "fingerprint": key,
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "dev": bool(kept.dev),
        "tests": {name: path.as_posix() for name, path in tests.items()},
        "links": {
            name: path.with_suffix("").as_posix()
            for name, path in tests.items()
            if (folder / path).with_suffix(".gold").exists()
        },
    }
    for side, name in enumerate(("source", "target")):
        manifest[name] = {
            "language": sides[side].language,
            "cleaner": sides[side].cleaner.as_dict(),
            "tokenizer": fingerprint(tokenizers[side]),
        }
    (folder / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


class _SideRules(NamedTuple):
    language: str | None
    cleaner: Cleaner


def _look(config: DataConfig, parts: _Parts, log: DropLog) -> list[_SideRules]:
    """The language of each side, from the settings or the first lines of every part, and the rules that follow."""
    quiet = DropLog()
    guesses: list[tuple[str | None, str | None]] = []
    for origin in parts.origins:
        first = next(read_chunks(origin, config, quiet), Chunk([], [], np.empty(0, dtype=np.int64)))
        stride = max(1, len(first.sources) // 2000)
        guesses.append((guess_language(first.sources[::stride]), guess_language(first.targets[::stride])))
    wanted = (config.source_language or guesses[0][0], config.target_language or guesses[0][1])
    for origin, guess in zip(parts.origins, guesses, strict=True):
        if None not in wanted and guess == (_base(wanted[1]), _base(wanted[0])) and guess[0] != guess[1]:
            raise DataError(
                f"{origin.path or origin.name} holds {guess[0]} on the source and {guess[1]} on the target side, "
                f"but {wanted[0]} to {wanted[1]} is wanted.",
                hint="Swapped columns? --swap",
                code="E_DATA_SWAPPED",
                file=origin.path,
            )
    log.notes.extend(note for note in quiet.notes if note not in log.notes)
    rules: list[_SideRules] = []
    for language in wanted:
        han = _base(language) in ("zh", "cmn", "yue")
        rules.append(_SideRules(language, Cleaner(han=han, script=config.script if han else "keep")))
    return rules


def _clean(
    folder: Path, config: DataConfig, parts: _Parts, sides: list[_SideRules], log: DropLog, progress: Progress
) -> _Cleaned:
    """First pass: every pair read, mended and filtered; survivors go to a file, their hashes stay in memory."""
    columns: list[list[npt.NDArray[Any]]] = [[], [], [], [], []]
    read: list[int] = []
    mixes = [_MixSample(), _MixSample()]
    rules = Filter(config.max_ratio)
    text = folder / "clean.tsv"
    passed = 0
    with text.open("w", encoding="utf-8", newline="\n") as file:
        for part, origin in enumerate(parts.origins):
            count = 0
            for chunk in read_chunks(origin, config, log):
                count += len(chunk.sources)
                raw = (chunk.sources, chunk.targets)
                both = [side.cleaner.lines(lines, log.mended) for side, lines in zip(sides, raw, strict=True)]
                for mix, side, lines in zip(mixes, sides, raw, strict=True):
                    if side.cleaner.han:
                        mix.add(lines)
                kept = _filtered(origin.name, rules, both, chunk.lines, log)
                sources, targets, lines = kept
                file.writelines(f"{s}\t{t}\n" for s, t in zip(sources, targets, strict=True))
                keys = [split_keys(t, han=s.cleaner.han) for t, s in zip((sources, targets), sides, strict=True)]
                size = len(sources)
                new = (
                    np.full(size, part, dtype=np.int16),
                    lines,
                    hashes(keys[0], size),
                    hashes(keys[1], size),
                    hashes(zip(sources, targets, strict=True), size),
                )
                for column, array in zip(columns, new, strict=True):
                    column.append(array)
                passed += len(chunk.sources)
                progress("clean", passed)
            read.append(count + sum(log.counts[origin.name][r] for r in ("one column", "language missing")))
            _check_worth(origin, read[-1], config, log)
    joined: list[npt.NDArray[Any]] = [np.concatenate(c) if c else np.empty(0, dtype=np.int64) for c in columns]
    if not len(joined[0]):
        raise DataError("no usable pair in the data.", code="E_DATA_EMPTY")
    part_of, lines, source, target, pair = joined
    return _Cleaned(text, part_of, lines, source, target, pair, read, [mix.shares() for mix in mixes])


def _filtered(
    name: str, rules: Filter, both: list[list[str]], lines: npt.NDArray[np.int64], log: DropLog
) -> tuple[list[str], list[str], npt.NDArray[np.int64]]:
    sources, targets = both
    reasons = rules.reasons(sources, targets)
    if not reasons:
        return sources, targets, lines
    for i in sorted(reasons):
        log.drop(name, reasons[i], int(lines[i]), sources[i], targets[i])
    kept = [i for i in range(len(sources)) if i not in reasons]
    return [sources[i] for i in kept], [targets[i] for i in kept], lines[kept]


def _check_worth(origin: Origin, read: int, config: DataConfig, log: DropLog) -> None:
    """A file of which most is unusable is probably not what the user meant."""
    dropped = log.counts[origin.name]
    worthless = sum(dropped[reason] for reason in _WORTHLESS)
    if config.keep_going or worthless * 2 <= read:
        return
    reason = max(_WORTHLESS, key=lambda r: dropped[r])
    what = {
        "one column": "have one column",
        "empty": "have an empty side",
        "identical": "have the same text on both sides",
        "length ratio": "have sides of very different lengths",
    }[reason]
    first = log.first[origin.name, reason]
    raise DataError(
        f"{origin.path or origin.name}: {dropped[reason]:,} of {read:,} pairs {what} "
        f"(first: lines {', '.join(map(str, first))}). Nothing was trained.",
        hint="If that is meant: --keep-going.",
        code=f"E_DATA_{reason.upper().replace(' ', '_')}",
        file=origin.path,
        line=first[0],
    )


def _assign(
    cleaned: _Cleaned,
    labels: npt.NDArray[np.int64],
    config: DataConfig,
    parts: _Parts,
    seed: int,
    log: DropLog,
) -> npt.NDArray[np.uint8]:
    """The part of the split each cleaned pair belongs to, or why it is left out."""
    training = cleaned.part < parts.training
    assigned = np.full(len(labels), TRAIN, dtype=np.uint8)
    for place, name in ((parts.dev, DEV), (parts.test, TEST)):
        if place is not None:
            assigned[cleaned.part == place] = name
    # A pair that repeats within a held-out file is a repetition there; elsewhere it is one of the training part.
    for group in (training, *(cleaned.part == place for place in (parts.dev, parts.test) if place is not None)):
        rows = np.flatnonzero(group)
        assigned[rows[repeated(cleaned.pair[rows])]] = _DUPLICATE
    if not training.all():
        shared = np.isin(cleaned.source, cleaned.source[~training]) | np.isin(cleaned.target, cleaned.target[~training])
        inside = training & (assigned == TRAIN) & shared
        assigned[inside] = _IN_HELD_OUT
        if inside.any():
            log.note(
                f"{int(inside.sum()):,} training pairs share a sentence with the dev or test file and were left out"
            )
    rows = np.flatnonzero(training & (assigned == TRAIN))
    pairs = np.bincount(cleaned.part[rows], minlength=parts.training).tolist()
    dev = [_wanted(config.dev, count, 1000) for count in pairs]
    test = [_wanted(config.test, count, 2000) for count in pairs]
    assigned[rows] = split(labels[rows], cleaned.part[rows], dev, test, seed)
    if not (assigned == TRAIN).any():
        raise DataError("no pair is left for training.", hint="Hold out less: --dev, --test.", code="E_DATA_EMPTY")
    return assigned


def _wanted(setting: int | float | str | None, pairs: int, at_most: int) -> int:
    """How many of a part's pairs to hold out."""
    if isinstance(setting, str):
        return 0
    if setting is None:
        return min(pairs // 20, at_most) if pairs >= _LEAST_PAIRS else 0
    return round(setting * pairs) if isinstance(setting, float) else setting


def _leaks(
    cleaned: _Cleaned, assigned: npt.NDArray[np.uint8], parts: _Parts, seed: int
) -> tuple[Leak | None, Leak | None]:
    """What a random split of the same sizes would have leaked, and what this one does."""
    rows = np.flatnonzero((cleaned.part < parts.training) & (assigned != _DUPLICATE))
    # What was taken out of training because a dev or test file holds it would have leaked from there.
    before = np.where(assigned == _IN_HELD_OUT, TRAIN, assigned)
    if len(rows) == 0 or (before[rows] == TRAIN).all():
        rows = np.flatnonzero(assigned != _DUPLICATE)
        random = before[rows]
    else:
        random = random_split(before[rows].astype(np.uint8), seed)
    used = np.flatnonzero((assigned == TRAIN) | (assigned == DEV) | (assigned == TEST))
    return (
        leak(cleaned.source[rows], cleaned.target[rows], random.astype(np.uint8)),
        leak(cleaned.source[used], cleaned.target[used], assigned[used]),
    )


def _train_tokenizers(
    cleaned: _Cleaned, assigned: npt.NDArray[np.uint8], config: DataConfig, progress: Progress
) -> tuple[Tokenizer, Tokenizer]:
    """Second pass, once for each side, over training pairs only."""

    def texts(side: int) -> Iterator[str]:
        for start, pairs in _cleaned_pairs(cleaned.text):
            keep = assigned[start : start + len(pairs)] == TRAIN
            yield from (pair[side] for pair, kept in zip(pairs, keep.tolist(), strict=True) if kept)
            progress("tokenizer", start + len(pairs))

    return (
        train_tokenizer(config.source_tokenizer, texts(0), config.source_vocab_size, min_count=config.min_count),
        train_tokenizer(config.target_tokenizer, texts(1), config.target_vocab_size, min_count=config.min_count),
    )


@dataclass(frozen=True)
class _Kept:
    """What the last pass kept: counts of training pairs by part, and the held-out pairs with part, line and text."""

    train: list[int]
    dev: list[tuple[int, int, str, str]]
    test: list[tuple[int, int, str, str]]
    tokens: list[int]  # pieces in training, source and target
    longest: list[int]


def _encode(
    folder: Path,
    cleaned: _Cleaned,
    assigned: npt.NDArray[np.uint8],
    tokenizers: tuple[Tokenizer, Tokenizer],
    config: DataConfig,
    parts: _Parts,
    log: DropLog,
    progress: Progress,
) -> _Kept:
    """Third pass: training pairs to the corpus, held-out pairs to lists; the too long ones are dropped here."""
    kept = _Kept([0] * len(parts.origins), [], [], [0, 0], [0, 0])
    sizes = [tokenizer.vocab_size for tokenizer in tokenizers]
    with CorpusWriter(folder / "train", *sizes) as train, CorpusWriter(folder / "dev", *sizes) as dev:
        for start, pairs in _cleaned_pairs(cleaned.text):
            rows = slice(start, start + len(pairs))
            names, part, line = assigned[rows], cleaned.part[rows], cleaned.line[rows]
            sides = [list(side) for side in zip(*pairs, strict=True)]
            encoded = [t.encode_lines(side) for t, side in zip(tokenizers, sides, strict=True)]
            long = np.maximum(encoded[0][1], encoded[1][1]) > config.max_length
            used = names <= TEST
            for reason, which in (
                ("duplicate", names == _DUPLICATE),
                ("in held-out file", names == _IN_HELD_OUT),
                ("too long", long & used),
            ):
                for i in np.flatnonzero(which).tolist():
                    log.drop(parts.origins[part[i]].name, reason, int(line[i]), *pairs[i])
            for writer, name in ((train, TRAIN), (dev, DEV)):
                chosen = (names == name) & ~long
                selected = [_select(ids, lengths, chosen) for ids, lengths in encoded]
                writer.add(*selected)
                if name == TRAIN:
                    for i, (ids, lengths) in enumerate(selected):
                        kept.tokens[i] += len(ids)
                        kept.longest[i] = max(kept.longest[i], int(lengths.max(initial=0)))
                    for i, count in enumerate(np.bincount(part[chosen], minlength=len(kept.train)).tolist()):
                        kept.train[i] += count
            for held, name in ((kept.dev, DEV), (kept.test, TEST)):
                held.extend((int(part[i]), int(line[i]), *pairs[i]) for i in np.flatnonzero((names == name) & ~long))
            progress("encode", start + len(pairs))
    if not kept.dev:
        shutil.rmtree(folder / "dev")
    return kept


def _select(
    ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    return ids[np.repeat(chosen, lengths)], lengths[chosen]


def _write_held_out(
    folder: Path, config: DataConfig, parts: _Parts, kept: _Kept, sides: list[_SideRules]
) -> dict[str, Path]:
    """dev.tsv, and one test file for each part that has one; the path of each test set by its name."""
    if kept.dev:
        write_pairs(folder / "dev.tsv", [(source, target) for _, _, source, target in kept.dev])
    tests: dict[str, Path] = {}
    several = len({part for part, *_ in kept.test}) > 1 or parts.training > 1
    for part, origin in enumerate(parts.origins):
        held = [(line, source, target) for number, line, source, target in kept.test if number == part]
        if not held:
            continue
        name, path = (origin.name, Path("test") / f"{origin.name}.tsv") if several else ("test", Path("test.tsv"))
        tests[name] = path
        write_pairs(folder / path, [(source, target) for _, source, target in held])
        if origin.path is None and origin.name.startswith("small-world"):
            write_links((folder / path).with_suffix(""), _known_links(held, config, sides))
    return tests


def _known_links(held: Sequence[tuple[int, str, str]], config: DataConfig, sides: list[_SideRules]) -> list[LinkedPair]:
    """The grammar's words and links of test pairs, in this run's direction, spelt as in the cleaned text."""
    from attentio.data.small_world import sampled

    world = sampled(config.small_world_pairs)
    found: list[LinkedPair] = []
    for line, source, target in held:
        pair = world[line - 1]
        backwards = sides[0].cleaner.han
        english, chinese = (target, source) if backwards else (source, target)
        english_words = _cut_words(english, pair.source_spans, pair.source_words)
        chinese_words = _cut_words(chinese, pair.target_spans, pair.target_words)
        if backwards:
            found.append(LinkedPair(chinese_words, english_words, frozenset((j, i) for i, j in pair.links)))
        else:
            found.append(LinkedPair(english_words, chinese_words, pair.links))
    return found


def _cut_words(text: str, spans: Sequence[tuple[int, int]], words: Sequence[str]) -> tuple[str, ...]:
    """The words as the cleaned text spells them; the grammar's own where cleaning moved them."""
    return tuple(text[start:end] for start, end in spans) if spans and spans[-1][1] == len(text) else tuple(words)


def _part_report(part: int, origin: Origin, cleaned: _Cleaned, kept: _Kept, log: DropLog) -> PartReport:
    dropped = dict(log.counts[origin.name].most_common())
    return PartReport(
        name=origin.name,
        read=cleaned.read[part],
        dropped=dropped,
        first_dropped={reason: log.first[origin.name, reason] for reason in dropped},
        train=kept.train[part],
        dev=sum(number == part for number, *_ in kept.dev),
        test=sum(number == part for number, *_ in kept.test),
    )


def _side_report(
    side: int, sides: list[_SideRules], tokenizers: tuple[Tokenizer, Tokenizer], cleaned: _Cleaned, kept: _Kept
) -> SideReport:
    tokenizer = tokenizers[side]
    unseen = {unit for *_, source, target in kept.dev + kept.test for unit in tokenizer.unseen((source, target)[side])}
    return SideReport(
        language=sides[side].language,
        tokenizer=tokenizer.kind,
        vocab_size=tokenizer.vocab_size,
        script_mix=cleaned.mixes[side],
        mean_length=round(kept.tokens[side] / max(1, sum(kept.train)), 2),
        longest=kept.longest[side],
        unseen_in_test=len(unseen),
    )


class _MixSample:
    """The first lines of one side, for the script mix: enough for a tenth of a per cent."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, lines: list[str]) -> None:
        self._lines.extend(lines[: max(0, _MIX_LINES - len(self._lines))])

    def shares(self) -> dict[str, float] | None:
        return script_mix(self._lines)


def _cleaned_pairs(text: Path) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """The cleaned pairs in chunks, each with the number of its first pair."""
    start = 0
    with text.open(encoding="utf-8", newline="\n") as file:
        while lines := list(islice(file, CHUNK_LINES)):
            pairs = [(source, target[:-1]) for source, _, target in (line.partition("\t") for line in lines)]
            yield start, pairs
            start += len(pairs)


def _fingerprint(config: DataConfig, parts: _Parts, seed: int) -> str:
    """SHA-256 over all that the outcome depends on: settings, seed, and the content of every file."""
    inputs: list[tuple[str, list[str]]] = []
    for origin in parts.origins:
        files = [path for path in (origin.path, origin.target) if path is not None]
        inputs.append((origin.name, [_sha256(path) for path in files] or [_built_in_version(origin.name)]))
    held = {"format": _FORMAT, "config": config.model_dump(mode="json"), "seed": seed, "inputs": inputs}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def _built_in_version(name: str) -> str:
    if name.startswith("hsk"):
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("hsk-sentences-audio")
        except PackageNotFoundError:
            return "missing"
    return "".join(_sha256(path) for path in sorted(Path(__file__).parent.glob("*.py")) if path.stem in _GRAMMAR)


_GRAMMAR = ("grammar", "constructions", "lexicon", "small_world")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(folder: Path) -> dict[str, Any] | None:
    try:
        held = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return held if held.get("format") == _FORMAT else None


def _check_space(folder: Path, parts: _Parts) -> None:
    """A cleaned copy, the encoded pairs and the held-out text take at most three times the files, ten if zipped."""
    files = [path for origin in parts.origins for path in (origin.path, origin.target) if path is not None]
    needed = sum(path.stat().st_size * (10 if path.suffix == ".gz" else 3) for path in files)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"preparing the data needs about {needed >> 20:,} MB in {folder}, {free >> 20:,} MB are free."
        )


def _base(language: str | None) -> str | None:
    return language.replace("_", "-").split("-")[0].lower() if language else None


def _silent(stage: str, pairs: int) -> None:
    """Nobody asked for progress."""
    del stage, pairs

"""From what the user named to what training reads: read, clean, split, tokenize, encode, and say what happened.

`prepare` writes one folder and returns it opened; asked again with the same settings, files and seed, it opens what is
there. The work itself is done in `passes`.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from attentio.corpora.small_world import sampling as small_world
from attentio.data.corpus import EncodedCorpus
from attentio.data.guidance import is_small_world
from attentio.data.heldout import HeldOut, LinkedPair, write_links, write_pairs
from attentio.data.links import LinkStore, TokenLinks
from attentio.data.pipeline import (
    Cleaned,
    Kept,
    Parts,
    Progress,
    SideRules,
    assign,
    clean,
    encode,
    learn_tokenizers,
    look,
)
from attentio.data.readers.source import Origin
from attentio.data.report import DataReport, DropLog, PartReport, SideReport
from attentio.data.settings import DataConfig
from attentio.data.store import CleanStore
from attentio.errors import DataError, ResourceError
from attentio.text.clean import Cleaner
from attentio.text.tokenizer import Tokenizer, fingerprint, load_tokenizer

MANIFEST = "prepared.json"
TRAIN_LINKS = "train.links.npz"
_FORMAT = 2


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
    train_links: TokenLinks | None  # word links of training pairs, where some are known
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
            train_links=TokenLinks.load(folder / TRAIN_LINKS) if (folder / TRAIN_LINKS).exists() else None,
            dev_corpus=EncodedCorpus.open(folder / "dev") if held["dev"] else None,
            dev=HeldOut.load(folder / "dev.tsv", "dev") if held["dev"] else None,
            tests={name: HeldOut.load(folder / path, name) for name, path in held["tests"].items()},
            links={name: folder / path for name, path in held["links"].items()},
            report=DataReport.load(folder / "report.json"),
        )


def prepare(config: DataConfig, folder: Path, *, seed: int, progress: Progress | None = None) -> PreparedData:
    """Prepare the data that `config` names in `folder`, or open it if this very preparation is there already.

    `seed` draws the split, unless `config.split_seed` does. The folder appears whole or not at all. `progress` is told
    the stage and how many pairs have passed it.
    """
    seed = _split_seed(config, seed)
    parts = Parts.of(config)
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


def is_prepared(config: DataConfig, folder: Path, *, seed: int) -> bool:
    """Whether `prepare` with these settings, files and seed would open what is in `folder` rather than make it anew."""
    held = _manifest(folder)
    return held is not None and held["fingerprint"] == _fingerprint(config, Parts.of(config), _split_seed(config, seed))


def _split_seed(config: DataConfig, seed: int) -> int:
    return seed if config.split_seed is None else config.split_seed


def _prepare_into(folder: Path, config: DataConfig, parts: Parts, key: str, seed: int, progress: Progress) -> None:
    started = time.monotonic()
    with (
        closing(DropLog(folder / "dropped.tsv")) as log,
        closing(CleanStore(folder / "clean.text")) as store,
        closing(LinkStore(folder / "clean.links")) as links,
    ):
        sides = look(config, parts, log)
        cleaned = clean(store, links, config, parts, sides, log, progress)
        split = assign(cleaned, config, parts, seed, log)
        tokenizers = learn_tokenizers(cleaned, split, config, progress)
        kept = encode(folder, cleaned, split, tokenizers, config, parts, log, progress)
    for side, tokenizer in zip(("source", "target"), tokenizers, strict=True):
        tokenizer.save(folder / f"{side}.tokenizer")
    if parts.linked:
        TokenLinks.joined(kept.links).save(folder / TRAIN_LINKS)
    tests = _write_held_out(folder, config, parts, kept, sides)
    report = DataReport(
        parts=[_part_report(i, origin, cleaned, kept, log) for i, origin in enumerate(parts.origins)],
        source=_side_report(0, sides, tokenizers, cleaned, kept),
        target=_side_report(1, sides, tokenizers, cleaned, kept),
        train=sum(kept.train),
        dev=len(kept.dev),
        test=len(kept.test),
        components=split.components,
        largest_component=split.largest_component,
        leak_random=split.leak_random,
        leak=split.leak,
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


def _write_held_out(
    folder: Path, config: DataConfig, parts: Parts, kept: Kept, sides: list[SideRules]
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
        if is_small_world(origin):
            write_links((folder / path).with_suffix(""), _known_links(held, config, sides))
    return tests


def _known_links(held: Sequence[tuple[int, str, str]], config: DataConfig, sides: list[SideRules]) -> list[LinkedPair]:
    """The grammar's words and links of test pairs, in this run's direction, spelt as in the cleaned text."""
    world = small_world.sampled(config.small_world_pairs)
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


def _part_report(part: int, origin: Origin, cleaned: Cleaned, kept: Kept, log: DropLog) -> PartReport:
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
    side: int, sides: list[SideRules], tokenizers: tuple[Tokenizer, Tokenizer], cleaned: Cleaned, kept: Kept
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


def _fingerprint(config: DataConfig, parts: Parts, seed: int) -> str:
    """SHA-256 over all that the outcome depends on: settings, seed, and the content of every file."""
    inputs: list[tuple[str, list[str]]] = []
    for origin, links in zip(parts.origins, parts.links, strict=True):
        files = [path for path in (origin.path, origin.target, links) if path is not None]
        inputs.append((origin.name, [_sha256(path) for path in files] or [_built_in_version(origin.name)]))
    settings = config.model_dump(mode="json", exclude={"split_seed"})  # it is the seed already
    held = {"format": _FORMAT, "config": settings, "seed": seed, "inputs": inputs}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def _built_in_version(name: str) -> str:
    if name.startswith("hsk"):
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("hsk-sentences-audio")
        except PackageNotFoundError:
            return "missing"
    return "".join(_sha256(path) for path in sorted(_SMALL_WORLD.glob("*.py")))


_SMALL_WORLD = Path(__file__).parents[1] / "corpora" / "small_world"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(folder: Path) -> dict[str, Any] | None:
    try:
        held = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return held if held.get("format") == _FORMAT else None


def _check_space(folder: Path, parts: Parts) -> None:
    """A cleaned copy, the encoded pairs and the held-out text take at most three times the files, ten if zipped."""
    files = [path for origin in parts.origins for path in (origin.path, origin.target) if path is not None]
    needed = sum(path.stat().st_size * (10 if path.suffix == ".gz" else 3) for path in files)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"preparing the data needs about {needed >> 20:,} MB in {folder}, {free >> 20:,} MB are free."
        )


def _silent(stage: str, pairs: int) -> None:
    """Nobody asked for progress."""
    del stage, pairs

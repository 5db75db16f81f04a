"""From what the user named to what training reads: read, clean, split, tokenize, encode, and say what happened.

`prepare` writes one folder and returns it opened. Asked again with the same settings, files and seed, it opens what is
there. The work itself is done in `pipeline`.
"""

import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from attentio.corpora import CORPORA
from attentio.data.corpus import EncodedCorpus
from attentio.data.heldout import HeldOut, write_links, write_pairs
from attentio.data.links import TokenLinks
from attentio.data.pipeline import (
    HeldPair,
    Job,
    Kept,
    Progress,
    check_languages,
    clean,
    detect_languages,
    encode,
    split_and_learn,
    uses_placeholders,
)
from attentio.data.readers.archives import ARCHIVES
from attentio.data.readers.built_in import known_links
from attentio.data.readers.lines import PACKED, Origin, on_disk
from attentio.data.report import DataReport, DropLog, PartReport, SideReport
from attentio.data.settings import DataConfig
from attentio.data.source import origins
from attentio.data.split import TRAIN
from attentio.data.start import SideRules, Start, kept_start
from attentio.data.store import CleanStore
from attentio.errors import DataError, ModelError, ResourceError
from attentio.runtime.files import new_folder, read_json, sha256, sha256_of, sha256_of_json, write_json
from attentio.text.clean import Cleaner
from attentio.text.known import KnownWords
from attentio.text.placeholders import mask
from attentio.text.script import base_language
from attentio.text.side import SIDES, Side
from attentio.text.tokenizer import Tokenizer, fingerprint, load_tokenizer

MANIFEST = "prepared.json"
TRAIN_LINKS = "train.links.npz"
EARLIER_DEV = "earlier-dev.tsv"
_FORMAT = 3
_READABLE = (2, 3)  # 2: without the SHA-256 of files and of the manifest itself
_FINGERPRINT_FORMAT = 2  # of what a fingerprint is made of
_NOT_VERIFIED = ("report.json", "dropped.tsv")  # for people: nothing depends on them
_PREPARE_AGAIN = "Prepare the data again."
MOST_LOOKED_THROUGH = 300_000  # pairs, for their words


@dataclass(frozen=True)
class PreparedData:
    """A prepared folder, opened: `dev` and `tests` hold text, `train` encoded pairs."""

    folder: Path
    source: Side
    target: Side
    placeholders: bool
    train: EncodedCorpus
    train_links: TokenLinks | None  # word links of training pairs, where some are known
    dev: HeldOut | None
    tests: dict[str, HeldOut]
    links: dict[str, Path]  # name of a test set -> stem for `heldout.read_links`
    earlier_dev: HeldOut | None = None  # of the run that training starts from. `tests` has its test sets, too
    earlier_longest_source: int = 0
    new_tokens: tuple[int, int] = (0, 0)  # of source and target, beyond those of the model that training starts from
    earlier_pairs: int = 0  # in training
    earlier_share: float = 0.0

    @cached_property
    def report(self) -> DataReport:
        """The figures of the preparation. Raises DataError where they are missing or damaged."""
        return DataReport.load(self.folder / "report.json")

    @property
    def vocab_sizes(self) -> tuple[int, int]:
        """The tokens of source and target."""
        return self.source.tokenizer.vocab_size, self.target.tokenizer.vocab_size

    @cached_property
    def longest_source(self) -> int:
        """The tokens of the longest source in training."""
        return max(self.earlier_longest_source, int(self.train.source.lengths.max(initial=0)))

    def training_texts(self, most: int | None = None) -> tuple[list[str], list[str]]:
        """Return sources and targets of training as text: all, or at most so many, evenly over all."""
        rows = range(0, len(self.train), 1 if most is None else -(-len(self.train) // most))
        sides = (self.source.tokenizer, self.train.source), (self.target.tokenizer, self.train.target)
        sources, targets = ([tokenizer.decode(side[row].tolist()) for row in rows] for tokenizer, side in sides)
        return sources, targets

    def training_pairs(self, most: int) -> list[tuple[str, str]]:
        """Return at most so many training pairs as text, evenly over all."""
        return list(zip(*self.training_texts(most), strict=True))

    @cached_property
    def source_words(self) -> KnownWords | None:
        """The words of the sources in training. None where there are too many pairs to look for them."""
        if len(self.train) > MOST_LOOKED_THROUGH:
            return None
        decode, source = self.source.tokenizer.decode, self.train.source
        return KnownWords.of(decode(source[index].tolist()) for index in range(len(source)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open what `prepare` wrote. Raise DataError where it is not there, damaged or altered."""
        held = _manifest(folder)
        if held is None:
            raise DataError(f"{folder}: no prepared data here.", hint=_PREPARE_AGAIN, file=folder)
        try:
            return cls._of(folder, held)
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # a manifest without a hash, damaged
            what = f"{folder / MANIFEST} cannot be understood ({type(error).__name__}: {error})."
            raise DataError(what, hint=_PREPARE_AGAIN, code="E_DATA_ALTERED", file=folder / MANIFEST) from None

    @classmethod
    def _of(cls, folder: Path, held: dict[str, Any]) -> Self:
        """Open what a manifest describes, when all files are as it says."""
        for name, expected in held.get("files", {}).items():
            path = folder / name
            if not path.is_file() or sha256(path) != expected:
                what = "altered" if path.is_file() else "missing"
                raise DataError(f"{path} is {what}.", hint=_PREPARE_AGAIN, code="E_DATA_ALTERED", file=path)
        sides: list[Side] = []
        for name in SIDES:
            tokenizer = load_tokenizer(folder / f"{name}.tokenizer")
            if fingerprint(tokenizer) != held[name]["tokenizer"]:
                what = f"{folder / name}.tokenizer does not belong to this data."
                raise DataError(what, hint=_PREPARE_AGAIN, file=folder)
            sides.append(Side(tokenizer, Cleaner.from_dict(held[name]["cleaner"]), held[name]["language"]))
        train = EncodedCorpus.open(folder / "train")
        train.verify()
        return cls(
            folder,
            source=sides[0],
            target=sides[1],
            placeholders=bool(held.get("placeholders", False)),  # older preparations have none
            train=train,
            train_links=TokenLinks.load(folder / TRAIN_LINKS) if (folder / TRAIN_LINKS).exists() else None,
            dev=HeldOut.load(folder / "dev.tsv", "dev") if held["dev"] else None,
            tests={name: HeldOut.load(folder / path, name) for name, path in held["tests"].items()},
            links={name: folder / path for name, path in held["links"].items()},
            **_taken_over(folder, held.get("taken_over")),
        )


def prepare(
    config: DataConfig,
    folder: Path,
    *,
    seed: int,
    start: Start | None = None,
    progress: Progress | None = None,
) -> PreparedData:
    """Prepare the data that `config` names in `folder`, or open it if this very preparation is there already.

    `seed` draws the split, unless `config.split_seed` does. `start` is what is taken over from an existing
    model. The folder appears whole or not at all. `progress` is told the stage and how many
    pairs have passed it.
    """
    seed = seed if config.split_seed is None else config.split_seed
    parts = origins(config)
    keys = _fingerprints(config, parts, seed, start)
    held = _manifest(folder)
    notes: list[str] = []
    before: dict[str, str] = {}
    if held is not None and held["fingerprint"] in keys:
        try:
            data = PreparedData.load(folder)
            _ = data.report
            return data
        except (DataError, ModelError) as error:
            notes.append(f"prepared again: {error.message}")
            before = held.get("files", {})
    if held is None and folder.exists() and any(folder.iterdir()):
        what = f"{folder} is not empty and holds no prepared data."
        raise DataError(what, hint="Choose another folder.", file=folder)
    if start is not None and start.sides is None:
        what = f"{folder} holds other data, and the model that it started from is not at hand."
        raise DataError(what, hint="Start again in another folder.", file=folder)
    with new_folder(folder) as partial:
        _check_space(partial, parts)
        with closing(DropLog(partial / "dropped.tsv")) as log:
            job = Job(config, parts, seed, log, progress or (lambda *_: None), start)
            files = _prepare_into(partial, job, keys[0], notes)
        if before and files != before:
            what = f"{notes[0]} Preparing it again does not give the same data."
            raise DataError(what, hint="Start again in another folder.", code="E_DATA_ALTERED", file=folder)
    return PreparedData.load(folder)


def prepared_settings(folder: Path) -> DataConfig:
    """Return the settings of data that was prepared to be trained on by many. Raises DataError for other folders."""
    held = _manifest(folder)
    if held is None or held["config"].get("split_seed") is None:
        what = f"{folder} holds no prepared data that runs share."
        raise DataError(what, hint="Make it: attentio data prepare DATA --out FOLDER", file=folder)
    return DataConfig.model_validate(held["config"])


def share(prepared: Path, folder: Path) -> None:
    """Put prepared data into `folder`, too. Its files are there once, where the disk allows it."""
    with new_folder(folder) as partial:
        shutil.copytree(prepared, partial, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no second names
        shutil.copy2(source, target)


def start_of(folder: Path) -> Start | None:
    """Return what the prepared data in `folder` started from, without the model. Raises DataError for damaged data."""
    PreparedData.load(folder)
    return kept_start(cast(dict[str, Any], _manifest(folder)))


def is_prepared(config: DataConfig, folder: Path, *, seed: int, start: Start | None = None) -> bool:
    """Return whether `prepare` with these settings, files and seed would open what is in `folder`."""
    held = _manifest(folder)
    seed = seed if config.split_seed is None else config.split_seed
    return held is not None and held["fingerprint"] in _fingerprints(config, origins(config), seed, start)


def data_fingerprint(folder: Path) -> str:
    """Return what tells prepared data from other data."""
    return read_json(folder / MANIFEST)["fingerprint"]


def _prepare_into(folder: Path, job: Job, key: str, notes: list[str]) -> dict[str, str]:
    started = time.monotonic()
    config, parts, seed, log, _, start = job
    known = None if start is None else start.sides
    with closing(CleanStore(folder / "clean.text")) as store:
        found = detect_languages(job)  # also where they are known: swapped columns are noticed
        sides = found if known is None else known
        _check_direction(job, found, sides)
        cleaned = clean(job, store, sides)
        split, tokenizers = split_and_learn(job, cleaned, sides)
        check_languages(job, cleaned, split.assigned, sides)
        kept = encode(job, folder, cleaned, split.assigned, tokenizers)
    for side, tokenizer in zip(SIDES, tokenizers, strict=True):
        (folder / f"{side}.tokenizer").write_bytes(tokenizer.to_bytes())
    corpus = EncodedCorpus.open(folder / "train")
    links = TokenLinks.joined(kept.links) if kept.links else None
    if links is None and config.learn_links:
        from attentio.data.learned_links import learned_links  # it needs torch, and reading data does not

        links = learned_links(corpus)
        share = len(links.links) / max(1, len(corpus.target.tokens))
        log.note(f"word links learned from the pairs: {share:.0%} of target tokens have one. They guide attention")
    if links is not None:
        links.save(folder / TRAIN_LINKS)
    if kept.dev:
        write_pairs(folder / "dev.tsv", [pair[2:] for pair in kept.dev])
    tests = _write_tests(folder, config, parts, kept.test)
    taken_over = None if start is None else _take_over(folder, job, start, kept, tokenizers, tests)
    train = np.bincount(cleaned.part[split.assigned == TRAIN], minlength=len(parts)).tolist()

    def part_report(number: int, name: str) -> PartReport:
        dropped = dict(log.counts[name].most_common())
        first = {reason: log.first[name, reason] for reason in dropped}
        dev, test = (sum(part == number for part, *_ in held) for held in (kept.dev, kept.test))
        return PartReport(name, cleaned.read[number], dropped, first, train[number], dev, test)

    def side_report(side: int) -> SideReport:
        tokenizer, lengths = tokenizers[side], (corpus.source, corpus.target)[side].lengths
        texts = ((source, target)[side] for *_, source, target in kept.dev + kept.test)
        texts = (mask(text).text for text in texts) if hidden else texts
        return SideReport(
            language=sides[side].language,
            tokenizer=tokenizer.kind,
            vocab_size=tokenizer.vocab_size,
            script_mix=cleaned.mixes[side],
            mean_length=round(int(lengths.sum()) / len(corpus), 2),
            longest=int(lengths.max()),
            unseen_in_test=len({unit for text in texts for unit in tokenizer.unseen(text)}),
        )

    hidden = uses_placeholders(config, parts)
    report = DataReport(
        parts=[part_report(number, origin.name) for number, origin in enumerate(parts)],
        source=side_report(0),
        target=side_report(1),
        train=sum(train),
        dev=len(kept.dev),
        test=len(kept.test),
        components=split.components,
        largest_component=split.largest_component,
        leak_random=split.leak_random,
        leak=split.leak,
        mended=dict(log.mended),
        notes=[*notes, *log.notes],
        seconds=round(time.monotonic() - started, 3),
    )
    report.save(folder / "report.json")
    manifest: dict[str, Any] = {
        "format": _FORMAT,
        "fingerprint": key,
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "placeholders": hidden or (start is not None and config.placeholders),
        "start": None if start is None else start.key,
        "taken_over": taken_over,
        "dev": bool(kept.dev),
        "tests": {name: path.as_posix() for name, path in tests.items()},
        "links": {
            name: path.with_suffix("").as_posix()
            for name, path in tests.items()
            if (folder / path).with_suffix(".gold").exists()
        },
    }
    for name, side, tokenizer in zip(SIDES, sides, tokenizers, strict=True):
        held = {"language": side.language, "cleaner": side.cleaner.as_dict(), "tokenizer": fingerprint(tokenizer)}
        manifest[name] = held
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in _NOT_VERIFIED)
    manifest["files"] = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}
    write_json(folder / MANIFEST, manifest | {"sha256": sha256_of_json(manifest)})
    return manifest["files"]


def _check_direction(job: Job, found: Sequence[SideRules], known: Sequence[SideRules]) -> None:
    """Refuse pairs that are clearly the other way round than the model, and note another language."""
    has, wanted = ([base_language(side.language) for side in sides] for sides in (found, known))
    if None in (*has, *wanted) or has == wanted:
        return
    what = f"the model translates {wanted[0]} to {wanted[1]}, and these pairs are {has[0]} to {has[1]}."
    if has == wanted[::-1]:
        raise DataError(what, hint="Swapped columns? --swap", code="E_DATA_SWAPPED")
    job.log.note(what)


def _take_over(
    folder: Path, job: Job, start: Start, kept: Kept, tokenizers: Sequence[Tokenizer], tests: dict[str, Path]
) -> dict[str, Any]:
    """Write what the earlier run held out beside the new, add its test sets to `tests`, and return what was taken."""
    known = [side.tokenizer for side in start.sides or ()]
    sizes = [(was or now).vocab_size for now, was in zip(tokenizers, known, strict=True)]
    new = [tokenizer.vocab_size - size for tokenizer, size in zip(tokenizers, sizes, strict=True)]
    for name, count, tokenizer in zip(SIDES, new, tokenizers, strict=True):
        if count:
            added = tokenizer.tokens[-count:]
            shown = " ".join(added[:20]) + " …" * (count > 20)
            job.log.note(f"{name} vocabulary: {count:,} new token{'s' * (count > 1)} ({shown})")
    earlier, dev = start.earlier, False
    if earlier is not None:
        if earlier.dev is not None:
            dev = True
            _write_held_out(folder / EARLIER_DEV, earlier.dev)
        for name, held in earlier.named_tests().items():
            tests[name] = Path("test") / f"{name}.tsv"
            _write_held_out(folder / tests[name], held)
    copies, rows = kept.mixture
    corpus = EncodedCorpus.open(folder / "train")
    share = len(rows) / len(corpus)
    if earlier is not None and len(rows):
        what = f"{len(rows):,} of {len(earlier.train):,} earlier pairs are mixed in, {share:.0%} of all"
        job.log.note(f"{what}. Each new pair stands {copies:,} times beside them")
    return {
        "longest_source": start.longest_source,
        "new_tokens": new,
        "earlier_dev": dev,
        "earlier_pairs": len(rows),
        "earlier_share": round(share, 4),
        "copies": copies,
    }


def _write_held_out(path: Path, held: HeldOut) -> None:
    pairs = zip(held.sources, held.references, strict=True)
    write_pairs(path, [(source, target) for source, targets in pairs for target in targets])


def _taken_over(folder: Path, held: dict[str, Any] | None) -> dict[str, Any]:
    if held is None:
        return {}
    return {
        "earlier_dev": HeldOut.load(folder / EARLIER_DEV, "dev") if held["earlier_dev"] else None,
        "earlier_longest_source": held["longest_source"],
        "new_tokens": tuple(held["new_tokens"]),
        "earlier_pairs": held["earlier_pairs"],
        "earlier_share": held["earlier_share"],
    }


def _write_tests(
    folder: Path, config: DataConfig, parts: Sequence[Origin], pairs: Sequence[HeldPair]
) -> dict[str, Path]:
    """Write a test file for each part that has one, with its known links. Return its path by its name."""
    tests: dict[str, Path] = {}
    several = len({part for part, *_ in pairs}) > 1 or sum(origin.role == TRAIN for origin in parts) > 1
    for part, origin in enumerate(parts):
        held = [pair for pair in pairs if pair[0] == part]
        if not held:
            continue
        name, path = (origin.name, Path("test") / f"{origin.name}.tsv") if several else ("test", Path("test.tsv"))
        tests[name] = path
        write_pairs(folder / path, [pair[2:] for pair in held])
        if origin.knows_links:
            _, lines, sources, targets = zip(*held, strict=True)
            found = known_links(lines, sources, targets, config.small_world_pairs)
            write_links((folder / path).with_suffix(""), found)
    return tests


# How preparations before the small world had a version named what is its version 1.1 now: a hash of its source.
_FORMER_VERSIONS = {
    ("small-world", "1.1"): (
        "68db2f7d03d887d6ef7b4f0d25e82b3fab5be07653e935fbe9e3740407b648d4"
        "4da5920eefcbb5cffb688563a0eac5186c4833933251f94d4113164b52b13fb5"
        "bb59f89af2c7b14e1fff0b80e78e09d688f42885cb1b395b75711b8eaad682dc"
        "ada1aa7f334b68ec919d30058877bc37efda19cb3c4ef7a94f374301bfb4c6c9"
    )
}


def _fingerprints(config: DataConfig, parts: Sequence[Origin], seed: int, start: Start | None) -> list[str]:
    """Return the fingerprint of a preparation, and the one that older versions of Attentio gave it.

    A fingerprint is a SHA-256 over all that the outcome depends on: settings, seed, and the content of every file.
    """
    settings = config.model_dump(mode="json", exclude={"split_seed"})  # it is the seed already
    if config.columns is None:
        del settings["columns"]  # older preparations did not know it
    if not uses_placeholders(config, parts):
        del settings["placeholders"]  # nor that
    if not config.learn_links:
        del settings["learn_links"]  # nor that
    held: dict[str, Any] = {"format": _FINGERPRINT_FORMAT, "config": settings, "seed": seed}
    if start is not None:
        held |= start.key
    files = [[on_disk(file) for file in (o.path, o.target, o.links) if file is not None] for o in parts]
    hashed = {file: sha256(file) for file in dict.fromkeys(chain.from_iterable(files))}
    versions = {name: corpus.version() for name, corpus in CORPORA.items()}
    former = {name: _FORMER_VERSIONS.get((name, version), version) for name, version in versions.items()}
    found: list[str] = []
    for known in (versions, former):
        inputs = ([hashed[file] for file in of] or [known[o.corpus or ""]] for o, of in zip(parts, files, strict=True))
        held["inputs"] = [*zip((origin.name for origin in parts), inputs, strict=True)]
        found.append(sha256_of(json.dumps(held, sort_keys=True)))
    return found


def _manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of prepared data, or None where there is none. Raise DataError where it is damaged."""
    held = read_json(folder / MANIFEST)
    if not isinstance(held, dict):
        return None
    manifest = cast(dict[str, Any], held)
    if manifest.get("format") not in _READABLE:
        return None
    sealed = {name: value for name, value in manifest.items() if name != "sha256"}
    if manifest["format"] != 2 and manifest.get("sha256") != sha256_of_json(sealed):
        hint = "Restore it, or prepare the data again in an empty folder."
        raise DataError(f"{folder / MANIFEST} is altered.", hint=hint, code="E_DATA_ALTERED", file=folder / MANIFEST)
    return manifest


def _check_space(folder: Path, parts: Sequence[Origin]) -> None:
    """Refuse a disk with too little space: the copies take at most three times the files, or ten times packed ones."""
    files = {on_disk(file) for origin in parts for file in (origin.path, origin.target) if file is not None}
    needed = sum(path.stat().st_size * (10 if path.name.endswith((*PACKED, *ARCHIVES)) else 3) for path in files)
    free = shutil.disk_usage(folder).free
    if free < needed:
        what = f"preparing the data needs about {needed >> 20:,} MB in {folder}, {free >> 20:,} MB are free."
        raise ResourceError(what)

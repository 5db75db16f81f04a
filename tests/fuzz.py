"""Fuzz what reads files of others, guided by coverage. Only an AttentioError may come out, in bounded time and memory.

    pip install atheris
    python tests/fuzz.py tsv tmx jsonl --seconds 600

Each target reads a file of arbitrary bytes. `test_fuzz.py` tries all targets on changed files, without atheris.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "tests" / "bundles" / "format-3" / "transformer"
MOST_PAIRS = 20_000
INSTRUMENTED = ["attentio.data", "attentio.documents", "attentio.text", "attentio.bundle", "attentio.runtime"]
INSTRUMENTED += ["attentio.train.settings", "attentio.train.checkpoint", "attentio.train.state", "tomllib"]


class Target(NamedTuple):
    """What reads a file of this name, and the content to begin with."""

    name: str
    read: Callable[[Path], object]
    seeds: list[bytes]


def _pairs(path: Path) -> object:
    from attentio.data.source import read_pairs

    return list(islice(read_pairs(path), MOST_PAIRS))


def _gold(path: Path) -> object:
    from attentio.data.alignments import read_gold

    return read_gold(path, index=0)


def _config(path: Path) -> object:
    from attentio.train.settings import load_config

    return load_config(path)


def _bundle(path: Path) -> object:
    """Open a model of which the manifest, or whichever file `path` is named after, holds these bytes."""
    from attentio.bundle import Bundle
    from attentio.runtime.sealed import MANIFEST

    folder = path.parent / "bundle"
    if not folder.exists():
        shutil.copytree(BUNDLE, folder)
    shutil.copyfile(path, folder / path.name)
    if path.name != MANIFEST:  # with the right SHA-256: else any change ends there
        held = json.loads(_unsealed(BUNDLE / MANIFEST))
        held["files"][path.name] = {"bytes": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest()}
        (folder / MANIFEST).write_text(json.dumps(held), encoding="utf-8")
    return Bundle.load(folder).build()


def _checkpoint(path: Path) -> object:
    from attentio.runtime.sealed import MANIFEST, seal
    from attentio.train.checkpoint import load_checkpoint
    from attentio.train.state import progress_of

    folder = path.parent / "checkpoint"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(path, folder / path.name)
    if path.name != MANIFEST:
        seal(folder, {"schema": 1, "state": {"progress": {}}})
    return progress_of(load_checkpoint(folder), folder)


def _prepared(path: Path) -> object:
    """Open prepared data of which the manifest holds these bytes."""
    from attentio.data.prepare import PreparedData

    folder = path.parent / "prepared"
    if not folder.exists():
        _prepare_few(folder)
    shutil.copyfile(path, folder / path.name)
    return PreparedData.load(folder)


def _prepare_few(folder: Path) -> bytes:
    """Prepare nine pairs, and return the manifest as older versions wrote it: without any hash."""
    from attentio.data.prepare import MANIFEST, prepare
    from attentio.data.settings import DataConfig

    corpus = folder.with_suffix(".tsv")
    corpus.write_text("".join(f"{one} cats.\t{one}只猫。\n" for one in range(9)), encoding="utf-8")
    settings = {"source_tokenizer": "word", "target_tokenizer": "char", "min_count": 1, "dev": 1, "test": 1}
    prepare(DataConfig.model_validate({"train": [str(corpus)], **settings}), folder, seed=1)
    held = json.loads(_unsealed(folder / MANIFEST))
    del held["files"]
    return json.dumps({**held, "format": 2}).encode()


def _unsealed(path: Path) -> bytes:
    """A manifest without its own hash, which older versions did not write: else any change ends at the hash."""
    held = json.loads(path.read_text(encoding="utf-8"))
    held.pop("sha256", None)
    return json.dumps(held).encode()


def targets() -> dict[str, Target]:
    import bz2
    import gzip
    import io
    import lzma
    import zipfile

    tsv = "Good morning.\t早上好。\tCC-BY\n\n# a\tb\nHow are you?\t你好吗？\n".encode()
    tmx = """<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE tmx [<!ENTITY a "b">]>
<tmx version="1.4"><header srclang="en"/><body><tu>
<tuv xml:lang="en"><seg>Good <ph x="1">x</ph>&amp; &a;</seg></tuv><tuv xml:lang="zh-CN"><seg>好</seg></tuv></tu>
</body></tmx>""".encode()
    jsonl = '{"translation": {"en": "Good.", "zh": "好。"}}\n{"translation": {"zh": "不", "en": "No"}}\n'.encode()
    array = b'{"data": [{"source": "a", "target": "b"},\n{"source": "c", "target": "d"}]}'
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("A.en-zh.en", "Good.\nNo.\n")
        archive.writestr("A.en-zh.zh", "好。\n不。\n")
    place = {"step": 3, "seconds": 1.5, "best_chrf": None}
    state = json.dumps({"schema": 1, "state": {"progress": place}, "files": {}}).encode()
    tensors = (BUNDLE / "model.safetensors").read_bytes()
    return {
        "tsv": Target(
            "pairs.tsv", _pairs, [tsv, b"\xff\xfe" + "a\tb\n".encode("utf-16-le"), b"\xef\xbb\xbfen\tzh\na\tb\n"]
        ),
        "tmx": Target("memory.tmx", _pairs, [tmx, tmx.decode().encode("utf-16")]),
        "jsonl": Target("pairs.jsonl", _pairs, [jsonl]),
        "json": Target("pairs.json", _pairs, [array, jsonl]),
        "gz": Target("pairs.tsv.gz", _pairs, [gzip.compress(tsv, mtime=0)]),
        "bz2": Target("pairs.tsv.bz2", _pairs, [bz2.compress(tsv)]),
        "xz": Target("pairs.tsv.xz", _pairs, [lzma.compress(tsv)]),
        "zip": Target("pairs.zip", _pairs, [held.getvalue()]),
        "gold": Target("links.gold", _gold, [b"0-0 1-1\n0-1 2-3 4p5\n", b"\n10-3 3p10"]),
        "config": Target("config.toml", _config, [b'[train]\nepochs = 3\n[attention]\nscore = {kind = "dot"}\n']),
        "bundle": Target("manifest.json", _bundle, [_unsealed(BUNDLE / "manifest.json")]),
        "tokenizer": Target("source.tokenizer", _bundle, [(BUNDLE / "source.tokenizer").read_bytes()]),
        "weights": Target("model.safetensors", _bundle, [tensors]),
        "checkpoint": Target("manifest.json", _checkpoint, [state]),
        "tensors": Target("weights.safetensors", _checkpoint, [tensors]),
        "prepared": Target("prepared.json", _prepared, [_prepare_few(Path(tempfile.mkdtemp()) / "few")]),
    }


def run(target: Target, content: bytes, folder: Path) -> bool:
    """Read a file with this content. Return whether it was accepted. Anything but an AttentioError is raised."""
    from attentio.errors import AttentioError

    path = folder / target.name
    path.write_bytes(content)
    try:
        target.read(path)
    except AttentioError as error:
        if "\n" in str(error):
            raise AssertionError(f"more than one line: {error}") from error
        return False
    return True


def fuzz(name: str, corpus: str, options: list[str]) -> None:
    """Fuzz one target in this process, which ends here."""
    import atheris  # pyright: ignore[reportMissingImports]

    with atheris.instrument_imports(include=INSTRUMENTED):
        target = targets()[name]
        for seed in target.seeds:
            run(target, seed, Path(tempfile.mkdtemp()))
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    atheris.Setup([sys.argv[0], corpus, *options], lambda content: run(target, content, folder))
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument(
        "--timeout", type=int, default=20, help="seconds of one run: more where a machine may stand still"
    )
    arguments = parser.parse_args()
    known, failed = targets(), 0
    for name in arguments.targets or known:
        longest = max(4096, 2 * max(map(len, known[name].seeds)))
        limits = [f"-max_total_time={arguments.seconds}", f"-timeout={arguments.timeout}", f"-max_len={longest}"]
        corpus = Path(tempfile.mkdtemp())
        for number, seed in enumerate(known[name].seeds):
            (corpus / str(number)).write_bytes(seed)
        limits += [
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            f"-artifact_prefix={tempfile.gettempdir()}/fuzz-{name}-",
        ]
        code = f"import fuzz; fuzz.fuzz({name!r}, {str(corpus)!r}, {limits!r})"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
        runs = next((line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line), "0")
        print(f"{name}: {int(runs):,} runs, {'nothing found' if done.returncode == 0 else 'FAILED'}", flush=True)
        if done.returncode:
            failed += 1
            print(done.stdout[-2000:], done.stderr[-4000:])
    return failed


if __name__ == "__main__":
    sys.exit(main())

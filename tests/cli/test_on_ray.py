"""`attentio translate --engine ray`: the same parts as without Ray, also where actors and machines are lost."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

RAY_PACKAGES = Path(sys.prefix) / "ray"
MARK = "ATTENTIO_TEST_CLUSTER"
WORDS = ["cat", "dog", "book", "house", "teacher", "friend", "brother", "sister", "apple", "car", "school"]
LINES = [f"My {one} has a {other}. I see {number} of them." for number, one in enumerate(WORDS) for other in WORDS]
SETTINGS = ["small-world", "--beam", "2", "--part-lines", "2"]


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes that find Ray. Skips without it."""
    if not (RAY_PACKAGES / "ray").is_dir():
        pytest.skip(f"{RAY_PACKAGES / 'ray'} is not there: see .ci/run")
    if sys.platform != "linux":
        pytest.skip("processes are found in /proc")
    paths = [str(RAY_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Ray gives way to all other processes, so that a busy machine would let it wait for minutes.
    settings = {"PYTHONPATH": os.pathsep.join(paths), "RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    return {**os.environ, **settings, MARK: str(tmp_path_factory.mktemp("cluster"))}


@pytest.fixture(scope="module")
def cluster(surroundings: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A cluster of three nodes, of which a node dies for each line that is written to it. `args` is its address."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("ray_cluster.py"))],
        env=surroundings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    process.args = process.stdout.readline().strip()
    assert ":" in process.args
    yield process
    process.communicate(timeout=120)


def started(arguments: list[Any], surroundings: dict[str, str], **settings: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "attentio", "translate", *map(str, arguments)]
    return subprocess.Popen(command, env={**surroundings, **settings}, stderr=subprocess.PIPE, text=True)


def marked(surroundings: dict[str, str], name: str) -> list[int]:
    """Processes of this test with that in their command."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"{MARK}={surroundings[MARK]}".encode() in (path / "environ").read_bytes()
            if ours and name.encode() in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


def in_one_process(attentio: Callable[..., Any], folder: Path, *arguments: object) -> dict[str, bytes]:
    outcome = attentio("translate", *SETTINGS, *arguments, "--out", f"{folder}/")
    assert outcome.status == 0, outcome.err
    return parts(folder)


def until_there(folder: Path, count: int, process: "subprocess.Popen[str]") -> None:
    while len(parts(folder)) < count:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


@pytest.mark.long
def test_an_actor_and_a_node_may_die(
    attentio: Callable[..., Any], cluster: "subprocess.Popen[str]", surroundings: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "corpus.txt.gz"
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in LINES).encode()))
    whole = in_one_process(attentio, tmp_path / "whole", path, "--json")
    folder = tmp_path / "out"
    arguments = [*SETTINGS, path, "--json", "--engine", "ray", "--out", folder]
    process = started(arguments, surroundings, RAY_ADDRESS=str(cluster.args))
    until_there(folder, 3, process)
    os.kill(marked(surroundings, "TranslatingActor")[0], signal.SIGKILL)
    until_there(folder, 9, process)
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    cluster.stdin.write("\n")
    cluster.stdin.flush()
    assert cluster.stdout.readline() == "killed\n"
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert parts(folder) == whole
    assert f"\ndone   {folder}  {len(whole)} parts of {len(LINES)} lines\n" in said


@pytest.mark.long
def test_what_one_engine_began_another_goes_on_with(
    attentio: Callable[..., Any], cluster: "subprocess.Popen[str]", surroundings: dict[str, str], tmp_path: Path
) -> None:
    """Killed without warning in the middle, it goes on, and on any engine. JSON lines keep their fields."""
    path = tmp_path / "corpus.jsonl"
    rows = [{"id": number, "en": line} for number, line in enumerate(LINES)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    whole = in_one_process(attentio, tmp_path / "out", path, "--field", "en")
    for name in sorted(whole)[5:]:
        (tmp_path / "out" / name).unlink()
    arguments = [*SETTINGS, path, "--field", "en", "--engine", "ray", "--out", tmp_path / "out"]
    process = started(arguments, surroundings, RAY_ADDRESS=str(cluster.args))
    until_there(tmp_path / "out", 8, process)
    process.kill()
    process.communicate()
    assert parts(tmp_path / "out").items() <= whole.items()
    process = started(arguments, surroundings, RAY_ADDRESS=str(cluster.args))
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert " of them from before\n" in said
    assert parts(tmp_path / "out") == whole
    again = attentio("translate", *SETTINGS, path, "--field", "en", "--out", f"{tmp_path / 'out'}/")
    assert f"{len(whole)} of them from before" in again.err
    path.write_text('{"en": "x"}\n{"de": "x"}\n', encoding="utf-8")
    process = started([*arguments[:-1], tmp_path / "other"], surroundings, RAY_ADDRESS=str(cluster.args))
    _, said = process.communicate()
    assert (process.returncode, said) == (3, "error: line 2 has no text 'en'. Name the field with --field.\n")


@pytest.mark.long
def test_without_a_cluster_there_is_one_of_its_own(
    attentio: Callable[..., Any], surroundings: dict[str, str], tmp_path: Path
) -> None:
    """Tables, with a glossary. Nothing is said that translating here would not say, and no process is left."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"id": range(9), "text": LINES[:9]}), tmp_path / "in.parquet")
    (tmp_path / "terms.tsv").write_text("cat\t猫\n", encoding="utf-8")
    arguments = [tmp_path / "in.parquet", "--glossary", tmp_path / "terms.tsv"]
    here = attentio("translate", *SETTINGS, *arguments, "--out", f"{tmp_path}/here/")
    process = started([*SETTINGS, *arguments, "--engine", "ray", "--out", tmp_path / "there"], surroundings)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert parts(tmp_path / "there") == parts(tmp_path / "here")
    remarks = [line for line in said.split("\n") if "  lines " not in line]  # a plain line of progress every 10 s
    assert remarks == here.err.replace("/here", "/there").split("\n")
    end = time.monotonic() + 60  # on a busy machine they take a moment to end
    while marked(surroundings, "raylet"):
        assert time.monotonic() < end, "a process of Ray is left"
        time.sleep(0.1)


def test_without_ray_one_line_says_so(
    attentio: Callable[..., Any],
    refused: Callable[[Any, int], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "in.txt").write_text("x\n", encoding="utf-8")
    outcome = attentio("translate", *SETTINGS, tmp_path / "in.txt", "--engine", "ray", "--out", tmp_path / "out")
    line = refused(outcome, 6)
    assert line.startswith("error: --engine ray needs a package (")
    assert line.endswith("pip install 'attentio[ray]'")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in.txt"], "--engine ray translates into a folder. Give FILE and --out FOLDER."),
        (["--out", "out"], "--engine ray translates files, and not standard input. Give FILE and --out FOLDER."),
        (["in.html", "--out", "out"], "out would get parts, and a document is one file."),
    ],
)
def test_what_is_not_for_ray(
    attentio: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("attentio.cli.on_ray.check_installed", lambda: None)
    for name in ("in.txt", "in.html"):
        (tmp_path / name).write_text("x\n", encoding="utf-8")
    outcome = attentio("translate", "small-world", *arguments, "--engine", "ray", stdin="x\n")
    assert outcome.status == 2
    assert words in outcome.err

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
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from attentio.errors import LostProcess

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
    before = set(marked(surroundings, "raylet"))  # of the cluster of other tests
    process = started([*SETTINGS, *arguments, "--engine", "ray", "--out", tmp_path / "there"], surroundings)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert parts(tmp_path / "there") == parts(tmp_path / "here")
    remarks = [line for line in said.split("\n") if "  lines " not in line]  # a plain line of progress every 10 s
    assert remarks == here.err.replace("/here", "/there").split("\n")
    end = time.monotonic() + 60  # on a busy machine they take a moment to end
    while set(marked(surroundings, "raylet")) - before:
        assert time.monotonic() < end, "a process of Ray is left"
        time.sleep(0.1)


@pytest.mark.long
def test_it_reads_as_far_as_actors_follow_and_asks_again_for_what_is_missing(
    surroundings: dict[str, str], tmp_path: Path
) -> None:
    """120 MB by slow actors, where 8 MB may be under way. Ray reads three quarters at first, and all of it then."""
    program = Path(__file__).with_name("ray_pressure.py")

    def run(folder: str, readable: int) -> "subprocess.CompletedProcess[str]":
        (tmp_path / folder).mkdir()
        command = [sys.executable, str(program), str(tmp_path / folder), str(readable)]
        own = {name: value for name, value in surroundings.items() if name != "RAY_worker_niceness"}
        return subprocess.run(command, env=own, capture_output=True, text=True, check=False)

    done = run("readable", 1)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["read"] == 90 + 120
    assert found["ahead"] < 15  # of 90, and 22 where 1 GB may wait
    assert found["niceness"] == [str(os.nice(0))]
    assert len(parts(tmp_path / "readable" / "parts")) == 120
    done = run("unreadable", 0)
    assert done.returncode == LostProcess.exit_status, done.stderr
    assert done.stdout.startswith("Ray did not make 30 of the parts, such as part-000090.txt (it sent no answer).")
    assert len(parts(tmp_path / "unreadable" / "parts")) == 90


class StandIn(ModuleType):
    """What stands in for Ray: it translates in this process, and loses of each round what it is told to."""

    def __init__(self, *lost: int | Exception) -> None:
        super().__init__("ray")
        self.lost = list(lost)
        self.asked: list[int] = []

    def modules(self) -> dict[str, ModuleType]:
        """Return what is imported of Ray, by name."""
        data = ModuleType("ray.data")
        context = SimpleNamespace(execution_options=SimpleNamespace(resource_limits=self))
        values = {
            "ActorPoolStrategy": dict,
            "DataContext": SimpleNamespace(get_current=lambda: context),
            "Datasource": object,
            "read_datasource": lambda reader, **_: Rounds(self, reader),
        }
        block = SimpleNamespace(BlockMetadata=dict)
        source = SimpleNamespace(ReadTask=lambda read, _: read)
        scheduling = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda *_, **__: None)
        vars(data).update(values)
        vars(self).update(init=lambda **_: None, shutdown=lambda: None, put=lambda it: it, get=lambda it: it, data=data)
        named: dict[str, Any] = {
            "ray": self, "ray.data": data, "ray.data.block": block, "ray.data.datasource": source,
            "ray.util.scheduling_strategies": scheduling,
        }  # fmt: skip
        return named

    def cluster_resources(self) -> dict[str, int]:
        return {"CPU": 2}

    def copy(self, **_: Any) -> "StandIn":
        return self

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "here")


class Rounds:
    """The chunks of a round, of which the last ones are lost, or an error comes in their place."""

    def __init__(self, ray: StandIn, reader: Any) -> None:
        self._ray = ray
        (self._read,) = reader.get_read_tasks()

    def map_batches(self, actor: Any, fn_constructor_args: Any, **_: Any) -> "Rounds":
        self._actor = actor(*fn_constructor_args)
        return self

    def iter_batches(self, **_: Any) -> Iterator[dict[str, list[bytes]]]:
        chunks = [table.to_pydict() for table in self._read()]
        self._ray.asked.append(len(chunks))
        lost = self._ray.lost.pop(0) if self._ray.lost else 0
        for chunk in chunks[: len(chunks) - lost] if isinstance(lost, int) else chunks[:1]:
            yield self._actor(chunk)
        if isinstance(lost, Exception):
            raise lost


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "asked", "status", "said"),
    [
        ([2, 1], [5, 2, 1], 0, "5 parts of 9 lines"),
        ([RuntimeError("an actor died"), 1], [5, 4, 1], 0, "5 parts of 9 lines"),
        ([2, 2], [5, 2], 75, "Ray did not make 2 of the parts, such as part-000003.txt (it sent no answer)."),
        (
            [RuntimeError("an actor\ndied"), 4],
            [5, 4],
            75,
            "such as part-000001.txt (RuntimeError: an actor died).",
        ),
    ],
)
def test_what_is_missing_is_asked_for_again_as_long_as_something_comes(
    attentio: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lost: list[int | Exception],
    asked: list[int],
    status: int,
    said: str,
) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "in.txt").write_text("".join(f"{line}\n" for line in LINES[:9]), encoding="utf-8")
    ray = StandIn(*lost)
    for name, module in ray.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    command = ["translate", *SETTINGS, tmp_path / "in.txt", "--engine", "ray", "--out"]
    outcome = attentio(*command, tmp_path / "out")
    assert (outcome.status, ray.asked) == (status, asked)
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    if status:
        assert outcome.err.endswith("The same command goes on.\n")
        assert attentio(*command, tmp_path / "out").status == 0  # now nothing is lost
    assert parts(tmp_path / "out") == in_one_process(attentio, tmp_path / "whole", tmp_path / "in.txt")


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

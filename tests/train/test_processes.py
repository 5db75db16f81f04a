"""`attentio train --processes 2`: the losses of one process, and nothing lost where one is killed."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from attentio.corpora.small_world.sampling import sampled
from attentio.errors import STATUS_FILE, LostProcess
from attentio.train.distributed import Ranks, StartedByTorchrun, is_started, joined_ranks
from attentio.train.layout import Replicated

linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
SETTINGS = {
    "model.embedding_size": 16,
    "model.hidden_size": 16,
    "model.dropout": 0.0,
    "train.precision": "fp32",
    "train.batch_tokens": 256,
    "train.warmup_steps": 3,
    "train.evaluate_pairs": 10,
    "data.source_tokenizer": "word",
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("processes") / "pairs.tsv"
    lines = [f"{pair.source}\t{pair.target}\n" for pair in sampled(240)]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def command(pairs: Path, out: Path, *options: object, **settings: object) -> list[str]:
    given = SETTINGS | {name.replace("__", "."): value for name, value in settings.items()}
    overrides = [part for name, value in given.items() for part in ("-o", f"{name}={value}")]
    words = [sys.executable, "-m", "attentio", "train", pairs, "--preset", "cnn-tiny", "--out", out]
    return [*map(str, [*words, *options]), *overrides]


def run(*words: object, **settings: object) -> subprocess.CompletedProcess[str]:
    pairs, out, *options = words
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    line = command(Path(str(pairs)), Path(str(out)), *options, **settings)
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def losses(out: Path) -> dict[int, float]:
    events = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return {event["step"]: event["loss"] for event in events if event["event"] in ("step", "evaluation")}


def digest(out: Path) -> str:
    return hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def together(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 updates in two processes."""
    out = tmp_path_factory.mktemp("together") / "run"
    done = run(pairs, out, "--processes", 2, "--json", train__max_steps=20)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)  # one process reports, and no line of another stands between
    assert (shown["steps"], shown["ended"]) == (20, "all steps done")
    assert not done.stderr.count("Traceback")
    return out


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_one_goes_on_alone(pairs: Path, together: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(pairs, one, train__max_steps=20).returncode == 0
    assert losses(together) == pytest.approx(losses(one), abs=1e-4)
    shutil.copytree(together, two)
    more = run(pairs, two, train__max_steps=30)
    assert more.returncode == 0, more.stderr
    assert max(losses(two)) == 30


@pytest.mark.long
def test_in_shares_two_processes_learn_what_one_does(pairs: Path, together: Path, tmp_path: Path) -> None:
    done = run(pairs, tmp_path / "shares", "--processes", 2, "--shard", train__max_steps=20)
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "shares") == pytest.approx(losses(together), abs=1e-4)
    more = run(pairs, tmp_path / "shares", train__max_steps=30)
    assert more.returncode == 0, more.stderr


@pytest.mark.slow
def test_what_one_process_refuses_several_refuse_in_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.tsv"
    bad.write_text("one column\nalone\n", encoding="utf-8")
    done = run(bad, tmp_path / "out", "--processes", 2)
    assert done.returncode == 3
    assert len(re.findall("^error: ", done.stderr, re.MULTILINE)) == 1
    assert "bad.tsv has 1 column" in done.stderr
    assert "Traceback" not in done.stderr


def rank_of(pid: str) -> str | None:
    try:
        environment = Path("/proc", pid, "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((one.decode().partition("=")[2] for one in environment if one.startswith(b"RANK=")), None)


def below(parent: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8").split():
            found += [int(child), *below(int(child))]
    return found


MANY = {"train__max_steps": 100, "train__save_every_seconds": 0.2, "train__evaluate_every": 1000, "model__dropout": 0.2}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


@pytest.fixture(scope="module")
def undisturbed(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    assert run(pairs, out, "--processes", 2, **MANY).returncode == 0
    return out


@linux
@pytest.mark.parametrize(
    ("starter", "victim"),
    [
        pytest.param("--processes", 1, marks=pytest.mark.slow),
        pytest.param("--processes", 0, marks=pytest.mark.long),
        pytest.param("torchrun", 1, marks=pytest.mark.long),
    ],
)
def test_after_a_process_is_killed_all_start_again_and_end_with_the_same_weights(
    pairs: Path, undisturbed: Path, tmp_path: Path, starter: str, victim: int
) -> None:
    out = tmp_path / "run"
    line = command(pairs, out, "--processes", 2, "--overwrite", **MANY)
    if starter == "torchrun":
        line = [
            *TORCHRUN,
            "--nproc-per-node",
            "2",
            "--max-restarts",
            "3",
            *command(pairs, out, "--overwrite", **MANY)[1:],
        ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 600
    while not list(out.glob("checkpoints/step-*/manifest.json")) and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.02)
    (one,) = [pid for pid in below(process.pid) if rank_of(str(pid)) == str(victim)]
    os.kill(one, signal.SIGKILL)
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    if starter == "--processes":
        # torchrun or the other process may notice first, and each says it in its words.
        assert re.search(r"training (was killed by signal 9|ended)\. All start again from .* \(1 of 3\)", told), told
        assert "Traceback" not in told
    assert len(re.findall("^data ", told, re.MULTILINE)) == 2  # they did start again
    assert digest(out) == digest(undisturbed)


# Two hosts


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """The names of two network namespaces that see each other: 10.87.0.1 and 10.87.0.2. The test skips without them."""
    names = [f"attentio-{os.getpid()}-{number}" for number in (1, 2)]
    ends = [f"at{os.getpid()}-{number}" for number in (1, 2)]
    lines = [f"ip netns add {name}" for name in names]
    lines.append(f"ip link add {ends[0]} netns {names[0]} type veth peer name {ends[1]} netns {names[1]}")
    for number, (name, end) in enumerate(zip(names, ends, strict=True), 1):
        lines.append(f"ip -n {name} address add 10.87.0.{number}/24 dev {end}")
        lines += [f"ip -n {name} link set {place} up" for place in (end, "lo")]
    try:
        for line in lines:
            try:
                made = subprocess.run(line.split(), capture_output=True, text=True, check=False)
                why = made.stderr.strip() if made.returncode else ""
            except OSError as error:
                why = str(error)
            if why:
                pytest.skip(f"no network namespaces can be made here: {line}: {why}")
        yield names
    finally:
        for name in names:
            with contextlib.suppress(OSError):
                subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def on_two_hosts(hosts: list[str], pairs: Path, out: Path, *, second: str = "") -> list[tuple[int, str]]:
    """Train in a process on each host. Return the status and the words of each. second: run before in the second."""
    started: list[subprocess.Popen[str]] = []
    for rank, host in enumerate(hosts):
        place = f"--nnodes 2 --node-rank {rank} --nproc-per-node 1 --master-addr 10.87.0.1 --master-port 29511"
        line = [*TORCHRUN, *place.split(), *command(pairs, out, train__max_steps=20)[1:]]
        before = second if rank else ""
        line = ["ip", "netns", "exec", host, "unshare", "--mount", "sh", "-c", f'{before} exec "$@"', "sh", *line]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(line, env=environment, text=True, **pipes))
    try:
        told = [process.communicate(timeout=400)[1] for process in started]
        return [(process.returncode, words) for process, words in zip(started, told, strict=True)]
    finally:
        for process in started:
            process.kill()


@linux
@pytest.mark.long
def test_two_hosts_learn_what_two_processes_do(hosts: list[str], pairs: Path, together: Path, tmp_path: Path) -> None:
    statuses = on_two_hosts(hosts, pairs, tmp_path / "run")
    assert [status for status, _ in statuses] == [0, 0], statuses
    assert digest(tmp_path / "run") == digest(together)


@linux
@pytest.mark.long
def test_hosts_without_a_file_system_in_common_are_refused_in_a_line(
    hosts: list[str], pairs: Path, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    out = tmp_path / "own" / "run"
    second = f"mount -t tmpfs none {tmp_path / 'own'};"
    for status, told in on_two_hosts(hosts, pairs, out, second=second):
        assert status == 1, told  # torchrun's own
        (line,) = re.findall("^error: (.*)$", told, re.MULTILINE)
        assert line.startswith(f"the processes of this training do not all see one {out}")
        assert "Choose an --out on a file system that all hosts share" in line


def test_one_process_is_its_own_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not is_started()
    with joined_ranks() as ranks:
        assert (ranks.rank, ranks.size, ranks.begin(True), ranks.begin(False)) == (0, 1, True, False)


def test_torchrun_says_that_it_started_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for world, started in (("1", False), ("2", True)):
        monkeypatch.setenv("WORLD_SIZE", world)
        assert is_started() == started


def test_a_run_is_overwritten_once_however_often_processes_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(STATUS_FILE, raising=False)
    monkeypatch.setattr("attentio.train.distributed.rendezvous", lambda *_, **__: iter([(None, 0, 2)]))
    found: list[bool] = []
    for attempt in range(3):  # killed before, and after
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "job" / f"attempt_{attempt}" / "0" / "error.json"))
        (tmp_path / "job").mkdir(exist_ok=True)
        ranks = StartedByTorchrun(Replicated())
        found.append(ranks.starts_over(True))
        assert not ranks.starts_over(False)
        if attempt:
            ranks.started_over()
    assert found == [True, True, False]


def test_only_a_process_that_goes_is_a_lost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("attentio.train.distributed.StartedByTorchrun", lambda _: Ranks())
    with pytest.raises(LostProcess, match="another process of this training ended"), joined_ranks():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:537] Connection reset by peer")
    with pytest.raises(RuntimeError, match="a mistake"), joined_ranks():
        raise RuntimeError("a mistake of ours")

"""`attentio train --processes 2`: the losses of one process, and nothing lost where one is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attentio.corpora.small_world.sampling import sampled
from attentio.errors import LostProcess
from attentio.train.distributed import Ranks, is_restarted, is_started, joined_ranks

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


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_one_goes_on_alone(pairs: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(pairs, one, train__max_steps=20).returncode == 0
    done = run(pairs, two, "--processes", 2, "--json", train__max_steps=20)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)  # one process reports, and no line of another stands between
    assert (shown["steps"], shown["ended"]) == (20, "all steps done")
    assert losses(two) == pytest.approx(losses(one), abs=1e-4)
    assert not done.stderr.count("Traceback")
    more = run(pairs, two, train__max_steps=30)
    assert more.returncode == 0, more.stderr
    assert max(losses(two)) == 30


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


def children(parent: int) -> list[str]:
    return Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8").split()


@linux
@pytest.mark.slow
def test_after_a_process_is_killed_the_same_command_resumes(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = {"train__max_steps": 400, "train__save_every_seconds": 0.2, "train__evaluate_every": 1000}
    line = command(pairs, out, "--processes", 2, **settings)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 600
    while not list(out.glob("checkpoints/step-*/manifest.json")) and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.02)
    (second,) = [int(pid) for pid in children(process.pid) if rank_of(pid) == "1"]
    os.kill(second, signal.SIGKILL)
    _, told = process.communicate(timeout=600)
    assert process.returncode == LostProcess.exit_status, told
    # torchrun or the other process may notice first, and each says it in its words.
    assert re.search(r"of this training (was killed by signal 9|ended \(.*\))\. The same command resumes", told), told
    assert "Traceback" not in told
    reached = max(losses(out), default=0)
    assert reached < 400
    assert run(pairs, out, "--processes", 2, **settings).returncode == 0
    assert max(losses(out)) == 400


def test_one_process_is_its_own_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not is_started()
    with joined_ranks() as ranks:
        assert (ranks.rank, ranks.size, ranks.begin(True), ranks.begin(False)) == (0, 1, True, False)


def test_torchrun_says_that_it_started_a_process_and_whether_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for world, started in (("1", False), ("2", True)):
        monkeypatch.setenv("WORLD_SIZE", world)
        assert is_started() == started
    for count, again in (("0", False), ("2", True)):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
        assert is_restarted() == again


def test_only_a_process_that_goes_is_a_lost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("attentio.train.distributed.StartedByTorchrun", Ranks)
    with pytest.raises(LostProcess, match="another process of this training ended"), joined_ranks():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:537] Connection reset by peer")
    with pytest.raises(RuntimeError, match="a mistake"), joined_ranks():
        raise RuntimeError("a mistake of ours")

"""Faults at any moment: killed, interrupted, a disk that fails. The end is bit-identical, or one line says what to do.

A moment is any opening of a file to write, sync, rename, removal or new folder of a training, as Python's audit events
name them. Each training runs in a copy of this process, which is made fast and may be killed.
"""

import collections
import errno
import hashlib
import itertools
import multiprocessing
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.errors import AttentioError, LostProcess
from attentio.runtime.processes import AVAILABLE
from attentio.train import distributed
from attentio.train.distributed import joined_ranks
from attentio.train.run import run_training, train_files
from attentio.train.settings import effective_config, nested

SETTINGS = {
    "model.embedding_size": 4,
    "model.hidden_size": 4,
    "model.dropout": 0.1,
    "data.source_tokenizer": "char",
    "data.target_tokenizer": "char",
    "data.dev": 4,
    "data.test": 4,
    "train.max_steps": 3,
    "train.batch_tokens": 200,
    "train.warmup_steps": 1,
    "train.evaluate_every": 3,
    "train.evaluate_pairs": 1,
    "train.save_every_seconds": 1e-9,
    "train.device": "cpu",
}
ONE_LINE, TWO_LINES, INTERRUPTED = 70, 71, 72  # status of a process: what a training ended with
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="copies of a process")


def watch(folder: Path, act: Callable[[int], None]) -> Callable[[], int]:
    """Call `act(number)` before every change in `folder` that this process makes. Return what counts them."""
    count = [0]
    name = str(folder)

    def changed() -> None:
        count[0] += 1
        act(count[0])

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(path).startswith(name):
                changed()
        elif event in CHANGES and str(arguments[0]).startswith(name):
            changed()

    sync = os.fsync

    def synced(descriptor: int) -> None:
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith(name):
            changed()  # not written to the disk: that is slow, and a killed process loses nothing that it wrote
        else:
            sync(descriptor)

    os.fsync = synced
    sys.addaudithook(heard)
    return lambda: count[0]


def attempt(data: Path, out: Path, **settings: Any) -> int:
    try:
        train_files(data, out, preset="rnn-tiny", settings=SETTINGS | settings, say=lambda _: None)
    except AttentioError as error:
        return ONE_LINE if str(error).strip() and "\n" not in str(error) and error.hint else TWO_LINES
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def in_a_copy(work: Callable[[], int]) -> int:
    """Do `work` in a copy of this process. Return the status that it gave, or minus the signal that ended it."""
    process = multiprocessing.get_context("fork").Process(target=lambda: os._exit(work()))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def digest(out: Path) -> str:
    return hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(30, 5)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """The digest of the model of a training that nothing disturbed, and how many moments the training has."""
    out = tmp_path_factory.mktemp("whole") / "run"
    counted = out.with_suffix(".count")

    def work() -> int:
        count = watch(out, lambda _: None)
        status = attempt(data, out)
        counted.write_text(str(count()), encoding="ascii")
        return status

    assert in_a_copy(work) == 0
    return digest(out), int(counted.read_text(encoding="ascii"))


def killed(data: Path, out: Path, stop: signal.Signals, moment: int) -> int:
    def work() -> int:
        watch(out, lambda number: os.kill(os.getpid(), stop) if number == moment else None)
        return attempt(data, out)

    return in_a_copy(work)


def kill_often(data: Path, out: Path, whole: tuple[str, int], count: int, seed: int) -> collections.Counter[str]:
    """Disturb trainings `count` times, each time going on where the last one ended, and compare every end."""
    wanted, moments = whole
    draw, found = random.Random(seed), collections.Counter[str]()
    stops = [signal.SIGKILL] * 5 + [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    while found.total() < count:
        stop = draw.choice(stops)
        status = killed(data, out, stop, draw.randint(1, moments // 2))
        if status == 0:  # it ended before that moment
            assert digest(out) == wanted
            shutil.rmtree(out)
            continue
        # Signals are caught while a model is trained: before that they end the process, as they end any.
        assert status == -stop or (status == INTERRUPTED and stop is not signal.SIGKILL), (stop, status)
        found[stop.name] += 1
    assert in_a_copy(lambda: attempt(data, out)) == 0
    assert digest(out) == wanted
    return found


def failing(data: Path, out: Path, number: int, moment: int, *, lasting: bool) -> int:
    """Let the change number `moment` fail, or all from there on, then mend the disk and repeat the command."""
    broken = [True]

    def act(count: int) -> None:
        if broken[0] and (count == moment or (lasting and count > moment)):
            raise OSError(number, os.strerror(number))

    def work() -> int:
        watch(out, act)
        status = attempt(data, out)
        broken[0] = False
        if status not in (0, ONE_LINE):
            return status
        return attempt(data, out)

    return in_a_copy(work)


def fail_each(data: Path, out: Path, whole: tuple[str, int], moments: range) -> int:
    """Let each of the moments fail, by a full disk or a broken one, once or from there on. Return how many did."""
    kinds = list(itertools.product((errno.ENOSPC, errno.EIO), (False, True)))
    for moment in moments:
        number, lasting = kinds[moment % len(kinds)]
        where = f"change {moment}, {errno.errorcode[number]}, {'from there on' if lasting else 'once'}"
        status = failing(data, out, number, moment, lasting=lasting)
        assert status == 0, f"{where}: status {status}"
        assert digest(out) == whole[0], where
        shutil.rmtree(out)
    return len(moments)


@pytest.mark.slow
def test_killed_or_interrupted_at_random_moments(data: Path, tmp_path: Path, whole: tuple[str, int]) -> None:
    assert kill_often(data, tmp_path / "run", whole, 6, seed=1).total() == 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 5))
def test_killed_or_interrupted_210_times(data: Path, tmp_path: Path, whole: tuple[str, int], seed: int) -> None:
    found = kill_often(data, tmp_path / "run", whole, 70, seed)
    print(f"{found.total()} faults: {dict(found)}")
    assert found["SIGKILL"] > 30


@pytest.mark.slow
def test_a_write_that_fails(data: Path, tmp_path: Path, whole: tuple[str, int]) -> None:
    middle = whole[1] // 2
    assert fail_each(data, tmp_path / "run", whole, range(middle, middle + 4)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_every_write_fails_in_turn(data: Path, tmp_path: Path, whole: tuple[str, int], part: int) -> None:
    moments = range(1 + part * whole[1] // 4, 1 + (part + 1) * whole[1] // 4)
    print(f"{fail_each(data, tmp_path / 'run', whole, moments)} faults: writes that fail")


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def two_ranks(data: Path, out: Path, *, victim: int | None, moment: int) -> list[int]:
    """Train in two processes, of which `victim` is killed at a moment (rank 0) or while it waits (rank 1)."""
    port = free_port()
    settings = SETTINGS | {"model.dropout": 0.0, "data.train": [str(data)]}
    config = effective_config(preset="rnn-tiny", settings=nested(settings), run=out)

    def work(rank: int) -> int:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in place.items()})
        if rank == 0 and victim is not None:
            watch(
                out,
                lambda number: (
                    os.kill(second.pid if victim else os.getpid(), signal.SIGKILL) if number == moment else None
                ),
            )
        try:
            with joined_ranks() as ranks:
                run_training(config, out, ranks=ranks)
        except LostProcess:
            os._exit(LostProcess.exit_status)  # at once: gloo's threads may wait for the lost one when they are ended
        return 0

    context = multiprocessing.get_context("fork")
    second = context.Process(target=lambda: os._exit(work(1)))
    second.start()
    first = context.Process(target=lambda: os._exit(work(0)))
    first.start()
    statuses: list[int] = []
    for process in (first, second):
        process.join(timeout=120)
        if process.exitcode is None:  # gloo may wait for the lost one for ever, and then torchrun kills it
            process.kill()
            process.join()
        assert process.exitcode is not None
        statuses.append(process.exitcode)
    return statuses


@pytest.mark.slow
def test_one_of_two_ranks_is_killed(
    data: Path, tmp_path: Path, whole: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "MEETING", timedelta(seconds=10))
    undisturbed, out, draw = tmp_path / "whole", tmp_path / "run", random.Random(3)
    assert two_ranks(data, undisturbed, victim=None, moment=0) == [0, 0]
    faults = 0
    while faults < 4:
        victim = draw.randrange(2)
        statuses = two_ranks(data, out, victim=victim, moment=draw.randint(whole[1] // 2, whole[1]))
        if statuses == [0, 0] or (victim == 1 and statuses[0] == 0):  # killed when all was done
            shutil.rmtree(out)
            continue
        assert statuses[victim] == -signal.SIGKILL, statuses
        # The second has nothing left to do where the first is killed at its last changes.
        assert statuses[1 - victim] in (LostProcess.exit_status, -signal.SIGKILL, 0 if victim == 0 else None), statuses
        faults += 1
    print(f"{faults} faults: one of two ranks killed")
    assert two_ranks(data, out, victim=None, moment=0) == [0, 0]
    assert digest(out) == digest(undisturbed)


def test_a_clock_that_jumps(
    data: Path, tmp_path: Path, whole: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, real = random.Random(4), time.time
    monkeypatch.setattr(time, "time", lambda: real() + draw.uniform(-1e8, 1e8))
    assert in_a_copy(lambda: attempt(data, tmp_path / "run")) == 0
    assert digest(tmp_path / "run") == whole[0]

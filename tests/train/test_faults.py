"""Faults at any moment: killed, interrupted, a disk that fails. The end is bit-identical, or one line says what to do.

A moment is any opening of a file to write, sync, rename, removal or new folder of a training, as Python's audit events
name them. Each training runs in a copy of this process, which is made fast and may be killed. The fixture `faults`
counts, and the end of the test run says how many there were.
"""

import collections
import contextlib
import ctypes
import errno
import hashlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.errors import AttentioError, LostProcess
from attentio.runtime.processes import AVAILABLE
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
WORKS = {"data": "preparing", "checkpoints": "saving", "model": "publishing"}
HANGS = 1200.0  # seconds after which a training hangs, also on a busy machine
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}

Faults: TypeAlias = collections.Counter[str]
Whole: TypeAlias = tuple[str, int]

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="copies of a process")


def watch(folder: Path, act: Callable[[int, str], None]) -> Callable[[], int]:
    """Call `act(number, work)` before every change in `folder` that this process makes. Return what counts them.

    work: preparing, saving (a checkpoint), publishing or other.
    """
    count = [0]
    name = str(folder)

    def changed(path: str) -> None:
        count[0] += 1
        (top,) = re.findall(r"^/?\.?(\w*)", path[len(name) :])
        act(count[0], WORKS.get(top, "other"))

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(path).startswith(name):
                changed(str(path))
        elif event in CHANGES and str(arguments[0]).startswith(name):
            changed(str(arguments[0]))

    sync = os.fsync

    def synced(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if path.startswith(name):
            changed(path)  # not written to the disk: that is slow, and a killed process loses nothing that it wrote
        else:
            sync(descriptor)

    os.fsync = synced
    sys.addaudithook(heard)
    return lambda: count[0]


def attempt(data: Path, out: Path, *, overwrite: bool = False) -> int:
    try:
        train_files(data, out, preset="rnn-tiny", settings=SETTINGS, overwrite=overwrite, say=lambda _: None)
    except AttentioError as error:
        return ONE_LINE if str(error).strip() and "\n" not in str(error) and error.hint else TWO_LINES
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def in_a_copy(work: Callable[[], int]) -> int:
    """Do `work` in a copy of this process. Return the status that it gave, or minus the signal that ended it."""
    process = multiprocessing.get_context("fork").Process(target=lambda: os._exit(work()))
    process.start()
    return ended(process)


def ended(process: Any, seconds: float = HANGS) -> int:
    """Wait for a process, and kill it where it does not end. Return its status."""
    process.join(timeout=seconds)
    if hung := process.exitcode is None:
        process.kill()
        process.join()
    assert not hung, f"a training hung for {seconds:.0f} seconds"
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
        count = watch(out, lambda *_: None)
        status = attempt(data, out)
        counted.write_text(str(count()), encoding="ascii")
        return status

    assert in_a_copy(work) == 0
    return digest(out), int(counted.read_text(encoding="ascii"))


def killer(out: Path, stop: signal.Signals, moment: int, pid: Callable[[], int]) -> Callable[[int, str], None]:
    """Return what sends a signal at a moment, and leaves beside `out` what was being done."""

    def act(number: int, work: str) -> None:
        if number == moment:
            out.with_suffix(".work").write_text(work, encoding="ascii")
            os.kill(pid(), stop)

    return act


def killed(data: Path, out: Path, stop: signal.Signals, moment: int) -> int:
    def work() -> int:
        watch(out, killer(out, stop, moment, os.getpid))
        return attempt(data, out)

    return in_a_copy(work)


def kill_often(data: Path, out: Path, whole: Whole, count: int, seed: int, faults: Faults) -> None:
    """Disturb trainings `count` times, each time going on where the last one ended, and compare every end."""
    wanted, moments = whole
    draw, number = random.Random(seed), 0
    stops = [signal.SIGKILL] * 5 + [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    while number < count:
        stop = draw.choice(stops)
        status = killed(data, out, stop, draw.randint(1, moments // 2))
        if status == 0:  # it ended before that moment
            assert digest(out) == wanted
            shutil.rmtree(out)
            continue
        # Signals are caught while a model is trained: before that they end the process, as they end any.
        assert status == -stop or (status == INTERRUPTED and stop is not signal.SIGKILL), (stop, status)
        faults[f"{stop.name} while {out.with_suffix('.work').read_text(encoding='ascii')}"] += 1
        number += 1
    assert in_a_copy(lambda: attempt(data, out)) == 0
    assert digest(out) == wanted


def failing(data: Path, out: Path, number: int, moment: int, *, lasting: bool) -> int:
    """Let the change number `moment` fail, or all from there on, then mend the disk and repeat the command."""
    broken = [True]

    def act(count: int, _work: str) -> None:
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


def fail_each(data: Path, out: Path, whole: Whole, moments: range, faults: Faults) -> None:
    """Let each of the moments fail, by a full disk and by a broken one, by turns once and from there on."""
    for moment, number in itertools.product(moments, (errno.ENOSPC, errno.EIO)):
        lasting = (moment + number) % 2 == 0  # one of the two numbers is even
        where = f"change {moment}, {errno.errorcode[number]}, {'from there on' if lasting else 'once'}"
        status = failing(data, out, number, moment, lasting=lasting)
        assert status == 0, f"{where}: status {status}"
        assert digest(out) == whole[0], where
        faults[errno.errorcode[number]] += 1
        shutil.rmtree(out)


@pytest.mark.slow
def test_killed_or_interrupted_at_random_moments(data: Path, tmp_path: Path, whole: Whole, faults: Faults) -> None:
    kill_often(data, tmp_path / "run", whole, 6, 1, faults)
    assert faults.total() == 6


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 5))
def test_killed_or_interrupted_210_times(data: Path, tmp_path: Path, whole: Whole, faults: Faults, seed: int) -> None:
    kill_often(data, tmp_path / "run", whole, 70, seed, faults)
    for work in ("preparing", "saving"):  # publishing has few moments, and not every seed meets one
        assert faults[f"SIGKILL while {work}"]


@pytest.mark.long
def test_killed_at_every_moment_in_turn(data: Path, tmp_path: Path, whole: Whole, faults: Faults) -> None:
    out = tmp_path / "run"
    for moment in range(1, whole[1] + 1):
        assert killed(data, out, signal.SIGKILL, moment) == -signal.SIGKILL
        assert in_a_copy(lambda: attempt(data, out)) == 0, f"after moment {moment}"
        assert digest(out) == whole[0], f"after moment {moment}"
        faults[f"SIGKILL while {out.with_suffix('.work').read_text(encoding='ascii')}"] += 1
        shutil.rmtree(out)
    assert all(faults[f"SIGKILL while {work}"] for work in WORKS.values())


@pytest.mark.slow
def test_a_write_that_fails(data: Path, tmp_path: Path, whole: Whole, faults: Faults) -> None:
    middle = whole[1] // 2
    fail_each(data, tmp_path / "run", whole, range(middle, middle + 2), faults)
    assert faults.total() == 4


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_every_write_fails_in_turn(data: Path, tmp_path: Path, whole: Whole, faults: Faults, part: int) -> None:
    moments = range(1 + part * whole[1] // 4, 1 + (part + 1) * whole[1] // 4)
    fail_each(data, tmp_path / "run", whole, moments, faults)


def own_mounts() -> None:
    """Let what this process mounts be seen by it alone. Raises OSError where it may not mount."""
    new_namespace = 0x20000  # CLONE_NEWNS of Linux
    if sys.platform != "linux" or ctypes.CDLL(None, use_errno=True).unshare(new_namespace):
        raise OSError(ctypes.get_errno(), "no mounts of its own")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True, capture_output=True)


def on_a_small_disk(data: Path, out: Path, wanted: str, kilobytes: int) -> int:
    """Train on a disk of that size, then on a large one. Return the status: of the first training where both end well.

    The disk is a tmpfs, so that the kernel refuses what does not fit, in the middle of a file too.
    """

    def mount(*options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", out.parent], check=True)

    def work() -> int:
        own_mounts()
        mount(f"size={kilobytes}k")
        small = attempt(data, out)
        mount("remount", "size=64m")
        large = attempt(data, out)
        return small if large == 0 and digest(out) == wanted else TWO_LINES

    return in_a_copy(work)


@pytest.mark.slow
def test_a_disk_that_is_full(data: Path, tmp_path: Path, whole: Whole, faults: Faults) -> None:
    def may_mount() -> int:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            own_mounts()
            return 0
        return 1

    if in_a_copy(may_mount):
        pytest.skip("this user may not mount a disk")
    (tmp_path / "disk").mkdir()
    statuses = list[int]()
    for kilobytes in range(4, 4000, 24):
        statuses.append(on_a_small_disk(data, tmp_path / "disk" / "run", whole[0], kilobytes))
        if statuses[-1] == 0:
            break
        faults["tmpfs that is full"] += 1
    assert statuses == [ONE_LINE] * (len(statuses) - 1) + [0]


def train_twice(data: Path, out: Path, moment: int, wait: float, *, overwrite: bool) -> list[int]:
    """Let a second training begin in the folder of a first one, when that is at a moment. Return the status of each.

    wait: seconds that the first one stays at that moment.
    """
    fork = multiprocessing.get_context("fork")
    reached = fork.Event()

    def act(number: int, work: str) -> None:
        if number == moment:
            out.with_suffix(".work").write_text(work, encoding="ascii")
            reached.set()
            time.sleep(wait)

    def first() -> int:
        watch(out, act)
        return attempt(data, out)

    def second() -> int:
        return attempt(data, out, overwrite=overwrite) if reached.wait(HANGS) else TWO_LINES

    processes = [fork.Process(target=lambda work=work: os._exit(work())) for work in (first, second)]
    for process in processes:
        process.start()
    return [ended(process) for process in processes]


def disturb_each_other(data: Path, out: Path, whole: Whole, count: int, faults: Faults) -> None:
    """Let `count` times two trainings meet in one folder. One trains, and the other trains after it or is refused."""
    draw = random.Random(9)
    for _ in range(count):
        wait, overwrite = draw.uniform(0, 0.2), draw.random() < 0.5
        statuses = train_twice(data, out, draw.randint(1, whole[1]), wait, overwrite=overwrite)
        assert sorted(statuses) in ([0, 0], [0, ONE_LINE]), statuses
        assert digest(out) == whole[0]
        faults[f"second process while {out.with_suffix('.work').read_text(encoding='ascii')}"] += 1
        shutil.rmtree(out)


@pytest.mark.slow
def test_two_processes_in_one_folder(data: Path, tmp_path: Path, whole: Whole, faults: Faults) -> None:
    disturb_each_other(data, tmp_path / "run", whole, 3, faults)
    assert faults.total() == 3


@pytest.mark.long
def test_two_processes_in_one_folder_60_times(data: Path, tmp_path: Path, whole: Whole, faults: Faults) -> None:
    disturb_each_other(data, tmp_path / "run", whole, 60, faults)


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def two_ranks(data: Path, out: Path, *, victim: int = 0, moment: int = 0) -> list[int]:
    """Train in two processes, of which `victim` is killed at a moment of the first. Return the status of each.

    The other is treated as by torchrun: SIGTERM, and SIGKILL where it does not end, for gloo may wait for ever.
    """
    port = free_port()
    config = effective_config(preset="rnn-tiny", settings=nested(SETTINGS | {"data.train": [str(data)]}), run=out)

    def work(rank: int) -> int:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in place.items()})
        if rank == 0:
            watch(out, killer(out, signal.SIGKILL, moment, lambda: processes[1].pid if victim else os.getpid()))
        try:
            with joined_ranks() as ranks:
                run_training(config, out, ranks=ranks)
        except LostProcess:
            return LostProcess.exit_status
        return 0

    fork = multiprocessing.get_context("fork")
    processes: list[Any] = [fork.Process(target=lambda rank=rank: os._exit(work(rank))) for rank in range(2)]
    for process in reversed(processes):
        process.start()
    end = time.monotonic() + HANGS
    while all(process.exitcode is None for process in processes):
        assert time.monotonic() < end, "both hang"
        multiprocessing.connection.wait([process.sentinel for process in processes], timeout=1)
    if any(process.exitcode for process in processes):
        for send in ("terminate", "kill"):
            for process in processes:
                process.join(timeout=1)
                if process.exitcode is None:
                    getattr(process, send)()
    return [ended(process) for process in processes]


def kill_one_of_two(
    data: Path, out: Path, undisturbed: str, moments: int, count: int, seed: int, faults: Faults
) -> None:
    """Kill one of two ranks `count` times, each time going on where the last training ended. Compare every end."""
    draw, number = random.Random(seed), 0
    while number < count:
        victim = draw.randrange(2)
        out.with_suffix(".work").unlink(missing_ok=True)
        statuses = two_ranks(data, out, victim=victim, moment=draw.randint(1, moments // 2))
        if out.with_suffix(".work").exists():
            assert statuses[victim] in (-signal.SIGKILL, 0), statuses  # the second may have done its part before
            assert statuses[1 - victim] in (0, LostProcess.exit_status, -signal.SIGTERM, -signal.SIGKILL), statuses
        if out.with_suffix(".work").exists() and statuses[victim]:
            faults[f"SIGKILL of rank {victim} while {out.with_suffix('.work').read_text(encoding='ascii')}"] += 1
            number += 1
        elif statuses == [0, 0]:
            assert digest(out) == undisturbed
            shutil.rmtree(out)
    assert two_ranks(data, out) == [0, 0]
    assert digest(out) == undisturbed


@pytest.fixture
def undisturbed(data: Path, tmp_path: Path) -> str:
    """The digest of the model that two ranks train."""
    assert two_ranks(data, tmp_path / "undisturbed") == [0, 0]
    return digest(tmp_path / "undisturbed")


@pytest.mark.slow
def test_one_of_two_ranks_is_killed(data: Path, tmp_path: Path, whole: Whole, undisturbed: str, faults: Faults) -> None:
    kill_one_of_two(data, tmp_path / "run", undisturbed, whole[1], 2, 3, faults)
    assert faults.total() == 2


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4, 8))
def test_one_of_two_ranks_is_killed_200_times(
    data: Path, tmp_path: Path, whole: Whole, undisturbed: str, faults: Faults, seed: int
) -> None:
    kill_one_of_two(data, tmp_path / "run", undisturbed, whole[1], 50, seed, faults)


def test_a_clock_that_jumps(
    data: Path, tmp_path: Path, whole: Whole, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, real = random.Random(4), time.time
    monkeypatch.setattr(time, "time", lambda: real() + draw.uniform(-1e8, 1e8))  # in the copy, too
    assert in_a_copy(lambda: attempt(data, tmp_path / "run")) == 0
    assert digest(tmp_path / "run") == whole[0]
    faults["clock that jumps"] += 1


@pytest.mark.slow
def test_a_clock_that_jumps_between_two_trainings(
    data: Path, tmp_path: Path, whole: Whole, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is killed. The second has another time, and so have the files that the first left."""
    draw, real, out = random.Random(5), time.time, tmp_path / "run"
    for _ in range(6):
        assert killed(data, out, signal.SIGKILL, draw.randint(1, whole[1])) == -signal.SIGKILL
        jump = draw.uniform(-1e8, 1e8)
        for path in out.rglob("*"):
            os.utime(path, (real() + draw.uniform(-1e8, 1e8),) * 2)
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda jump=jump: real() + jump)
            assert in_a_copy(lambda: attempt(data, out)) == 0
        assert digest(out) == whole[0]
        faults["clock that jumps"] += 1
        shutil.rmtree(out)

"""Threads sleep while they wait on a busy machine, spin on a quiet one, and compute the same either way."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attentio.runtime import waiting
from attentio.runtime.waiting import BUSY, QUIET, QUIET_POLLS, Mode, Sleepers, Turns, Watch, read_turns, turns_between

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how long threads waited")
shares = st.floats(0, 1)


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether it becomes true: the limit is for a machine that is very busy."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@given(st.lists(shares, max_size=60))
def test_threads_spin_again_only_after_a_long_quiet(polls: list[float]) -> None:
    mode, quiet = Mode(), 0
    for share in polls:
        before, mode = mode, mode.after(share)
        quiet = quiet + 1 if share < QUIET else 0
        if share >= BUSY:
            assert mode.sleeping
        elif not before.sleeping:
            assert not mode.sleeping
        elif not mode.sleeping:
            assert quiet >= QUIET_POLLS
    assert Mode(sleeping=True).after(QUIET).sleeping


def test_quiet_polls_count_only_in_a_row() -> None:
    mode = Mode(sleeping=True)
    for _ in range(QUIET_POLLS - 1):
        mode = mode.after(0.0)
    assert mode.after((BUSY + QUIET) / 2) == Mode(sleeping=True)
    assert mode.after(0.0) == Mode()


def test_turns_of_new_and_ended_threads() -> None:
    before = {"1": Turns(5.0, 1.0), "2": Turns(9.0, 9.0), "3": Turns(7.0, 0.0)}
    after = {"1": Turns(6.0, 3.0), "3": Turns(0.5, 0.25), "4": Turns(1.0, 0.5)}  # 2 ended; 3 ended and came again
    assert turns_between(before, after) == Turns(2.5, 2.75)
    assert Turns(1.0, 3.0).share == 0.75
    assert Turns(0.0, 0.0).share == 0.0


def test_a_system_that_does_not_say_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_turns(tmp_path / "nowhere") == {}
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "schedstat").write_text("no numbers here")
    assert read_turns(tmp_path) == {}
    monkeypatch.setattr(waiting, "read_turns", lambda: {})
    watch, before = Watch(), threading.active_count()
    with watch.work():
        assert threading.active_count() == before


@linux
def test_this_process_has_turns() -> None:
    before = read_turns()
    sum(range(2_000_000))
    assert turns_between(before, read_turns()).ran > 0


@linux
def test_sleepers_are_threads_that_end() -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208

    torch.zeros(1 << 16).add_(1)  # PyTorch's own threads are there already
    before = count()
    sleepers = Sleepers(5)
    assert count() >= before + 5
    sleepers.end()
    assert wait_until(lambda: count() <= before)


@linux
@pytest.mark.usefixtures("two_threads")
def test_a_busy_machine_makes_threads_sleep_and_a_quiet_one_lets_them_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = [0.0]

    def read() -> dict[str, Turns]:
        lacking[0] += share[0]
        return {"1": Turns(time.monotonic(), lacking[0])}

    share = [0.0]
    monkeypatch.setattr(waiting, "read_turns", read)
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(waiting, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(waiting, "SCARCE_SECONDS", 0.2)
    watch = Watch()
    x = torch.randn(300, 300, generator=torch.Generator().manual_seed(1))
    expected = x @ x
    with watch.work():
        assert not wait_until(lambda: watch.mode.sleeping, 0.2)
        assert watch.complaint() is None
        share[0] = 1.0
        assert wait_until(lambda: watch.mode.sleeping)
        assert torch.equal(x @ x, expected)
        with watch.work(small=True):
            assert torch.get_num_threads() == 1
            assert torch.equal(x @ x, expected)
        assert torch.get_num_threads() == 2
        said: list[str] = []
        assert wait_until(lambda: bool(said.extend(filter(None, [watch.complaint()])) or said))
        assert "busy" in said[0]
        assert watch.complaint() is None  # once is enough
        share[0] = 0.0
        assert wait_until(lambda: not watch.mode.sleeping)
        share[0] = 1.0
        assert wait_until(lambda: watch.mode.sleeping)
    names = {"attentio-waiting", "attentio-sleepers"}
    assert wait_until(lambda: not names & {thread.name for thread in threading.enumerate()})
    assert not watch.mode.sleeping
    with watch.work():  # and it begins again
        assert wait_until(lambda: watch.mode.sleeping)

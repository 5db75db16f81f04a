"""Readers that go away and disks that fill up, in real processes."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from attentio.cli import main; main()"]


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As with `| head`: quiet, status 0."""
    reading, writing = os.pipe()
    with subprocess.Popen([*COMMAND, "config", "list"], stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        os.close(reading)
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


@pytest.mark.slow
def test_a_reader_that_goes_away_while_translating(tiny_run: Path) -> None:
    reading, writing = os.pipe()
    command = [*COMMAND, "translate", str(tiny_run), "--device", "cpu"]
    streams = {"stdin": subprocess.PIPE, "stdout": writing, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **streams, text=True) as process:
        os.close(writing)
        os.close(reading)
        _, err = process.communicate("I love you.\n")
    assert (process.returncode, err) == (0, "")


@pytest.mark.slow
def test_a_full_disk_behind_standard_output() -> None:
    full = Path("/dev/full")
    if not full.exists() or not stat.S_ISCHR(full.stat().st_mode):
        pytest.skip("this system has no /dev/full")
    with full.open("wb") as out:
        process = subprocess.run([*COMMAND, "config", "list"], stdout=out, stderr=subprocess.PIPE, text=True)
    assert process.returncode == 5
    assert process.stderr == "error: disk full. Free some space and try again.\n"


@pytest.mark.slow
@pytest.mark.parametrize(("words", "status"), [(["--version"], 0), (["nonsense"], 2)])
def test_a_program_that_ends_at_once_writes_all_and_tidies_up(words: list[str], status: int) -> None:
    code = "import atexit; atexit.register(print, 'tidied'); from attentio.cli import command; command()"
    process = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert process.returncode == status
    assert process.stdout.endswith("tidied\n")
    assert ("attentio" in process.stdout) == (status == 0)
    assert ("nonsense" in process.stderr) == (status == 2)


@pytest.mark.slow
def test_a_program_with_a_thread_at_work_waits_for_it() -> None:
    wait = "threading.main_thread().join(), time.sleep(0.1), print('done')"  # however long the command takes
    thread = f"import threading, time; threading.Thread(target=lambda: ({wait})).start()"
    code = f"{thread}; from attentio.cli import command; command()"
    process = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True)
    assert process.stdout.endswith("done\n")

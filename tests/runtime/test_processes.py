"""Fresh processes that run one function: answers, errors, the end of either side. `share_out` is tested with search."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from attentio.errors import DataError, ResourceError
from attentio.runtime.processes import JobError, Stopped, Workers, answer_of, done, job_of
from attentio.runtime.stop import StopRequest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def add(first: int, second: int) -> dict[str, int]:
    print("adding")
    return {"sum": first + second}


def fail(kind: str) -> None:
    errors = {
        "data": DataError("bad line.", hint="Mend it.", file="x.tsv"),
        "disk": ResourceError("disk full.", code="E_DISK_FULL"),
        "space": OSError(28, "No space left on device", "x.bin"),
    }
    raise errors.get(kind, ZeroDivisionError("division\nby zero"))


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def wait(mark: str) -> str:
    Path(mark).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(60)
    return "waited"


@pytest.fixture(autouse=True)
def _workers_find_these_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))


def test_the_answer_comes_back_and_stays_in_a_file(tmp_path: Path) -> None:
    answer = tmp_path / "deep" / "answer.json"
    assert Workers(StopRequest()).call(add, {"first": 2, "second": 3}, answer) == {"sum": 5}
    assert json.loads(answer.read_text(encoding="utf-8")) == {"answer": {"sum": 5}}
    assert answer.with_suffix(".log").read_text(encoding="utf-8") == "adding\n"


@pytest.mark.parametrize(
    ("kind", "error", "words", "status"),
    [
        ("data", JobError, "bad line. Mend it.", 3),
        ("disk", ResourceError, "disk full.", 5),
        ("space", ResourceError, "disk full while writing x.bin.", 5),
        ("bug", JobError, "internal: ZeroDivisionError: division by zero (see a.log).", 1),
    ],
)
def test_errors_come_back_in_their_own_words(kind: str, error: type[Exception], words: str, status: int) -> None:
    with pytest.raises(error) as caught:
        answer_of(json.loads(json.dumps(done(job_of(fail, {"kind": kind}, Path("a.json"))))))
    assert (str(caught.value), caught.value.exit_status) == (words, status)  # type: ignore[attr-defined]


def test_a_killed_worker_is_said(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="was ended by SIGKILL, as when memory runs out"):
        Workers(StopRequest()).call(die, {"number": signal.SIGKILL}, tmp_path / "a.json")


def test_who_was_asked_to_stop_starts_nothing_and_ends_what_runs(tmp_path: Path) -> None:
    stop = StopRequest()
    workers = Workers(stop)
    mark = tmp_path / "mark"

    def stop_once_begun() -> None:
        if mark.exists():
            stop.signal = signal.SIGTERM

    with pytest.raises(Stopped):
        workers.call(wait, {"mark": str(mark)}, tmp_path / "a.json", watch=stop_once_begun)
    mark.unlink()
    with pytest.raises(Stopped):
        workers.call(wait, {"mark": str(mark)}, tmp_path / "a.json")
    assert not mark.exists()


def test_giving_up_kills(tmp_path: Path) -> None:
    workers = Workers(StopRequest())
    workers.given_up.set()
    with pytest.raises(JobError, match="SIGKILL"):
        workers.call(wait, {"mark": str(tmp_path / "mark")}, tmp_path / "a.json")


def test_a_worker_ends_with_a_killed_parent_and_the_next_one_waits_for_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from test_processes import wait\n"
        "from attentio.runtime.processes import Workers; from attentio.runtime.stop import StopRequest\n"
        "Workers(StopRequest()).call(wait, {'mark': sys.argv[1]}, Path(sys.argv[2]))\n"
    )
    mark, answer = tmp_path / "mark", tmp_path / "a.json"
    with subprocess.Popen([sys.executable, "-c", script, str(mark), str(answer)]) as parent:
        until(lambda: mark.exists() and mark.read_text() != "")
        with pytest.raises(TimeoutError):  # held by the worker while it works
            FileLock(answer.with_suffix(".lock"), timeout=0.1).acquire()
        parent.kill()
    worker = int(mark.read_text())
    with FileLock(answer.with_suffix(".lock"), timeout=60):
        until(lambda: not alive(worker))
    assert not answer.exists()


def until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}").exists() and " Z " not in Path(f"/proc/{process}/stat").read_text()

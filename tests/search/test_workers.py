"""Work shared out among processes: every item once, errors said, and nothing left behind whatever happens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from attentio.errors import CancelledSearch, DataError, ResourceError
from attentio.model.seq2seq import Seq2Seq
from attentio.runtime import processes
from attentio.runtime.processes import AVAILABLE, share_out
from attentio.search import batched
from attentio.search.batched import Asked, SearchConfig, search, search_batches

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="processes are copied on Linux only")


def children() -> set[int]:
    """Process numbers of this process's children."""
    return {int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    before = children()
    yield
    assert children() == before


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_item_is_done_once(workers):
    found = dict(share_out(lambda item: (item * item, os.getpid()), range(3, 14), workers))
    assert [found[index][0] for index in range(11)] == [item * item for item in range(3, 14)]
    assert os.getpid() not in {process for _, process in found.values()}


@pytest.mark.slow
def test_more_workers_than_items_and_no_item():
    assert dict(share_out(str, [7], 4)) == {0: "7"}
    assert list(share_out(str, [], 2)) == []


def test_each_has_one_thread_and_sees_what_was_here():
    held = torch.arange(4)
    (found,) = [result for _, result in share_out(lambda _: (torch.get_num_threads(), held.sum().item()), [0], 1)]
    assert found == (1, 6)


def test_the_fastest_takes_the_most():
    def slow_first(item):
        time.sleep(0.4 if item == 0 else 0.0)
        return os.getpid()

    found = dict(share_out(slow_first, range(8), 2))
    assert list(found.values()).count(found[0]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("error", [DataError("bad line", hint="Mend it.", line=3), ValueError("no sense")])
def test_an_error_is_raised_here(error):
    def fails(item):
        if item == 2:
            raise error
        return item

    with pytest.raises(type(error)) as caught:
        list(share_out(fails, range(50), 2))
    assert str(caught.value) == str(error)
    if isinstance(error, DataError):
        assert caught.value.as_dict() == error.as_dict()
    else:
        assert "in fails" in "".join(caught.value.__notes__)  # where it happened


def test_a_killed_worker_is_said():
    def killed(item):
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(ResourceError, match="killed"):
        list(share_out(killed, range(4), 2))


def test_whoever_stops_early_leaves_no_worker():
    for _, _ in share_out(lambda _: time.sleep(0.01), range(1000), 2):
        break


def test_workers_do_not_outlive_a_killed_parent():
    script = (
        "import os, sys, time\n"
        "from attentio.runtime.processes import share_out\n"
        "for _, child in share_out(lambda item: (time.sleep(0.2), os.getpid())[1], range(1000), 2):\n"
        "    print(child, flush=True)\n"
    )
    pipe = subprocess.PIPE
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=pipe, stderr=pipe, text=True)
    assert parent.stdout is not None
    assert parent.stderr is not None
    workers = {int(parent.stdout.readline()) for _ in range(6)}
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while any(_alive(worker) for worker in workers):
        if time.monotonic() > deadline:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            pytest.fail("a worker goes on without its parent")
        time.sleep(0.05)
    assert parent.stderr.read() == ""
    parent.stderr.close()


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("beam", [1, 3])
def test_a_search_among_workers_finds_the_same(tiny_model: Seq2Seq, beam: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched, "SENTENCES_A_WORKER", 2)
    torch.manual_seed(5)
    sources = [torch.randint(3, 9, (length,)).tolist() for length in (1, 7, 3, 3, 0, 5, 2, 6, 4, 9, 1)]
    alone = search(tiny_model, sources, SearchConfig(beam))
    shared = search(tiny_model, sources, SearchConfig(beam, workers=2))
    for one, other in zip(alone, shared, strict=True):
        assert [found.tokens for found in other] == [found.tokens for found in one]
        assert [found.score for found in other] == pytest.approx([found.score for found in one], abs=1e-4)


@pytest.mark.slow
def test_weights_come_back_from_workers(tiny_model: Seq2Seq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched, "SENTENCES_A_WORKER", 2)
    sources = [[3] * (length % 5) for length in range(9)]
    alone = search(tiny_model, sources, SearchConfig(2), Asked(weights=True))
    shared = search(tiny_model, sources, SearchConfig(2, workers=2), Asked(weights=True))
    for (one, *_), (other, *_) in zip(alone, shared, strict=True):
        assert one.weights is not None
        assert other.weights is not None
        for name, weights in one.weights.source.items():
            np.testing.assert_allclose(other.weights.source[name], weights, atol=1e-5)


@pytest.mark.slow
def test_cancelling_stops_workers_at_work(tiny_model: Seq2Seq, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch is ever ready, so that only the watch can end it."""
    monkeypatch.setattr(batched, "SENTENCES_A_WORKER", 2)
    monkeypatch.setattr(batched, "decode", lambda *_, **__: time.sleep(60))
    began = time.monotonic()
    with pytest.raises(CancelledSearch):
        search(
            tiny_model,
            [[3]] * 9,
            SearchConfig(workers=2),
            Asked(cancelled=lambda: time.monotonic() > began + 0.3),
        )
    assert time.monotonic() < began + 20


@pytest.mark.slow
def test_workers_get_several_batches_each_within_the_budget(
    tiny_model: Seq2Seq, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched, "SENTENCES_A_WORKER", 2)
    sources = [[3, 4, 5]] * 48  # four positions each
    by_workers = [len(indices) for indices, _ in search_batches(tiny_model, sources, SearchConfig(workers=2))]
    assert by_workers == [8] * 6
    small = [len(indices) for indices, _ in search_batches(tiny_model, sources, SearchConfig(1, 1.0, 8, 2))]
    assert small == [2] * 24


def test_few_sentences_stay_here(tiny_model: Seq2Seq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "share_out", lambda *_, **__: pytest.fail("another process for two sentences"))
    assert len(search(tiny_model, [[3], [4, 5]], SearchConfig(workers=2))) == 2

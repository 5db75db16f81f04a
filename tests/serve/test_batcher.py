"""Batches: who shares one, in which order, and what happens to those who leave, wait too long or are at fault."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from attentio.errors import CancelledSearch
from attentio.serve.batcher import Batcher, BatchSizes
from attentio.serve.problems import Problem


class Panic(BaseException):
    """What a library in another language may raise."""


class Recorder:
    """Says texts backwards, and remembers the batches. A text `wait` waits until it is released or cancelled."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.release = threading.Event()
        self.began = threading.Event()
        self.cancelled = False

    def __call__(self, key: str, texts: Sequence[str], cancelled: Callable[[], bool]) -> list[str]:
        self.batches.append(list(texts))
        if "bad" in texts:
            raise ValueError("bad")
        if "panic" in texts:
            raise Panic
        if "wait" in texts:
            self.began.set()
            while not self.release.wait(0.005):
                if cancelled():
                    self.cancelled = True
                    raise CancelledSearch("cancelled")
        return [f"{key}{text[::-1]}" for text in texts]


def run(test: Callable[[Batcher[str, str], Recorder], Any], threads: int = 1, **sizes: Any) -> Recorder:
    recorder = Recorder()

    async def inside() -> None:
        batcher = Batcher[str, str](recorder, BatchSizes(**{"wait": 0.02} | sizes), threads=threads)
        batcher.start()
        try:
            await asyncio.wait_for(test(batcher, recorder), 20)
        finally:
            recorder.release.set()
            await batcher.close()

    with ThreadPoolExecutor(1) as thread:  # a browser of other tests keeps a loop in this one
        thread.submit(asyncio.run, inside()).result()
    return recorder


async def began(recorder: Recorder) -> None:
    while not recorder.began.is_set():
        await asyncio.sleep(0.002)


def test_requests_at_one_time_share_a_batch_and_get_their_own_answers() -> None:
    async def test(batcher: Batcher[str, str], _: Recorder) -> None:
        asked = [["ab", "c"], ["de"], ["fgh", "i", "jk"]]
        found = await asyncio.gather(*(batcher.submit("", texts, seconds=9) for texts in asked))
        assert found == [["ba", "c"], ["ed"], ["hgf", "i", "kj"]]
        assert await batcher.submit("", [], seconds=9) == []

    assert [sorted(batch) for batch in run(test).batches] == [["ab", "c", "de", "fgh", "i", "jk"]]


def test_other_keys_have_other_batches() -> None:
    async def test(batcher: Batcher[str, str], _: Recorder) -> None:
        asked = (batcher.submit(key, ["ab"], seconds=9) for key in ("x", "y", "x"))
        assert await asyncio.gather(*asked) == [["xba"], ["yba"], ["xba"]]

    assert [len(batch) for batch in run(test).batches] == [2, 1]


def test_a_short_request_does_not_wait_for_a_long_one() -> None:
    """Each has its turn in a batch, and batches keep to their sizes."""

    async def test(batcher: Batcher[str, str], _: Recorder) -> None:
        long = asyncio.create_task(batcher.submit("", [f"l{number}" for number in range(7)], seconds=9))
        await asyncio.sleep(0)
        short = asyncio.create_task(batcher.submit("", ["s"], seconds=9))
        await asyncio.wait({long, short}, return_when=asyncio.FIRST_COMPLETED)
        assert short.done()
        assert await long == [f"{number}l" for number in range(7)]

    batches = run(test, texts=3).batches
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert batches[0] == ["l0", "s", "l1"]


def test_characters_bound_a_batch_and_a_longer_text_has_one_to_itself() -> None:
    async def test(batcher: Batcher[str, str], _: Recorder) -> None:
        await batcher.submit("", ["aaaa", "bbb", "cccccccccccc", "dd"], seconds=9)

    assert run(test, characters=7).batches == [["aaaa", "bbb"], ["cccccccccccc"], ["dd"]]


def test_one_at_fault_spoils_no_other() -> None:
    async def test(batcher: Batcher[str, str], _: Recorder) -> None:
        asked = (batcher.submit("", texts, seconds=9) for texts in (["ab"], ["bad"], ["cd", "e"]))
        first, second, third = await asyncio.gather(*asked, return_exceptions=True)
        assert (first, third) == (["ba"], ["dc", "e"])
        assert isinstance(second, ValueError)
        assert await batcher.submit("", ["xy"], seconds=9) == ["yx"]

    run(test)


def test_a_library_that_panics_ends_no_worker() -> None:
    async def test(batcher: Batcher[str, str], _: Recorder) -> None:
        good, bad = await asyncio.gather(
            batcher.submit("", ["ab"], seconds=5), batcher.submit("", ["panic"], seconds=5), return_exceptions=True
        )
        assert good == ["ba"]
        assert str(bad) == "a library failed with Panic"
        assert await batcher.submit("", ["cd"], seconds=5) == ["dc"]

    run(test)


def test_a_deadline_ends_the_search_where_nobody_else_waits() -> None:
    async def test(batcher: Batcher[str, str], recorder: Recorder) -> None:
        with pytest.raises(Problem) as refused:
            await batcher.submit("", ["wait"], seconds=0.1)
        assert refused.value.status == 504
        assert await batcher.submit("", ["ab"], seconds=9) == ["ba"]
        assert recorder.cancelled

    run(test)


def test_a_deadline_of_one_leaves_the_others_their_batch() -> None:
    async def test(batcher: Batcher[str, str], recorder: Recorder) -> None:
        hasty = asyncio.create_task(batcher.submit("", ["wait"], seconds=0.1))
        patient = asyncio.create_task(batcher.submit("", ["ab"], seconds=9))
        with pytest.raises(Problem):
            await hasty
        await asyncio.sleep(0.05)  # for whoever would cancel the batch
        assert not patient.done()
        recorder.release.set()
        assert await patient == ["ba"]
        assert not recorder.cancelled

    run(test)


def test_whoever_hangs_up_is_not_translated() -> None:
    async def test(batcher: Batcher[str, str], recorder: Recorder) -> None:
        working = asyncio.create_task(batcher.submit("", ["wait"], seconds=9))
        await began(recorder)
        waiting = asyncio.create_task(batcher.submit("", ["gone"], seconds=9))
        await asyncio.sleep(0.01)
        assert batcher.waiting == 1
        for task in (waiting, working):
            task.cancel()
        await asyncio.gather(waiting, working, return_exceptions=True)
        assert batcher.waiting == 0
        assert await batcher.submit("", ["ab"], seconds=9) == ["ba"]

    recorder = run(test)
    assert recorder.cancelled
    assert recorder.batches == [["wait"], ["ab"]]


def test_batches_at_once_do_not_wait_for_each_other() -> None:
    async def test(batcher: Batcher[str, str], recorder: Recorder) -> None:
        long = asyncio.create_task(batcher.submit("", ["wait"], seconds=9))
        await began(recorder)
        assert await batcher.submit("", ["ab", "c"], seconds=9) == ["ba", "c"]
        assert not long.done()
        recorder.release.set()
        assert await long == ["tiaw"]

    assert run(test, threads=2).batches == [["wait"], ["ab", "c"]]


def test_a_full_queue_says_when_to_come_back() -> None:
    async def test(batcher: Batcher[str, str], recorder: Recorder) -> None:
        working = asyncio.create_task(batcher.submit("", ["wait"], seconds=9))
        await began(recorder)
        waiting = asyncio.create_task(batcher.submit("", ["a", "b", "c"], seconds=9))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await batcher.submit("", ["d", "e"], seconds=9)
        assert refused.value.status == 503
        assert int(refused.value.headers["Retry-After"]) >= 1
        recorder.release.set()
        assert await waiting == ["a", "b", "c"]
        await working

    assert run(test, waiting=4).batches == [["wait"], ["a", "b", "c"]]

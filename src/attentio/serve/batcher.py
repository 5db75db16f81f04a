"""Texts of many requests, translated together: what arrives within a few milliseconds shares a batch.

A request is a list of texts with a key that says how they are translated. Texts with equal keys may share a batch.
Each request that waits gets its turn in every batch, so that a long list does not keep out a short one. Inside a batch
the search sorts by length. Nothing here knows what translating is.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from attentio.errors import CancelledSearch
from attentio.serve.problems import Problem, full

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class BatchSizes(NamedTuple):
    """When a batch is full, and how much may wait.

    wait: seconds that a first text waits for company. texts, characters: what a batch holds at most. A longer text has
    a batch to itself. waiting: texts in the queue, after which requests are refused.
    """

    wait: float = 0.005
    texts: int = 64
    characters: int = 8_192
    waiting: int = 1_024


@dataclass(eq=False)
class _Request(Generic[Key, Answer]):
    key: Key
    texts: Sequence[str]
    answered: "asyncio.Future[None]"
    arrived: float = field(default_factory=time.monotonic)
    taken: int = 0  # texts that are in a batch, or were
    answers: dict[int, Answer] = field(default_factory=dict[int, Answer])
    gone: bool = False  # nobody waits any longer


class Batcher(Generic[Key, Answer]):
    """Share batches among requests.

    translate: gives the answers to texts with one key, and asks at every step whether it should stop. It is called in
    `threads` threads. begin: is called once in each of them. seen: is told, of every batch that is done, for how many
    seconds each of its texts waited until the batch began.
    """

    def __init__(
        self,
        translate: Callable[[Key, Sequence[str], Callable[[], bool]], Sequence[Answer]],
        sizes: BatchSizes | None = None,
        *,
        threads: int = 1,
        begin: Callable[[], object] = lambda: None,
        seen: Callable[[list[float]], object] = lambda _: None,
    ) -> None:
        self._translate = translate
        self._sizes = sizes or BatchSizes()
        self._threads = threads
        self._begin = begin
        self._seen = seen
        self._queue: deque[_Request[Key, Answer]] = deque()
        self._arrival = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._pool: ThreadPoolExecutor | None = None

    @property
    def waiting(self) -> int:
        """Return the number of texts that are in no batch yet."""
        return sum(len(request.texts) - request.taken for request in self._queue)

    def start(self) -> None:
        """Begin to work, in the event loop that runs."""
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="batch", initializer=self._begin)
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._threads)]

    async def close(self) -> None:
        """Stop working. Requests that still wait are abandoned."""
        for request in self._queue:
            request.gone = True
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def submit(self, key: Key, texts: Sequence[str], *, seconds: float) -> list[Answer]:
        """Return the answers to texts, in their order.

        seconds: how long they may take. Raises Problem where they take longer, or where too much waits already.
        What `translate` raises for one of the texts is raised here, and in no other request.
        """
        if not texts:
            return []
        if self._queue and self.waiting + len(texts) > self._sizes.waiting:
            waited = time.monotonic() - self._queue[0].arrived
            raise full("too many texts are waiting to be translated. Try again later.", waited)
        request = _Request[Key, Answer](key, texts, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self._arrival.set()
        try:
            async with asyncio.timeout(seconds):
                await request.answered
        except TimeoutError:
            raise Problem("late", f"the translation took longer than {seconds:g} seconds.") from None
        finally:  # also where whoever asked has gone
            request.gone = True
            if request in self._queue:
                self._queue.remove(request)
        return [request.answers[index] for index in range(len(texts))]

    async def _work(self) -> None:
        while True:
            if not self._queue:
                self._arrival.clear()
                await self._arrival.wait()
                await asyncio.sleep(self._sizes.wait)  # for company
            if taken := self._take():
                await self._answer(taken)

    def _take(self) -> list[tuple[_Request[Key, Answer], int]]:
        """Return the texts of the next batch, each as its request and its place there."""
        if not self._queue:
            return []
        key = self._queue[0].key
        alike = [request for request in self._queue if request.key == key]
        taken: list[tuple[_Request[Key, Answer], int]] = []
        characters = 0
        turns = deque(alike)
        while turns and len(taken) < self._sizes.texts:
            request = turns.popleft()
            length = len(request.texts[request.taken])
            if taken and characters + length > self._sizes.characters:
                break
            taken.append((request, request.taken))
            characters += length
            request.taken += 1
            if request.taken < len(request.texts):
                turns.append(request)
        others = [request for request in self._queue if request.key != key]
        self._queue = deque([*others, *(request for request in alike if request.taken < len(request.texts))])
        return taken

    async def _answer(self, taken: list[tuple[_Request[Key, Answer], int]]) -> None:
        began = time.monotonic()
        try:
            answers = await self._run(taken)
        except CancelledSearch:
            return  # nobody waits for any of them
        except Exception as error:
            requests = list(dict.fromkeys(request for request, _ in taken))
            if len(requests) == 1:
                requests[0].gone = True
                if not requests[0].answered.done():
                    requests[0].answered.set_exception(error)
                return
            for request in requests:  # one of them is at fault, and the others shall not suffer
                await self._answer([(each, index) for each, index in taken if each is request])
            return
        for (request, index), answer in zip(taken, answers, strict=True):
            request.answers[index] = answer
            if len(request.answers) == len(request.texts) and not request.answered.done():
                request.answered.set_result(None)
        self._seen([began - request.arrived for request, _ in taken])

    async def _run(self, taken: list[tuple[_Request[Key, Answer], int]]) -> Sequence[Answer]:
        requests = {request for request, _ in taken}
        texts = [request.texts[index] for request, index in taken]

        def cancelled() -> bool:
            return all(request.gone for request in requests)

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._guarded, taken[0][0].key, texts, cancelled)

    def _guarded(self, key: Key, texts: Sequence[str], cancelled: Callable[[], bool]) -> Sequence[Answer]:
        """Translate. What a library raises that is no Exception, as Rust's do, would end the worker."""
        try:
            return self._translate(key, texts, cancelled)
        except BaseException as error:
            if isinstance(error, Exception):
                raise
            raise RuntimeError(f"a library failed with {type(error).__name__}") from error

"""The outermost layer: reads bodies within bounds, counts and logs answers, and stops work that nobody waits for.

What is logged and counted is method, route, status and time. No text, no key and no address is.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attentio.serve.instruments import Instruments
from attentio.serve.problems import Problem

LOG = logging.getLogger("attentio.serve")
BODY_SECONDS = 30.0  # for a whole body to arrive
DRAINED = 32 << 20  # bytes over the limit that are read and dropped: a client that still writes would read no answer
OTHER = "other"  # the endpoint of what is at no known path
_METHODS = {"GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"}

Render = Callable[[Request, Problem], Response]


class Frontier:
    """Wrap an application.

    limit: gives the bytes that a body at a path may have. render: makes the answer to a problem at a path.
    headers: what every answer carries.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: Callable[[str], int],
        render: Render,
        instruments: Instruments,
        headers: Mapping[str, str],
    ) -> None:
        self._app = app
        self._limit = limit
        self._render = render
        self._instruments = instruments
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(send, self._headers)
        try:
            body = await self._body(scope, receive)
        except Problem as problem:
            answer = self._render(Request(scope), problem)
            answer.headers["Connection"] = "close"  # the rest of the body is not read
            await answer(scope, receive, exchange.send)
        else:
            if body is not None:
                await self._run(scope, body, receive, exchange)
        self._note(scope, exchange)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the whole body, or None where the client has gone. Raises Problem for one too large or too slow."""
        limit = self._limit(scope["path"])
        too_large = Problem("large", f"the request is larger than {limit:,} bytes.")
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared[:20]) > limit + DRAINED:
            raise too_large
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limit:
                        parts.clear()
                    if size > limit + DRAINED:
                        raise too_large
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise Problem("slow", "the request did not arrive in time.") from None
        if size > limit:
            raise too_large
        return b"".join(parts)

    async def _run(self, scope: Scope, body: bytes, receive: Receive, exchange: "_Exchange") -> None:
        """Run the application, and stop it where the client hangs up before the answer is complete."""
        gone = asyncio.ensure_future(_hung_up(receive))
        given = False

        async def replay() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            await asyncio.shield(gone)
            return {"type": "http.disconnect"}

        work = asyncio.ensure_future(self._guarded(scope, replay, exchange))
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and not exchange.complete:
            work.cancel()
            exchange.status = 499  # nobody saw it
        await asyncio.wait({work})
        gone.cancel()
        await asyncio.wait({gone})
        if not work.cancelled():
            work.result()

    async def _guarded(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:  # its message may hold text of a client, so only its place is logged
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = "" if place is None else f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
            LOG.error("internal: %s%s", type(error).__name__, where)
            if not exchange.status:
                problem = Problem("internal", "an error of the server. Its log says where.")
                await self._render(Request(scope), problem)(scope, receive, exchange.send)

    def _note(self, scope: Scope, exchange: "_Exchange") -> None:
        endpoint = str(getattr(scope.get("route"), "path", OTHER))
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        seconds = time.monotonic() - exchange.began
        status = exchange.status or 499
        self._instruments.requests.labels(endpoint, str(status)).inc()
        self._instruments.seconds.labels(endpoint).observe(seconds)
        LOG.info("%s %s %d %.0f ms", method, endpoint, status, 1000 * seconds)


class _Exchange:
    """One answer: its status, and whether all of it was sent."""

    def __init__(self, send: Callable[[Message], Awaitable[Any]], headers: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._headers = headers
        self.began = time.monotonic()
        self.status = 0
        self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
        elif not message.get("more_body"):
            self.complete = True
        await self._send(message)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

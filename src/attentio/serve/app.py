"""The server: dialects over one core, and what stands around them.

`attentio serve` and `attentio view --open` start it. This package needs the extra `serve`.
"""

import ipaddress
import re
import signal
import socket
import webbrowser
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from threading import Thread
from types import ModuleType
from urllib.parse import urlencode

from attentio.documents import Glossary, Memory
from attentio.errors import AttentioError, MissingExtra, UsageError
from attentio.serve.settings import HOST, Settings
from attentio.translator import Translator

try:
    import uvicorn
    from fastapi import FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, PlainTextResponse
    from starlette.exceptions import HTTPException
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from attentio.serve import deepl, immersive, libretranslate, openai, own, page
    from attentio.serve.forms import told
    from attentio.serve.frontier import Frontier
    from attentio.serve.guard import Guard
    from attentio.serve.languages import prepare
    from attentio.serve.problems import Kind, Problem
    from attentio.serve.server import Server
    from attentio.serve.service import Service
except ImportError as error:
    raise MissingExtra(f"serving needs more packages ({error}).", hint="pip install 'attentio[serve]'") from error

CONNECTIONS = 1_024  # open at once. More are told to come back
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_KINDS: Mapping[int, Kind] = {404: "missing", 405: "method"}


def create_app(
    translators: Mapping[str, Translator],
    settings: Settings | None = None,
    *,
    languages: Mapping[str, tuple[str, str]] | None = None,
    glossary: Glossary | None = None,
    memory: Memory | None = None,
) -> FastAPI:
    """Return the application for models by their names.

    languages: source and target of models that do not know theirs. glossary, memory: of the one pair that is served.
    """
    settings = settings or Settings()
    service = Service(translators, settings, languages=languages, glossary=glossary, memory=memory)
    server = Server(service, Guard(settings))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        service.batcher.start()
        Thread(target=prepare, daemon=True).start()
        yield
        await service.batcher.close()

    app = FastAPI(title="Attentio", docs_url=None, redoc_url=None, lifespan=lifespan)
    for dialect in (page, libretranslate, deepl, immersive, openai, own):
        app.include_router(dialect.router(server))
    _add_state(app, server)
    _add_refusals(app)
    if is_local(settings.host):  # a page of another site that points its name at this machine is refused
        names = [HOST, "localhost", "[::1]", settings.host, *settings.allowed_hosts]
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=names)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            max_age=86_400,
        )
    app.add_middleware(
        Frontier,
        limit=lambda path: settings.file_body if path == "/translate_file" else settings.body,
        render=_refuse,
        instruments=service.instruments,
        headers=_HEADERS,
    )
    return app


def _add_state(app: FastAPI, server: Server) -> None:

    @app.get("/health", tags=["state"])
    async def health() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        """Say that the process answers."""
        return {"status": "ok"}

    @app.get("/ready", tags=["state"], responses={503: {"description": "Not now"}})
    async def ready() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Say whether texts are taken: the models are loaded, and there is room in the queue."""
        waiting = server.service.batcher.waiting
        free = waiting < server.settings.waiting and bool(server.service.translators)
        return JSONResponse({"status": "ready" if free else "busy", "waiting": waiting}, 200 if free else 503)

    @app.get("/metrics", tags=["state"], response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Give counters for Prometheus."""
        server.guard.admit(request)
        return Response(server.service.instruments.shown(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_refusals(app: FastAPI) -> None:
    """Let every problem be said in the words of the dialect that was spoken."""

    @app.exception_handler(Problem)
    async def refuse(request: Request, problem: Problem) -> Response:  # pyright: ignore[reportUnusedFunction]
        return _refuse(request, problem)

    @app.exception_handler(AttentioError)
    async def refuse_error(_: Request, error: AttentioError) -> Response:  # pyright: ignore[reportUnusedFunction]
        return page.refuse_error(error)

    @app.exception_handler(RequestValidationError)
    async def refuse_form(request: Request, error: RequestValidationError) -> Response:  # pyright: ignore[reportUnusedFunction]
        # What was sent is not repeated: it may be text that no answer can hold.
        return _refuse(request, Problem("bad", told(error.errors())))

    @app.exception_handler(HTTPException)
    async def refuse_path(request: Request, error: HTTPException) -> Response:  # pyright: ignore[reportUnusedFunction]
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := _methods(app, request)):
            headers["Allow"] = ", ".join(methods)
        return _refuse(request, Problem(_KINDS.get(error.status_code, "bad"), str(error.detail), headers))


_PLACES: Sequence[tuple[str, ModuleType]] = (
    ("/v2/", deepl),
    ("/v1/", openai),
    ("/immersive", immersive),
    ("/api/v1/", own),
    ("/metrics", own),
    ("/static/", page),
)
_PAGE = ("/", "/models", "/look", "/erase")


def _methods(app: FastAPI, request: Request) -> list[str]:
    """Return the methods that are allowed at a path, which may have several routes."""
    found: set[str] = set()
    for path, item in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)), request.url.path):
            found |= {method.upper() for method in item}
    return sorted(found)


def _refuse(request: Request, problem: Problem) -> Response:
    return _dialect(request.url.path).refuse(request, problem)


def _dialect(path: str) -> ModuleType:
    """Return the module that answers at a path. LibreTranslate's stands at the root."""
    if path in _PAGE:
        return page
    return next((dialect for place, dialect in _PLACES if path.startswith(place)), libretranslate)


def is_local(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. port: 0 takes any free one. Raises UsageError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise UsageError(f"there is no address {host!r} on this machine.") from None
        if error.errno in (98, 48, 10048):  # EADDRINUSE of Linux, macOS and Windows
            raise UsageError(f"port {port} is taken.", hint="Choose another, or 0 for any free one.") from None
        raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror}.") from None


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn runs the application: without an access log, which would hold query strings, and so texts."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=30,
    )


def run(app: FastAPI, listening: socket.socket, settings: Settings) -> None:
    """Answer until SIGTERM or Ctrl-C. Requests that were accepted by then are answered first."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what uvicorn raises again when it has ended
    try:
        uvicorn.Server(server_config(app, settings)).run([listening])
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(
    translators: Mapping[str, Translator],
    *,
    port: int = 0,
    text: str = "",
    beam: int = 1,
    say: Callable[[str], object],
    open_browser: bool = False,
) -> None:
    """Serve the page until it is stopped, and say where.

    port: 0 takes any free one. text, beam: what the page begins with.
    Raises UsageError when the port is taken.
    """
    listening = listen(HOST, port)
    fragment = f"#{urlencode({'text': text, 'beam': beam})}" if text else ""
    address = f"http://{HOST}:{listening.getsockname()[1]}/{fragment}"
    say(f"page {address} (Ctrl-C stops it)\n")
    if open_browser:
        webbrowser.open(address)
    run(create_app(translators), listening, Settings())

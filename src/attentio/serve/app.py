"""The page that `attentio view --open` shows, and what it asks for: translations with traces, and erasure.

It answers on 127.0.0.1 only, to requests that were made for this machine, and nothing that it shows leaves it. What
is computed is the translator's. This module needs the extra `serve`.
"""

import webbrowser
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from attentio.errors import AttentioError, MissingExtra, UsageError
from attentio.metrics.faithfulness import rank_correlation
from attentio.search.batched import SearchConfig
from attentio.translator import Translator
from attentio.view.embed import packed, static

try:
    import uvicorn
    from fastapi import FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from pydantic import BaseModel, Field
    from starlette.middleware.trustedhost import TrustedHostMiddleware
except ImportError as error:
    raise MissingExtra(f"the page needs a server ({error}).", hint="pip install 'attentio[serve]'") from error

LONGEST = 5_000  # characters of a text
HOST = "127.0.0.1"
_FILES = {
    "attention-map.js": "text/javascript",
    "linked.js": "text/javascript",
    "page.js": "text/javascript",
    "page.css": "text/css",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Asked(BaseModel):
    """One sentence, and what is different about it.

    masked: source tokens, counted from 0, that the model reads as unknown.
    prefix: target tokens that every hypothesis begins with. For erasure, the whole target.
    """

    model: str
    text: str = Field(max_length=LONGEST)
    beam: Annotated[int, Field(ge=1, le=20)] = 1
    masked: list[int] = []
    prefix: list[str] = []


def create_app(translators: Mapping[str, Translator]) -> FastAPI:
    """Return the application for models by their names."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # A page of another site that points its name at this machine is refused.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])

    def asked_of(asked: Asked) -> Translator:
        if asked.model not in translators:
            raise UsageError(f"there is no model {asked.model!r}.")
        return translators[asked.model]

    @app.exception_handler(AttentioError)
    def refuse(_: Request, error: AttentioError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse({"error": error.as_dict()}, status_code=400)

    @app.exception_handler(RequestValidationError)
    def refuse_form(_: Request, error: RequestValidationError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        # What was sent is not repeated: it may be text that no answer can hold.
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return JSONResponse({"error": {"code": "E_USAGE", "message": ", ".join(told)}}, status_code=422)

    @app.middleware("http")
    async def protect(request: Request, go_on: Callable[[Request], Any]) -> Response:  # pyright: ignore[reportUnusedFunction]
        response: Response = await go_on(request)
        response.headers.update(_HEADERS)
        return response

    @app.get("/")
    def page() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(static("page.html"), media_type="text/html")

    @app.get("/static/{name}")
    def file(name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        if name not in _FILES:
            return Response(status_code=404)
        return Response(static(name), media_type=_FILES[name])

    @app.get("/models")
    def models() -> list[dict[str, str | None]]:  # pyright: ignore[reportUnusedFunction]
        return [
            {"name": name, "source": each.source_language, "target": each.target_language}
            for name, each in translators.items()
        ]

    @app.post("/look")
    def look(asked: Asked) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        config = SearchConfig(asked.beam)
        found = asked_of(asked).hypotheses(asked.text, config, masked=asked.masked, prefix=asked.prefix)
        hypotheses = [
            {"text": one.text, "score": one.score, "trace": packed(one.trace, name=asked.model)}
            for one in found
            if one.trace is not None
        ]
        return {"hypotheses": hypotheses}

    @app.post("/erase")
    def erase(asked: Asked) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        translator = asked_of(asked)
        (forced,) = translator.hypotheses(asked.text, masked=asked.masked, prefix=asked.prefix)
        assert forced.trace is not None
        fall = translator.erasure(forced.trace, masked=asked.masked)
        length = len(asked.prefix) or len(fall)
        free = [place for place in range(fall.shape[1] - 1) if place not in asked.masked]  # without end-of-sentence
        correlation = {
            layer: rank_correlation(forced.trace.matrix(layer)[:length, free], fall[:length, free])
            for layer in forced.trace.layers
        }
        return {"erasure": fall[:length].tolist(), "correlation": correlation}

    return app


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
    config = uvicorn.Config(create_app(translators), host=HOST, port=port, log_level="warning")
    try:
        socket = config.bind_socket()
    except SystemExit:
        raise UsageError(f"port {port} is taken.", hint="Choose another, or 0 for any free one.") from None
    fragment = f"#{urlencode({'text': text, 'beam': beam})}" if text else ""
    address = f"http://{HOST}:{socket.getsockname()[1]}/{fragment}"
    say(f"page {address} (Ctrl-C stops it)\n")
    if open_browser:
        webbrowser.open(address)
    uvicorn.Server(config).run([socket])

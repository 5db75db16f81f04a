"""The page at `/`: a dialect of its own, for translations with traces, and for erasure."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from attentio.errors import AttentioError, UsageError
from attentio.metrics.faithfulness import rank_correlation
from attentio.search.batched import SearchConfig
from attentio.serve.problems import Problem
from attentio.serve.server import Server
from attentio.translator import Translator
from attentio.view.embed import packed, static

LONGEST = 5_000  # characters of a text
_FILES = ("attention-map.js", "form.js", "linked.js", "page.js", "form.css", "page.css")
_STATUS = {"bad": 422, "wrong key": 401}


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


def router(server: Server) -> APIRouter:
    """Return the routes of the page. Where keys are needed, a browser asks its user for one."""
    translators = server.service.translators

    def admit(request: Request) -> None:
        server.guard.admit(request)

    routes = APIRouter(dependencies=[Depends(admit)], include_in_schema=False)

    def asked_of(asked: Asked) -> Translator:
        if asked.model not in translators:
            raise UsageError(f"there is no model {asked.model!r}.")
        return translators[asked.model]

    @routes.get("/")
    def page() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(static("page.html"), media_type="text/html")

    @routes.get("/static/{name}")
    def file(name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        if name not in _FILES:
            return Response(status_code=404)
        return Response(static(name), media_type="text/css" if name.endswith(".css") else "text/javascript")

    @routes.get("/models")
    def models() -> list[dict[str, str | None]]:  # pyright: ignore[reportUnusedFunction]
        return [
            {"name": name, "source": each.source_language, "target": each.target_language}
            for name, each in translators.items()
        ]

    @routes.post("/parts")
    def parts(asked: Asked) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        translator = asked_of(asked)
        sources = translator.sentences(asked.text)
        # One sentence is looked at in a moment, and need not be translated twice.
        found = translator.translate(sources, SearchConfig(asked.beam), split=False) if len(sources) > 1 else ()
        texts = [translation.text for translation in found] or [""] * len(sources)
        return {"parts": [{"source": source, "text": text} for source, text in zip(sources, texts, strict=True)]}

    @routes.post("/look")
    def look(asked: Asked) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        config = SearchConfig(asked.beam)
        found = asked_of(asked).hypotheses(asked.text, config, masked=asked.masked, prefix=asked.prefix)
        hypotheses = [
            {"text": one.text, "score": one.score, "trace": packed(one.trace, name=asked.model)}
            for one in found
            if one.trace is not None
        ]
        return {"hypotheses": hypotheses}

    @routes.post("/erase")
    def erase(asked: Asked) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        translator = asked_of(asked)
        (forced,) = translator.hypotheses(asked.text, masked=asked.masked, prefix=asked.prefix)
        assert forced.trace is not None
        fall = translator.erasure(forced.trace, masked=asked.masked)
        length = len(asked.prefix) or len(fall)
        free = [place for place in range(fall.shape[1] - 1) if place not in asked.masked]  # without end-of-sentence
        gradient = np.abs(translator.gradient_times_input(forced.trace))
        correlation = {
            layer: [rank_correlation(forced.trace.matrix(layer)[:length, free], fact[:length, free])
                    for fact in (fall, gradient)]
            for layer in forced.trace.layers
        }  # fmt: skip
        return {"erasure": fall[:length].tolist(), "gradient": gradient[:length].tolist(), "correlation": correlation}

    return routes


def refuse(_: Request, problem: Problem) -> Response:
    """Return a problem as the page shows it."""
    status = _STATUS.get(problem.kind, problem.status)
    headers = {**problem.headers, **({"WWW-Authenticate": 'Basic realm="key"'} if status == 401 else {})}
    return JSONResponse({"error": {"code": "E_USAGE", "message": problem.message}}, status, headers)


def refuse_error(error: AttentioError) -> Response:
    """Return an error that the user of the page can mend."""
    return JSONResponse({"error": error.as_dict()}, status_code=400)

"""The form that the browser extension Immersive Translate sends to a translator of one's own."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from attentio.serve.forms import json_object, validated
from attentio.serve.problems import Problem
from attentio.serve.schema import REFUSALS, answers, described, object_schema
from attentio.serve.server import Server


class Asked(BaseModel):
    """Texts, and the languages between which they are translated, in any spelling."""

    model_config = ConfigDict(strict=True)

    source_lang: str = "auto"
    target_lang: str = Field(min_length=1)
    text_list: list[str]


class Text(BaseModel):
    """One translation."""

    detected_source_lang: str
    text: str


class Answer(BaseModel):
    """All translations, in order."""

    translations: list[Text]


_REFUSALS: Any = answers(dict.fromkeys(REFUSALS, object_schema({"message": {"type": "string"}})))


def router(server: Server) -> APIRouter:
    service, guard = server.service, server.guard
    routes = APIRouter(tags=["Immersive Translate"])
    text = {"type": "string", "maxLength": server.settings.characters}
    schema = described(
        Asked,
        source_lang={"enum": ["auto", *service.sources]},
        target_lang={"enum": service.written},
        text_list={"items": text, "maxItems": server.settings.texts},
    )

    @routes.post("/immersive", openapi_extra=schema, responses=_REFUSALS)
    async def translate(request: Request) -> Answer:  # pyright: ignore[reportUnusedFunction]
        """Translate the texts of a page."""
        asked = validated(Asked, await json_object(request))
        guard.admit(request, cost=max(1, len(asked.text_list)))
        service.check_sizes(asked.text_list)
        pair, _ = await service.pair_for(asked.text_list, asked.source_lang, asked.target_lang)
        found = await service.translate(asked.text_list, pair)
        return Answer(translations=[Text(detected_source_lang=pair.source, text=each.text) for each in found])

    return routes


def refuse(_: Request, problem: Problem) -> Response:
    """Return a problem in one line."""
    return JSONResponse({"message": problem.message}, problem.status, problem.headers)

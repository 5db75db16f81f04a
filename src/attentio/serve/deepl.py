"""The parts of DeepL's API v2 that its own clients need: translate, languages, usage, glossaries.

Languages are written as DeepL writes them, in capitals. A target without a region, such as EN, is taken as well.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from attentio.serve.files import translate_html
from attentio.serve.forms import parameters, validated
from attentio.serve.glossaries import Glossaries, add_routes
from attentio.serve.guard import first_given
from attentio.serve.languages import name_of
from attentio.serve.problems import Kind, Problem
from attentio.serve.schema import REFUSALS, answers, body, object_schema
from attentio.serve.server import Server
from attentio.serve.service import Options

NO_LIMIT = 1_000_000_000_000  # characters: clients want a number
_STATUS: Mapping[Kind, int] = {"no key": 403}
_VARIANTS = {"en": ("EN-GB", "EN-US"), "pt": ("PT-PT",), "zh-Hans": ("ZH", "ZH-HANS")}  # of a target


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Asked(BaseModel):
    """Texts, and how they are translated. What changes style is refused where it asks for more than the default."""

    model_config = ConfigDict(strict=True)

    text: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    target_lang: str = Field(min_length=1)
    source_lang: str = ""
    glossary_id: str = ""
    tag_handling: Literal["html", "xml", ""] = ""
    split_sentences: Literal["0", "1", "nonewlines"] = "1"
    formality: Literal["default", "prefer_more", "prefer_less"] = "default"


_STRING, _INTEGER = {"type": "string"}, {"type": "integer"}
_ONE = object_schema({"detected_source_language": _STRING, "text": _STRING, "billed_characters": _INTEGER})
_TRANSLATED = object_schema({"translations": {"type": "array", "items": _ONE}})
_REFUSALS: Any = answers(dict.fromkeys(REFUSALS, object_schema({"message": _STRING})))
_LANGUAGES = {"type": "array", "items": object_schema({"language": _STRING, "name": _STRING})}
_USAGE = object_schema({"character_count": _INTEGER, "character_limit": _INTEGER})


def router(server: Server) -> APIRouter:
    service, guard = server.service, server.guard
    routes = APIRouter(tags=["DeepL"])
    glossaries = Glossaries()
    add_routes(routes, server, glossaries, _REFUSALS)
    text = {"type": "string", "maxLength": server.settings.characters}
    sources = [code.partition("-")[0].upper() for code in service.sources]
    translate_body = body(
        {
            "text": {
                "anyOf": [{"type": "array", "items": text, "minItems": 1, "maxItems": server.settings.texts}, text]
            },
            "target_lang": {"type": "string", "enum": [name for code in service.written for name in _names(code)]},
            "source_lang": {"type": "string", "enum": [*sources, ""]},
            "glossary_id": {"type": "string"},
            "tag_handling": {"type": "string", "enum": ["html", "xml", ""]},
            "split_sentences": {"type": "string", "enum": ["0", "1", "nonewlines"]},
            "formality": {"type": "string", "enum": ["default", "prefer_more", "prefer_less"]},
        },
        required=("text", "target_lang"),
    )

    @routes.post("/v2/translate", openapi_extra=translate_body, responses=answers({200: _TRANSLATED}) | _REFUSALS)
    async def translate(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Translate texts."""
        given = await parameters(request, lists=("text",))
        asked = validated(Asked, given)
        who = guard.admit(request, first_given(given), cost=len(asked.text))
        service.check_sizes(asked.text)
        pair, _ = await service.pair_for(asked.text, asked.source_lang or None, asked.target_lang)
        glossary = None
        if asked.glossary_id:
            kept, glossary = glossaries.get(who, asked.glossary_id)
            if not asked.source_lang or service.pair(kept.source_lang, kept.target_lang) != pair:
                raise Problem("bad", "a glossary needs its own source and target language.")
        options = Options(split=asked.split_sentences != "0", glossary=glossary)
        if asked.tag_handling:
            done = await translate_html(service, asked.text, pair, options)
        else:
            done = [each.text for each in await service.translate(asked.text, pair, options)]
        guard.used(who, sum(map(len, asked.text)))
        code = pair.source.partition("-")[0].upper()
        translations = [
            {"detected_source_language": code, "text": text, "billed_characters": len(given)}
            for given, text in zip(asked.text, done, strict=True)
        ]
        return JSONResponse({"translations": translations})

    @routes.get("/v2/languages", responses=answers({200: _LANGUAGES}) | _REFUSALS)
    async def languages(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """List the languages that are read, or with `type=target` those that are written."""
        given = await parameters(request)
        guard.admit(request, first_given(given))
        kind = given.get("type", "source")
        if kind not in ("source", "target"):
            raise Problem("bad", "type is source or target.")
        if kind == "source":
            listed = [{"language": code.partition("-")[0].upper(), "name": name_of(code)} for code in service.sources]
        else:
            listed = [
                {"language": variant, "name": name_of(code), "supports_formality": False}
                for code in service.written
                for variant in _names(code)
            ]
        return JSONResponse(listed)

    @routes.get("/v2/usage", responses=answers({200: _USAGE}) | _REFUSALS)
    async def usage(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Say how many characters this key, or this address, has had translated since the start."""
        who = guard.admit(request)
        return JSONResponse({"character_count": guard.used(who), "character_limit": NO_LIMIT})

    return routes


def _names(code: str) -> tuple[str, ...]:
    """Return how DeepL writes a language that is translated into."""
    return _VARIANTS.get(code, (code.upper(),))


def refuse(_: Request, problem: Problem) -> Response:
    """Return a problem as DeepL says it."""
    return JSONResponse({"message": problem.message}, _STATUS.get(problem.kind, problem.status), problem.headers)

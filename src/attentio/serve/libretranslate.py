"""The API of LibreTranslate, in the form that its clients expect, bodies and statuses alike.

It differs where LibreTranslate answers 500 to a mistake of the client: here it is 400. A form that repeats `q` asks for
a list, and limits say when to come back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from attentio.documents import Match, suffix_of
from attentio.serve.files import FORMATS, Shelf, translate_file, translate_html
from attentio.serve.forms import UNREADABLE, file_of, parameters
from attentio.serve.guard import first_given
from attentio.serve.languages import name_of
from attentio.serve.problems import Kind, Problem
from attentio.serve.schema import answers, body, object_schema
from attentio.serve.server import Server
from attentio.serve.service import Options
from attentio.translator import Translation

_STATUS: Mapping[Kind, int] = {"no key": 400}
_MESSAGES: Mapping[Kind, str] = {
    "no key": "Please contact the server operator to get an API key",
    "wrong key": "Invalid API key",
}
_SAMPLE = 4_000  # bytes of a file that decide its language
_KEY = {"description": "A key, where the server needs one."}
_TEXT = {"type": "string", "minLength": 1}
_STRING = {"type": "string"}
_DETECTED = object_schema({"confidence": {"type": "number", "minimum": 0, "maximum": 100}, "language": _STRING})
_ERROR = object_schema({"error": _STRING})
_REFUSALS = dict.fromkeys((400, 403, 408, 413, 429, 500, 503, 504), _ERROR)


def _or_list(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def router(server: Server) -> APIRouter:
    service, guard = server.service, server.guard
    routes = APIRouter(tags=["LibreTranslate"])

    text = {**_TEXT, "maxLength": server.settings.characters}
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": server.settings.texts}
    in_forms = {"q": {"anyOf": [text, texts]}, "format": {"type": "string", "enum": ["text", "html"]}}
    q = {"anyOf": [text, {**texts, "items": {**text, "minLength": 0}}]}
    codes = ["auto", *service.sources]
    source_code = {"type": "string", "enum": codes, "description": "Other spellings are read, too."}
    target_code = {"type": "string", "enum": service.written}
    translate_body = body(
        {
            "q": q,
            "source": source_code,
            "target": target_code,
            "format": {"enum": ["text", "html", None], "default": "text"},
            "alternatives": {"type": "integer", "maximum": server.settings.alternatives, "default": 0},
            "api_key": _KEY,
        },
        required=("q", "source", "target"),
        in_forms=in_forms,
    )
    translated = {
        "type": "object",
        "required": ["translatedText"],
        "properties": {
            "translatedText": _or_list(_STRING),
            "alternatives": {"type": "array"},
            "detectedLanguage": _or_list(_DETECTED),
        },
    }

    @routes.post("/translate", openapi_extra=translate_body, responses=answers({200: translated, **_REFUSALS}))
    async def translate(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Translate a text, or a list of texts."""
        given = await parameters(request, lists=("q",))
        texts, many = _texts_of(given)
        guard.admit(request, first_given(given), cost=len(texts))
        form = "text" if given.get("format") is None else given["format"]
        if form not in ("text", "html"):
            raise Problem("bad", f"{str(form)[:20]} format is not supported")
        alternatives = _alternatives_of(given, server.settings.alternatives)
        source, target = _code_of(given, "source"), _code_of(given, "target")
        service.check_sizes(texts)
        pair, detected = await service.pair_for(texts, source, target)
        answer: dict[str, Any] = {}
        if form == "html":
            done = await translate_html(service, texts, pair, Options())
            others = [list[str]() for _ in done]
        else:
            options = Options(nbest=alternatives + 1 if alternatives else 1)
            found = await service.translate(texts, pair, options)
            done = [each.text for each in found]
            others = [
                _others(each, await service.similar(text) if alternatives else (), alternatives)
                for text, each in zip(texts, found, strict=True)
            ]
        answer["translatedText"] = done if many else done[0]
        if alternatives:
            answer["alternatives"] = others if many else others[0]
        if detected is not None:
            shown = detected._asdict()
            answer["detectedLanguage"] = [shown] * len(texts) if many else shown
        return JSONResponse(answer)

    @routes.post(
        "/detect",
        openapi_extra=body({"q": q, "api_key": _KEY}, required=("q",), in_forms={"q": in_forms["q"]}),
        responses=answers({200: {"type": "array", "items": _DETECTED}, **_REFUSALS}),
    )
    async def detect(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Guess the language of a text, among those that are served."""
        given = await parameters(request, lists=("q",))
        texts, _ = _texts_of(given)
        guard.admit(request, first_given(given))
        service.check_sizes(texts)
        return JSONResponse([each._asdict() for each in await service.detect(texts)])

    language = object_schema({"code": _STRING, "name": _STRING, "targets": {"type": "array", "items": _STRING}})

    @routes.get("/languages", responses=answers({200: {"type": "array", "items": language}}))
    async def languages() -> Response:  # pyright: ignore[reportUnusedFunction]
        """List the languages, and what each is translated into."""
        return JSONResponse(
            [{"code": code, "name": name_of(code), "targets": service.targets(code)} for code in service.languages]
        )

    @routes.get("/frontend/settings", responses=answers({200: {"type": "object"}}))
    async def frontend_settings() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Say what the server offers, for pages that translate with it."""
        return JSONResponse(_frontend(server))

    file_body = body(
        {"file": {"type": "string", "format": "binary"}, "source": source_code, "target": target_code, "api_key": _KEY},
        required=("file", "source", "target"),
        forms=("multipart/form-data",),
    )
    address = object_schema({"translatedFileUrl": {"type": "string", "format": "uri"}})
    shelf = Shelf()

    @routes.post("/translate_file", openapi_extra=file_body, responses=answers({200: address, **_REFUSALS}))
    async def translate_a_file(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Translate a file. The answer says where it can be fetched, for ten minutes."""
        given = await parameters(request)
        file = file_of(given, "file")
        cost = max(1, len(file.content) // server.settings.characters)
        guard.admit(request, first_given(given), cost=cost)
        source, target = _code_of(given, "source"), _code_of(given, "target")
        sample = file.content[:_SAMPLE].decode("utf-8", "replace")
        pair, _ = await service.pair_for([sample], source, target)
        found = await translate_file(service, file, pair, Options())
        name = shelf.put(found.content, suffix_of(file.name) or "", pair.target)
        return JSONResponse({"translatedFileUrl": str(request.url_for("download", name=name))})

    @routes.get(
        "/download_file/{name}",
        responses={200: {"content": {"application/octet-stream": {}}}, **answers({404: _ERROR})},
    )
    async def download(name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Fetch a file that was translated."""
        content, media_type = shelf.get(name)
        disposition = f'attachment; filename="{name}"'
        return Response(content, media_type=media_type, headers={"Content-Disposition": disposition})

    suggest_body = body(
        {"q": _TEXT, "s": _TEXT, "source": source_code, "target": target_code, "api_key": _KEY},
        required=("q", "s", "source", "target"),
    )
    success = object_schema({"success": {"type": "boolean"}})

    @routes.post("/suggest", openapi_extra=suggest_body, responses=answers({200: success, **_REFUSALS}))
    async def suggest(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take a better translation. Only where the operator keeps them."""
        given = await parameters(request)
        guard.admit(request, first_given(given))
        if server.settings.suggestions is None:
            raise Problem("off", "Suggestions are disabled on this server.")
        (source,), _ = _texts_of(given, "q")
        (target,), _ = _texts_of(given, "s")
        service.pair(_code_of(given, "source"), _code_of(given, "target"))
        await service.learn(source, target)
        return JSONResponse({"success": True})

    return routes


def refuse(_: Request, problem: Problem) -> Response:
    """Return a problem as LibreTranslate says it."""
    message = _MESSAGES.get(problem.kind, problem.message)
    if problem.message == UNREADABLE:
        message = "The browser (or proxy) sent a request that this server could not understand."
    elif problem.kind == "too long":
        message = f"Invalid request: {message}"
    return JSONResponse({"error": message}, _STATUS.get(problem.kind, problem.status), problem.headers)


def _texts_of(given: Mapping[str, Any], name: str = "q") -> tuple[list[str], bool]:
    """Return the texts, and whether they came as a list."""
    asked = given.get(name)
    if asked in (None, "", []):
        raise Problem("bad", f"Invalid request: missing {name} parameter")
    texts: list[Any] = asked if isinstance(asked, list) else [asked]
    if not all(isinstance(text, str) for text in texts):
        raise Problem("bad", f"Invalid request: {name} parameter is not a text or a list of texts")
    return [text.replace("\r\n", "\n") for text in texts], isinstance(asked, list)


def _code_of(given: Mapping[str, Any], name: str) -> str:
    code = given.get(name)
    if not code:
        raise Problem("bad", f"Invalid request: missing {name} parameter")
    if not isinstance(code, str):
        raise Problem("bad", f"Invalid request: {name} parameter is not a language code")
    return code


def _alternatives_of(given: Mapping[str, Any], most: int) -> int:
    asked = given.get("alternatives", 0)
    try:
        if isinstance(asked, bool) or not isinstance(asked, str | int):
            raise ValueError
        count = int(asked)
    except ValueError:
        raise Problem("bad", "Invalid request: alternatives parameter is not a number") from None
    if count > most:
        raise Problem("bad", f"Invalid request: alternatives parameter must be <= {most}")
    return max(0, count)


def _others(translation: Translation, similar: Sequence[Match], count: int) -> list[str]:
    """Return other translations than the best one, without repeating any: first those of similar texts, by people."""
    texts = dict.fromkeys([*(match.text for match in similar), *(text for text, _ in translation.nbest)])
    return [text for text in texts if text and text != translation.text][:count]


def _frontend(server: Server) -> dict[str, Any]:
    service = server.service
    target = service.pairs[0].target if service.pairs else "en"
    return {
        "apiKeys": server.guard.needs_key,
        "charLimit": server.settings.characters,
        "filesTranslation": bool(FORMATS),
        "frontendTimeout": 500,
        "keyRequired": server.guard.needs_key,
        "language": {
            "source": {"code": "auto", "name": "Auto Detect"},
            "target": {"code": target, "name": name_of(target)},
        },
        "suggestions": server.settings.suggestions is not None,
        "supportedFilesFormat": list(FORMATS),
    }

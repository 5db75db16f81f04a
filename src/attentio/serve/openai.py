"""Chat completions as OpenAI's clients ask for them: the last message of the user is the text, the model the direction.

A model is named by its own name, or by a pair of languages, such as `attentio/en-zh`. There is no chat: what else a
request says, such as a temperature, changes nothing. A stream sends the sentences of the translation one by one.
"""

import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from attentio.serve.forms import json_object, validated
from attentio.serve.problems import Kind, Problem
from attentio.serve.schema import REFUSALS, answers, described, object_schema
from attentio.serve.server import Server
from attentio.serve.service import Pair, Service

PREFIX = "attentio/"
_STATUS: dict[Kind, int] = {"wrong key": 401}
_TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
_CHUNK = re.compile(r".+?(?:[。！？!?.]+\s*|\n+|\Z)", re.DOTALL)


class Part(BaseModel):
    """A part of a message. Only text is read."""

    model_config = ConfigDict(strict=True)

    type: str
    text: str = ""


class Message(BaseModel):
    """One message of a chat."""

    model_config = ConfigDict(strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None


class StreamOptions(BaseModel):
    """What else a stream tells."""

    model_config = ConfigDict(strict=True)

    include_usage: bool = False


class Asked(BaseModel):
    """A chat to be completed."""

    model_config = ConfigDict(strict=True)

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = Field(1, ge=1, le=1)


_ERROR = object_schema({"message": {"type": "string"}, "type": {"type": "string"}})
_REFUSALS: Any = answers(dict.fromkeys(REFUSALS, object_schema({"error": _ERROR})))
_COMPLETION = object_schema({"id": {"type": "string"}, "choices": {"type": "array"}, "usage": {"type": "object"}})
_ANSWERS: Any = answers({200: _COMPLETION}) | _REFUSALS
_ANSWERS[200]["content"]["text/event-stream"] = {}


def router(server: Server) -> APIRouter:
    service, guard = server.service, server.guard
    routes = APIRouter(tags=["OpenAI"])
    began = int(time.time())
    schema = described(Asked, model={"enum": _names(service)})

    @routes.get("/v1/models", responses=_REFUSALS)
    async def models(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """List the pairs of languages and the models, all of which a request may name."""
        guard.admit(request)
        data = [{"id": name, "object": "model", "created": began, "owned_by": "attentio"} for name in _names(service)]
        return {"object": "list", "data": data}

    @routes.get("/v1/models/{name:path}", responses=_REFUSALS)
    async def model(request: Request, name: str) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Show one of them."""
        guard.admit(request)
        _pair(service, name)
        return {"id": name, "object": "model", "created": began, "owned_by": "attentio"}

    @routes.post("/v1/chat/completions", openapi_extra=schema, responses=_ANSWERS)
    async def complete(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Translate the last message of the user."""
        asked = validated(Asked, await json_object(request))
        guard.admit(request)
        pair = _pair(service, asked.model)
        text = _text(asked.messages)
        (found,) = await service.translate([text], pair)
        usage = {
            "prompt_tokens": service.tokens(pair.model, text),
            "completion_tokens": service.tokens(pair.model, found.text, written=True),
        }
        usage["total_tokens"] = sum(usage.values())
        base = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": asked.model}
        if asked.stream:
            told = asked.stream_options is not None and asked.stream_options.include_usage
            chunks = _chunks(base, found.text, usage if told else None)
            return StreamingResponse(chunks, media_type="text/event-stream")
        message = {"role": "assistant", "content": found.text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return JSONResponse({**base, "object": "chat.completion", "choices": [choice], "usage": usage})

    return routes


def refuse(_: Request, problem: Problem) -> Response:
    """Return a problem as OpenAI's clients read it."""
    status = _STATUS.get(problem.kind, problem.status)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": problem.message, "type": kind, "param": None, "code": problem.kind.replace(" ", "_")}
    return JSONResponse({"error": error}, status, problem.headers)


def _names(service: Service) -> list[str]:
    return list(dict.fromkeys([*(f"{PREFIX}{pair}" for pair in service.pairs), *(p.model for p in service.pairs)]))


def _pair(service: Service, name: str) -> Pair:
    """Return what a model's name stands for. Raises Problem, with the status 404, where nothing has it."""
    if (found := next((pair for pair in service.pairs if pair.model == name), None)) is not None:
        return found
    codes = name.removeprefix(PREFIX).split("-")
    for cut in range(1, len(codes)):  # a code may hold a hyphen itself
        try:
            return service.pair("-".join(codes[:cut]), "-".join(codes[cut:]))
        except Problem:
            continue
    raise Problem("missing", f"there is no such model. There is {', '.join(_names(service)[:10])}.")


def _text(messages: list[Message]) -> str:
    """Return the text of the last message of the user, or of the last one."""
    found = next((message for message in reversed(messages) if message.role == "user"), messages[-1])
    if isinstance(found.content, list):
        return "".join(part.text for part in found.content if part.type == "text")
    return found.content or ""


async def _chunks(base: dict[str, Any], text: str, usage: dict[str, int] | None) -> AsyncIterator[str]:
    def event(delta: dict[str, Any], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _event({**base, "object": "chat.completion.chunk", "choices": [choice]})

    yield event({"role": "assistant", "content": ""})
    for part in _CHUNK.findall(text):
        yield event({"content": part})
    yield event({}, "stop")
    if usage is not None:
        yield _event({**base, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"

"""Our own API: hypotheses, word links, what was lost, and the trace of every sentence.

Problems have the form of RFC 9457.
"""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from attentio.metrics.alignment import format_links, text_links
from attentio.serve.forms import json_object, validated
from attentio.serve.problems import Problem
from attentio.serve.schema import REFUSALS, answers, described, object_schema
from attentio.serve.server import Server
from attentio.serve.service import Options
from attentio.text.words import words
from attentio.translator import Translation
from attentio.view.embed import packed


class Asked(BaseModel):
    """Texts, and what is wanted of them.

    model: the name of a model, or source and target. Without a source, it is detected.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[str] = Field(min_length=1, description="What is translated.")
    source: str = Field("auto", description="Language of the texts. Detected where it is missing.")
    target: str = Field("", description="Language of the translations. Needed where there are several.")
    model: str = Field("", description="Name of a model, instead of languages.")
    beam: int | None = Field(None, ge=1, le=20, description="Hypotheses kept at each step.")
    nbest: int = Field(1, ge=1, le=20, description="Hypotheses of each text, where it is one sentence.")
    split: bool = Field(True, description="Translate the sentences of a text one by one.")
    alignments: bool = Field(False, description="Give word links from attention.")
    trace: bool = Field(False, description="Give the weights of every layer and head, for each sentence.")
    similar: bool = Field(False, description="Give similar pairs of the server's memory.")
    seconds: float | None = Field(None, ge=1, le=86_400, description="How long it may take.")


class Hypothesis(BaseModel):
    """One hypothesis and what it was ranked by."""

    text: str
    score: float


class Similar(BaseModel):
    """A pair of the memory, and how similar its source is: 1 is the same."""

    source: str
    text: str
    score: float


class Text(BaseModel):
    """One text translated. Fields with the names of `attentio translate --json` mean the same."""

    source: str
    text: str
    score: float
    nbest: list[Hypothesis]
    unseen: list[str]
    lost: list[str]
    around: list[str]
    unforced: list[str]
    sentences: int
    cut: bool
    source_tokens: list[str] | None = None
    target_tokens: list[str] | None = None
    alignment: str | None = None
    traces: list[dict[str, Any]] | None = None
    memory: list[Similar] | None = None


class Answer(BaseModel):
    """All translations, in order, and which model made them. It is empty where nothing had to be translated."""

    schema_: int = Field(1, alias="schema")
    model: str
    source: str
    target: str
    confidence: float | None = Field(None, description="Of a detected source language, from 0 to 100.")
    translations: list[Text]


_PROBLEM = object_schema(
    {**{name: {"type": "string"} for name in ("type", "title", "detail")}, "status": {"type": "integer"}}
)
_REFUSALS: Any = answers(dict.fromkeys(REFUSALS, _PROBLEM), media_type="application/problem+json")


def router(server: Server) -> APIRouter:
    service, guard = server.service, server.guard
    routes = APIRouter(tags=["Attentio"])
    text = {"type": "string", "maxLength": server.settings.characters}
    schema = described(
        Asked,
        texts={"items": text, "maxItems": server.settings.texts},
        source={"enum": ["auto", *service.sources]},
        target={"enum": ["", *service.written]},
        model={"enum": ["", *(pair.model for pair in service.pairs)]},
    )

    @routes.post("/api/v1/translate", openapi_extra=schema, responses=_REFUSALS, response_model_exclude_none=True)
    async def translate(request: Request) -> Answer:  # pyright: ignore[reportUnusedFunction]
        """Translate texts, and show how."""
        asked = validated(Asked, await json_object(request))
        guard.admit(request, cost=len(asked.texts))
        service.check_sizes(asked.texts)
        detected = None
        if asked.model:
            pair = service.model(asked.model)
            source = pair.source if asked.source == "auto" else service.language(asked.source)
            if (source, service.language(asked.target or pair.target)) != pair[1:]:
                raise Problem("bad", f"this model translates from {pair.source} into {pair.target}.")
        else:
            target = asked.target or (service.written[0] if len(service.written) == 1 else "")
            if not target:
                raise Problem("bad", "give a target language, or a model.")
            pair, detected = await service.pair_for(asked.texts, asked.source, target)
        options = Options(asked.beam, asked.nbest, asked.trace or asked.alignments, asked.split)
        found = await service.translate(asked.texts, pair, options, seconds=asked.seconds)
        translations = [_shown(text, each, asked) for text, each in zip(asked.texts, found, strict=True)]
        if asked.similar:
            for text, shown in zip(asked.texts, translations, strict=True):
                shown.memory = [Similar(**match._asdict()) for match in await service.similar(text)]
        return Answer(
            schema=1,
            model=pair.model,
            source=pair.source,
            target=pair.target,
            confidence=None if detected is None else detected.confidence,
            translations=translations,
        )

    return routes


def refuse(_: Request, problem: Problem) -> Response:
    """Return a problem as RFC 9457 has it."""
    content = {"type": "about:blank", "title": problem.kind, "status": problem.status, "detail": problem.message}
    return JSONResponse(content, problem.status, problem.headers, media_type="application/problem+json")


def _shown(source: str, found: Translation, asked: Asked) -> Text:
    parts = [(part.source, part.text, part.trace) for part in found.leaves()]
    linked = asked.alignments
    return Text(
        source=source,
        text=found.text,
        score=found.score,
        nbest=[Hypothesis(text=text, score=score) for text, score in found.nbest[: asked.nbest]],
        unseen=list(found.unseen),
        lost=list(found.lost),
        around=list(found.around),
        unforced=list(found.unforced),
        sentences=len(parts),
        cut=found.cut,
        source_tokens=words(found.source) if linked else None,
        target_tokens=words(found.text) if linked else None,
        alignment=format_links(text_links(parts)) if linked else None,
        traces=[packed(trace) for _, _, trace in parts if trace is not None] if asked.trace else None,
    )

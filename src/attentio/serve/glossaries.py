"""Glossaries that clients make, as DeepL's API has them. They live in memory, each for the key that made it."""

import csv
import datetime
import io
import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from attentio.documents import Glossary
from attentio.errors import DataError
from attentio.serve.forms import parameters, validated
from attentio.serve.guard import first_given
from attentio.serve.problems import Problem
from attentio.serve.schema import answers, described, object_schema
from attentio.serve.server import Server

MOST = 100  # glossaries of all keys together, each no larger than a request
_TSV = "text/tab-separated-values"


class Asked(BaseModel):
    """A glossary: its entries are lines of TSV or CSV."""

    model_config = ConfigDict(strict=True)

    name: Annotated[str, Field(min_length=1, max_length=1_024)]
    source_lang: str
    target_lang: str
    entries: str
    entries_format: Literal["tsv", "csv"] = "tsv"


class Kept(BaseModel):
    """A glossary that is kept, as clients see it."""

    glossary_id: str
    name: str
    ready: bool = True
    source_lang: str
    target_lang: str
    creation_time: str
    entry_count: int


_KEPT = Kept.model_json_schema()
_LISTED = object_schema({"glossaries": {"type": "array", "items": _KEPT}})
_PAIR = object_schema({"source_lang": {"type": "string"}, "target_lang": {"type": "string"}})


class Glossaries:
    """The glossaries of all keys."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, Kept, Glossary]] = {}

    def add(self, who: bytes, asked: Asked, source: str, target: str) -> Kept:
        """Keep a glossary. Raises Problem for entries that are none, and where too many are kept."""
        if len(self._kept) >= MOST:
            raise Problem("bad", "too many glossaries are kept. Delete some.")
        glossary = _read(asked)
        if not len(glossary):
            raise Problem("bad", "the glossary has no entry.")
        kept = Kept(
            glossary_id=str(uuid.uuid4()),
            name=asked.name,
            source_lang=source,
            target_lang=target,
            creation_time=datetime.datetime.now(datetime.UTC).isoformat(),
            entry_count=len(glossary),
        )
        self._kept[kept.glossary_id] = who, kept, glossary
        return kept

    def of(self, who: bytes) -> list[Kept]:
        """Return the glossaries of a key."""
        return [kept for owner, kept, _ in self._kept.values() if owner == who]

    def get(self, who: bytes, name: str) -> tuple[Kept, Glossary]:
        """Return a glossary. Raises Problem where this key has none of that name."""
        owner, kept, glossary = self._kept.get(name, (b"", None, None))
        if owner != who or kept is None or glossary is None:
            raise Problem("missing", "there is no such glossary.")
        return kept, glossary

    def drop(self, who: bytes, name: str) -> None:
        """Forget a glossary. Raises Problem where this key has none of that name."""
        self.get(who, name)
        del self._kept[name]


def add_routes(routes: APIRouter, server: Server, glossaries: Glossaries, refusals: Any) -> None:
    """Add what DeepL's clients ask about glossaries."""
    service, guard = server.service, server.guard
    pairs = [(_short(pair.source), _short(pair.target)) for pair in service.pairs]
    made = described(
        Asked,
        source_lang={"enum": [source for source, _ in pairs]},
        target_lang={"enum": [target for _, target in pairs]},
    )

    @routes.post("/v2/glossaries", openapi_extra=made, responses=answers({201: _KEPT}) | refusals, status_code=201)
    async def make(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Make a glossary."""
        given = await parameters(request)
        asked = validated(Asked, given)
        who = guard.admit(request, first_given(given))
        pair = service.pair(asked.source_lang, asked.target_lang)
        kept = glossaries.add(who, asked, _short(pair.source), _short(pair.target))
        return JSONResponse(kept.model_dump(), 201)

    @routes.get("/v2/glossaries", responses=answers({200: _LISTED}) | refusals)
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """List the glossaries of this key."""
        who = guard.admit(request)
        return JSONResponse({"glossaries": [kept.model_dump() for kept in glossaries.of(who)]})

    @routes.get("/v2/glossaries/{name}", responses=answers({200: _KEPT}) | refusals)
    async def one(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Show a glossary without its entries."""
        return JSONResponse(glossaries.get(guard.admit(request), name)[0].model_dump())

    @routes.get("/v2/glossaries/{name}/entries", responses={200: {"content": {_TSV: {}}}} | refusals)
    async def entries(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Give the entries of a glossary as TSV."""
        _, glossary = glossaries.get(guard.admit(request), name)
        text = "\n".join(f"{source}\t{target}" for source, target in glossary.entries.items())
        return PlainTextResponse(text, media_type=_TSV)

    @routes.delete("/v2/glossaries/{name}", responses=dict(refusals), status_code=204)
    async def drop(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Delete a glossary."""
        glossaries.drop(guard.admit(request), name)
        return Response(status_code=204)

    listed_pairs = object_schema({"supported_languages": {"type": "array", "items": _PAIR}})

    @routes.get("/v2/glossary-language-pairs", responses=answers({200: listed_pairs}) | refusals)
    async def language_pairs(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """List the pairs of languages that a glossary may have."""
        guard.admit(request)
        shown = [{"source_lang": source, "target_lang": target} for source, target in dict.fromkeys(pairs)]
        return JSONResponse({"supported_languages": shown})


def _short(code: str) -> str:
    return code.partition("-")[0]


def _read(asked: Asked) -> Glossary:
    try:
        if asked.entries_format == "tsv":
            return Glossary.parse(asked.entries.encode("utf-8"), "entries")
        rows = [row for row in csv.reader(io.StringIO(asked.entries), strict=True) if row]
    except (DataError, csv.Error) as error:
        raise Problem("bad", f"the entries cannot be read: {error}") from None
    if any(len(row) < 2 or not row[0].strip() or not row[1].strip() for row in rows):
        raise Problem("bad", "an entry has a source and a target.")
    return Glossary((row[0].strip(), row[1].strip()) for row in rows)

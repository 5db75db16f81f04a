"""Bodies as clients send them: JSON, forms and query strings, read into one table of parameters.

Where the body is JSON, parameters come from it alone. Otherwise they come from the query string and the form, and the
query string counts first. Text that UTF-8 cannot hold is refused here, before anything is made of it.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from attentio.serve.problems import Problem

Model = TypeVar("Model", bound=BaseModel)
MOST_FIELDS = 1_000
_EXACT = 2**53  # below it a float holds every integer
UNREADABLE = "the body cannot be read."


class Upload(NamedTuple):
    """A file of a form."""

    name: str
    content: bytes


async def parameters(request: Request, *, lists: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the parameters of a request. Files are `Upload`. Raises Problem for what cannot be read.

    lists: parameters that a form may repeat. They are lists where it does, otherwise text.
    """
    if is_json(request):
        return await json_object(request)
    found: dict[str, Any] = {}
    for part in (_encoded(request.scope["query_string"]), await _form(request)):
        for name, values in part.items():
            found.setdefault(name, values if name in lists and len(values) > 1 else values[0])
    _check_unicode(found)
    return found


async def _form(request: Request) -> dict[str, list[Any]]:
    if _kind(request) != "multipart/form-data":
        return _encoded(await request.body()) if _kind(request) == "application/x-www-form-urlencoded" else {}
    try:
        async with request.form() as form:
            return {name: [await _read(value) for value in form.getlist(name)] for name in form}
    except (HTTPException, MultiPartException):  # its words would repeat the body
        raise Problem("bad", UNREADABLE) from None


def _encoded(content: bytes) -> dict[str, list[Any]]:
    """Return what a query string says, or a form like one. Programs such as curl send UTF-8 in it as it is."""
    found: dict[str, list[Any]] = {}
    try:
        pairs = parse_qsl(content.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Problem("bad", UNREADABLE) from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


async def _read(value: str | UploadFile) -> str | Upload:
    return value if isinstance(value, str) else Upload(value.filename or "", await value.read())


def is_json(request: Request) -> bool:
    """Return whether the body says of itself that it is JSON."""
    kind = _kind(request)
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a body. Raises Problem."""
    try:
        found = json.loads(await request.body(), parse_float=_number)
    except (ValueError, RecursionError):
        raise Problem("bad", UNREADABLE) from None
    if not isinstance(found, dict):
        raise Problem("bad", "Invalid JSON format")
    _check_unicode(found)
    return found


def _number(text: str) -> float | int:
    """Return a number of JSON, for which 1.0 is an integer."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def validated(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Return parameters as a model. Raises Problem, which names what is wrong and does not repeat it."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Problem("bad", told(error.errors())) from None


def told(errors: Any) -> str:
    """Return what is wrong with parameters, in one line."""
    return ", ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in errors[:5])


def file_of(values: Mapping[str, Any], name: str) -> Upload:
    """Return an uploaded file. Raises Problem where there is none."""
    found = values.get(name)
    if not isinstance(found, Upload):
        raise Problem("bad", f"Invalid request: missing {name} parameter")
    return found


def _check_unicode(values: Any) -> None:
    """Raise Problem for a lone surrogate in any text."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            raise Problem("bad", "a text holds half of a surrogate pair, which is no character.")

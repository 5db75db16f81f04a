"""How routes that read their bodies themselves are described in OpenAPI."""

from collections.abc import Mapping, Sequence
from typing import Any

FORMS = ("application/json", "application/x-www-form-urlencoded")
REFUSALS = (400, 401, 403, 404, 408, 413, 429, 500, 503, 504)
"""The statuses with which any route may refuse."""


def body(
    properties: Mapping[str, Any], *, required: Sequence[str] = (), forms: Sequence[str] = FORMS
) -> dict[str, Any]:
    """Return what a route says of its body: an object with these properties, in any of the forms."""
    schema = {"type": "object", "properties": dict(properties), "required": list(required)}
    return {"requestBody": {"required": True, "content": {form: {"schema": schema} for form in forms}}}


def answers(schemas: Mapping[int, Any], *, media_type: str = "application/json") -> dict[int | str, dict[str, Any]]:
    """Return what a route says of its answers: the schema of each status."""
    return {
        status: {"description": "Done" if status < 300 else "Refused", "content": {media_type: {"schema": schema}}}
        for status, schema in schemas.items()
    }


def error_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object of which every property is there."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)}

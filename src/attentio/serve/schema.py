"""How routes that read their bodies themselves are described in OpenAPI."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

FORMS = ("application/json", "application/x-www-form-urlencoded")
REFUSALS = (400, 401, 403, 404, 408, 413, 429, 500, 503, 504)
"""The statuses with which any route may refuse."""


def body(
    properties: Mapping[str, Any],
    *,
    required: Sequence[str] = (),
    forms: Sequence[str] = FORMS,
    in_forms: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what a route says of its body: an object with these properties, in any of the forms.

    in_forms: properties that are narrower where the body is no JSON.
    """

    def schema(form: str) -> dict[str, Any]:
        more = (in_forms or {}) if form != FORMS[0] else {}
        return {"type": "object", "properties": {**properties, **more}, "required": list(required)}

    return {"requestBody": {"required": True, "content": {form: {"schema": schema(form)} for form in forms}}}


def described(model: type[BaseModel], /, **more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a route says of its JSON body, which is a model.

    more: what is known of a property beside its type, such as the languages that are served.
    """
    schema = model.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    for name, known in more.items():
        schema["properties"][name] |= known
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inlined(schema: Any, parts: Mapping[str, Any]) -> Any:
    """Return a schema with its named parts in their places."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
        return {name: _inlined(value, parts) for name, value in schema.items()}
    return [_inlined(each, parts) for each in schema] if isinstance(schema, list) else schema


def answers(schemas: Mapping[int, Any], *, media_type: str = "application/json") -> dict[int | str, dict[str, Any]]:
    """Return what a route says of its answers: the schema of each status."""
    return {
        status: {"description": "Done" if status < 300 else "Refused", "content": {media_type: {"schema": schema}}}
        for status, schema in schemas.items()
    }


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object of which every property is there."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)}

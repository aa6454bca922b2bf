"""JSON Schemas of tools in the form that all vendors take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

MAX_DEPTH = 64

# OpenAI and Anthropic refuse these at the top of a tool's schema; Gemini knows no `$schema`.
_NOT_AT_THE_TOP = frozenset(
    {"anyOf", "oneOf", "allOf", "not", "enum", "const", "if", "then", "else", "$ref", "$schema"}
)
_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NESTED = frozenset({"items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames"})


def tool_schema(parameters: Any) -> Schema:
    """Return a tool's parameters as an object schema with ``properties``, and without alternatives at its top.

    Alternatives are merged: what any of them names may be given, what all of them require must be. Arrays get
    ``items``, and schemas that are ``true`` become empty ones. What the model gives is still checked against the whole
    schema by the tool itself.

    Args:
        parameters: What the tool's author wrote, or a page sent.
    """
    given = parameters if isinstance(parameters, Mapping) else {}
    found = _Merged(given)
    top = {key: value for key, value in given.items() if key not in _NOT_AT_THE_TOP}
    merged: Schema = {**top, "type": "object", "properties": found.properties}
    merged.pop("required", None)
    if required := [name for name in found.required if name in found.properties]:
        merged["required"] = required
    completed: Schema = _complete(merged, MAX_DEPTH)
    return completed


class _Merged:
    """What a schema's alternatives and parts name and require. Each is looked at once: references may go in circles."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._seen: dict[int, list[str]] = {}
        self.properties: dict[str, Any] = {}
        self.required = self._read(root, MAX_DEPTH)

    def _read(self, schema: Any, depth: int) -> list[str]:
        if not isinstance(schema, Mapping) or depth == 0:
            return []
        if id(schema) not in self._seen:
            self._seen[id(schema)] = []
            self._seen[id(schema)] = self._read_parts(schema, depth - 1)
        return self._seen[id(schema)]

    def _read_parts(self, schema: Mapping[str, Any], depth: int) -> list[str]:
        own = schema.get("required")
        names = dict.fromkeys(name for name in own if isinstance(name, str)) if isinstance(own, list) else {}
        for part in (*_resolved(schema, self._root), *_all(schema, "allOf")):
            names |= dict.fromkeys(self._read(part, depth))
        for key in ("anyOf", "oneOf"):
            alternatives = [set(self._read(part, depth)) for part in _all(schema, key)]
            names |= dict.fromkeys(sorted(set.intersection(*alternatives)) if alternatives else ())
        self.properties |= _properties(schema)
        return list(names)


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _all(schema: Mapping[str, Any], key: str) -> list[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Any]:
    """Return what a local reference at a schema's top points at, if it has one."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return []
    found: Any = root
    for step in reference[2:].split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return [found]


def _complete(schema: Any, depth: int) -> Any:
    if schema is True:
        return {}
    if not isinstance(schema, Mapping) or depth == 0:
        return schema
    completed = {key: _completed_part(key, value, depth - 1) for key, value in schema.items()}
    if completed.get("type") == "array" and "items" not in completed and "prefixItems" not in completed:
        completed["items"] = {}
    return completed


def _completed_part(key: str, value: Any, depth: int) -> Any:
    if key in _NAMED and isinstance(value, Mapping):
        return {name: _complete(schema, depth) for name, schema in value.items()}
    if key in _LISTED and isinstance(value, list):
        return [_complete(schema, depth) for schema in value]
    if key in _NESTED and key != "additionalProperties":
        return _complete(value, depth)
    if key == "additionalProperties" and isinstance(value, Mapping):
        return _complete(value, depth)
    return value

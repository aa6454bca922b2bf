"""The contract's own way to describe parameters, as JSON Schema (docs/contract.md, appendix A)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_SCALARS = frozenset({"string", "number", "boolean", "integer"})


def parameters_schema(parameters: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a list of ``{name, type, description?, required?, enum?, attributes?}`` as a JSON Schema object.

    A type that is unknown counts as ``string``, as the TypeScript runtime has it.
    """
    listed = list(parameters)
    return {
        "type": "object",
        "properties": {parameter["name"]: _schema(parameter) for parameter in listed},
        "required": _required(listed),
    }


def _required(parameters: Iterable[Mapping[str, Any]]) -> list[str]:
    return [parameter["name"] for parameter in parameters if parameter.get("required") is not False]


def _schema(parameter: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(parameter.get("type") or "string")
    described = {"description": parameter["description"]} if parameter.get("description") is not None else {}
    if kind == "object":
        return {"type": "object", **described, **_attributes(parameter)}
    if kind == "object[]":
        return {"type": "array", "items": {"type": "object", **_attributes(parameter)}, **described}
    if kind.endswith("[]"):
        return {"type": "array", "items": {"type": kind.removesuffix("[]")}, **described}
    schema = {"type": kind if kind in _SCALARS else "string", **described}
    if schema["type"] == "string" and parameter.get("enum"):
        schema["enum"] = list(parameter["enum"])
    return schema


def _attributes(parameter: Mapping[str, Any]) -> dict[str, Any]:
    attributes = list(parameter.get("attributes") or ())
    if not attributes:
        return {}
    required = _required(attributes)
    properties = {attribute["name"]: _schema(attribute) for attribute in attributes}
    return {"properties": properties, **({"required": required} if required else {})}

"""The names of a tool's arguments as vendors take them, such as ``$filter``: mapped there and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .tool_schemas import MAX_DEPTH, Schema
from .vendor_names import vendor_names

# What Anthropic takes; others take as much or more.
_TAKEN = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


class ArgumentNames:
    """The names in one tool's schema that vendors would refuse, at any depth.

    Args:
        schema: The schema, as ``tool_schema`` returns it.
    """

    def __init__(self, schema: Schema) -> None:
        self._to_vendor = vendor_names(_property_names(schema, MAX_DEPTH), _TAKEN)
        self._from_vendor = {sent: name for name, sent in self._to_vendor.items()}

    def __bool__(self) -> bool:
        return bool(self._to_vendor)

    def schema(self, schema: Schema) -> Schema:
        """Return the schema with the names that vendors take."""
        renamed: Schema = _renamed_schema(schema, self._to_vendor, MAX_DEPTH)
        return renamed

    def sent(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return arguments with the names that vendors take."""
        renamed: dict[str, Any] = _renamed(arguments, self._to_vendor, MAX_DEPTH)
        return renamed

    def received(self, text: str) -> str:
        """Return arguments that a model wrote with the tool's own names; a text that is not JSON as it is."""
        try:
            arguments = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return text
        return msgspec.json.encode(_renamed(arguments, self._from_vendor, MAX_DEPTH)).decode()


def _property_names(schema: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(schema, list):
        for part in schema:
            yield from _property_names(part, depth - 1)
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        if key == "properties" and isinstance(value, Mapping):
            yield from value
            yield from _property_names(list(value.values()), depth - 1)
        elif key not in _VALUES:
            yield from _property_names(value, depth - 1)


_VALUES = frozenset({"enum", "const", "default", "examples", "required"})
"""What in a schema is not a schema."""


def _renamed_schema(schema: Any, names: Mapping[str, str], depth: int) -> Any:
    if depth == 0:
        return schema
    if isinstance(schema, list):
        return [_renamed_schema(part, names, depth - 1) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: _renamed_part(key, value, names, depth - 1) for key, value in schema.items()}


def _renamed_part(key: str, value: Any, names: Mapping[str, str], depth: int) -> Any:
    if key == "properties" and isinstance(value, Mapping):
        return {names.get(name, name): _property(name, part, names, depth) for name, part in value.items()}
    if key == "required" and isinstance(value, list):
        return [names.get(name, name) if isinstance(name, str) else name for name in value]
    return value if key in _VALUES else _renamed_schema(value, names, depth)


def _property(name: str, schema: Any, names: Mapping[str, str], depth: int) -> Any:
    renamed = _renamed_schema(schema, names, depth)
    if name in names and isinstance(renamed, dict) and not renamed.get("description"):
        return {**renamed, "description": f"The argument {name}"}
    return renamed


def _renamed(value: Any, names: Mapping[str, str], depth: int) -> Any:
    if depth == 0:
        return value
    if isinstance(value, list):
        return [_renamed(item, names, depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    return {names.get(key, key): _renamed(item, names, depth - 1) for key, item in value.items()}


def argument_names(schemas: Iterable[tuple[str, Schema]]) -> dict[str, ArgumentNames]:
    """Return the tools that have such names, by their own name."""
    found = ((tool, ArgumentNames(schema)) for tool, schema in schemas)
    return {tool: names for tool, names in found if names}

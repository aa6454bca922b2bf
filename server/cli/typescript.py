"""TypeScript declarations of agents' names and states, made from JSON Schemas.

Schemas come from pydantic, which uses a small part of JSON Schema; what is not understood becomes ``unknown``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, TypeAlias

from ...runtime.provider import StateSchemas

Schema: TypeAlias = Mapping[str, Any]

_HEAD = "// Made by `copilotkit-runtime types`: do not edit."
_ANY_STATE = "Record<string, unknown>"
_SCALARS = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
_DEEPEST = 40
"""How deep types are written out; deeper ones are ``unknown``, so that no schema can exhaust the stack."""


def declarations(agents: Mapping[str, StateSchemas]) -> str:
    """Return a ``.d.ts``: ``AgentName``, and the states that pages see and may set, by agent name.

    Args:
        agents: The schemas, by agent name.
    """
    module = _Module()
    states = [_entry(name, module.of_agent(name, "State", schemas.shown)) for name, schemas in agents.items()]
    inputs = [_entry(name, module.of_agent(name, "Input", schemas.taken)) for name, schemas in agents.items()]
    return "\n".join(
        [
            _HEAD,
            "",
            '/** What pages see of each agent\'s state, as in `useCoAgent<AgentStates["name"]>({ name: "name" })`. */',
            *_interface("AgentStates", states),
            "/** What pages may set of each agent's state. */",
            *_interface("AgentInputs", inputs),
            "export type AgentName = keyof AgentStates;",
            *module.written,
            "",
        ]
    )


def _interface(name: str, lines: list[str]) -> Iterator[str]:
    yield f"export interface {name} {{"
    yield from (f"  {line}" for line in lines)
    yield "}"
    yield ""


def _entry(name: str, type_: str, *, optional: bool = False) -> str:
    key = name if re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) else json.dumps(name)
    return f"{key}{'?' if optional else ''}: {type_};"


class _Module:
    """Types that are written as they are met."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.known: dict[tuple[str, str], str] = {}
        """The names of what was written, by the wanted name and all that it is made of."""
        self._names = {"AgentStates", "AgentInputs", "AgentName"}

    def of_agent(self, agent: str, suffix: str, schema: Schema | None) -> str:
        """Return the type of an agent's state, having written what it needs."""
        if schema is None:
            return _ANY_STATE
        types = _Types(self, _pascal(agent), schema)
        name = self.name(f"{_pascal(agent)}{suffix}")
        self.write(name, types.expression(schema), schema)
        types.write_rest()
        return name

    def name(self, wanted: str) -> str:
        """Return a name that no other type of this file has."""
        numbered = (wanted if number == 1 else f"{wanted}{number}" for number in count(1))
        name = next(name for name in numbered if name not in self._names)
        self._names.add(name)
        return name

    def write(self, name: str, type_: str, schema: Schema) -> None:
        """Write a named type, with its description."""
        self.written += ["", *_comment(schema), f"export type {name} = {type_};"]


def _pascal(name: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", name)
    return (
        "Agent" + "".join(words) if not words or words[0][0].isdigit() else "".join(w[0].upper() + w[1:] for w in words)
    )


def _comment(schema: Schema) -> list[str]:
    text = " ".join(str(schema.get("description", "")).replace("*/", "").split())
    return [f"/** {text} */"] if text else []


class _Types:
    """The types of one schema.

    Args:
        module: Takes the types that are referred to.
        prefix: Begins their names.
        root: The schema, with its definitions.
    """

    def __init__(self, module: _Module, prefix: str, root: Schema) -> None:
        self._module = module
        self._prefix = prefix
        self._definitions: Schema = root.get("$defs", {})
        self._named: dict[str, str] = {}
        self._waiting: list[str] = []

    def write_rest(self) -> None:
        """Write the definitions that were referred to, and those that they refer to."""
        while self._waiting:
            reference = self._waiting.pop(0)
            schema = self._definitions[reference]
            self._module.write(self._named[reference], self.expression(schema), schema)

    def expression(self, schema: Any, depth: int = 0) -> str:
        """Return a schema as a type."""
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return "unknown"
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]))
        if "const" in schema or "enum" in schema:
            return _union(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
        for key, join in (("anyOf", _union), ("oneOf", _union), ("allOf", _intersection)):
            if key in schema:
                return join(self.expression(each, depth + 1) for each in schema[key])
        kind = schema.get("type")
        if isinstance(kind, list):
            return _union(self.expression({**schema, "type": each}, depth + 1) for each in kind)
        if kind == "array":
            return self._array(schema, depth)
        return self._object(schema, depth) if kind == "object" else _SCALARS.get(str(kind), "unknown")

    def _reference(self, reference: str) -> str:
        name = reference.removeprefix("#/$defs/")
        if name not in self._definitions:
            return "unknown"
        key = (f"{self._prefix}{_pascal(name)}", json.dumps(self._parts(name), sort_keys=True))
        if key not in self._module.known:
            self._module.known[key] = self._named[name] = self._module.name(key[0])
            self._waiting.append(name)
        return self._module.known[key]

    def _parts(self, name: str) -> dict[str, Any]:
        """Return a definition and all that it refers to."""
        parts: dict[str, Any] = {}
        waiting = [name]
        while waiting:
            part = waiting.pop()
            if part in self._definitions and part not in parts:
                parts[part] = self._definitions[part]
                waiting += re.findall(r'"#/\$defs/([^"]+)"', json.dumps(parts[part]))
        return parts

    def _array(self, schema: Schema, depth: int) -> str:
        if "prefixItems" in schema:
            return f"[{', '.join(self.expression(each, depth + 1) for each in schema['prefixItems'])}]"
        return f"Array<{self.expression(schema.get('items'), depth + 1)}>"

    def _object(self, schema: Schema, depth: int) -> str:
        properties = schema.get("properties")
        if not properties:
            return f"Record<string, {self._more(schema, depth)}>"
        required = schema.get("required", ())
        entries = [
            _entry(name, self.expression(each, depth + 1), optional=name not in required)
            for name, each in properties.items()
        ]
        indent = "  " * (depth + 1)
        body = "".join(f"{indent}{entry}\n" for entry in entries)
        return f"{{\n{body}{'  ' * depth}}}"

    def _more(self, schema: Schema, depth: int) -> str:
        more = schema.get("additionalProperties", True)
        return "unknown" if more is True else "never" if more is False else self.expression(more, depth + 1)


def _union(types: Iterator[str]) -> str:
    return " | ".join(dict.fromkeys(types)) or "never"


def _intersection(types: Iterator[str]) -> str:
    return " & ".join(f"({each})" if " | " in each else each for each in dict.fromkeys(types)) or "unknown"

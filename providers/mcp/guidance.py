"""Instructions to models about MCP tools; the text is the TypeScript runtime's (docs/contract.md, section 3.7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...runtime.context import Tool

_HEAD = "You have access to the following external tools provided by Model Context Protocol (MCP) servers:"
_FOOT = """When using these tools:
1. Only provide valid parameters according to their type requirements
2. Required parameters are marked with *
3. For array parameters, provide data in the correct array format
4. For object parameters, include all required nested properties
5. For enum parameters, use only the allowed values listed
6. Format API calls correctly with the expected parameter structure
7. Always check tool responses to determine your next action
Use them when appropriate to fulfill the user's request."""


def mcp_guidance(tools: Iterable[Tool]) -> str:
    """Return the instructions for ``tools``."""
    return "\n\n".join([_HEAD, *(_entry(tool) for tool in tools), _FOOT])


def _entry(tool: Tool) -> str:
    properties: dict[str, Any] = tool.parameters.get("properties") or {}
    required = tool.parameters.get("required") or ()
    lines = [_line(name, schema, required=name in required) for name, schema in properties.items()]
    return "\n".join([f"- {tool.name}: {tool.description}", *(lines or ["    No parameters required"])])


def _line(name: str, schema: Any, *, required: bool) -> str:
    known = schema if isinstance(schema, dict) else {}
    details = f" - {'. '.join(described)}" if (described := _described(known)) else ""
    return f"    - {name}{'*' if required else ''} ({_type_of(known)}){details}"


def _type_of(schema: dict[str, Any]) -> str:
    kind = str(schema.get("type") or "string")
    items = schema.get("items")
    if kind == "array" and isinstance(items, dict) and items.get("type") not in (None, "object"):
        return f"array<{items['type']}>"
    return kind


def _described(schema: dict[str, Any]) -> list[str]:
    described = [str(schema["description"])] if schema.get("description") else []
    if schema.get("enum"):
        described.append(f"Allowed values: {' | '.join(map(str, schema['enum']))}")
    items = schema.get("items")
    if isinstance(items, dict) and items.get("properties"):
        described.append(f"Array of objects with properties: {', '.join(items['properties'])}")
    elif schema.get("type") == "object" and schema.get("properties"):
        described.append(f"Object with properties: {', '.join(schema['properties'])}")
    return described

"""What LangGraph's graphs can do, as clients learn it."""

from __future__ import annotations

from typing import Any

from .schema import GraphSchema

MEDIA = frozenset({"image_url", "audio", "video", "document"})
"""What goes into a graph's messages besides pictures. Its model's vendor has the last word."""

_CLIENT_TOOLS = ("copilotkit", "tools", "ag-ui")
"""The keys of a state under which graphs find the client's tools."""


def graph_capabilities(schema: GraphSchema | None = None) -> dict[str, Any]:
    """Return a graph's abilities.

    Args:
        schema: The graph's schema; None if it is not known before a run.
    """
    reported: dict[str, Any] = {
        "state": {"snapshots": True},
        "humanInTheLoop": {"supported": True, "interrupts": True},
    }
    if schema is None:
        return reported
    client_tools = any(schema.takes(key) for key in _CLIENT_TOOLS)
    return {**reported, "tools": {"clientProvided": client_tools}}

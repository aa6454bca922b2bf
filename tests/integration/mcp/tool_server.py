"""A small MCP server: ``python tool_server.py stdio|sse|streamable-http [port]``."""

from __future__ import annotations

import os
import sys
from typing import Any

from mcp.server.fastmcp import FastMCP
from mcp.types import ImageContent
from pydantic import BaseModel

server = FastMCP("tools", port=int(sys.argv[2]) if len(sys.argv) > 2 else 0, log_level="ERROR")


class Place(BaseModel):
    """Where."""

    city: str
    zip: int | None = None


@server.tool(description="Adds numbers")
def add(left: int, right: int) -> int:
    return left + right


@server.tool(description="Finds places")
def find(places: list[Place], tags: list[str], kind: str = "any") -> dict[str, Any]:
    return {"found": [place.city for place in places], "tags": tags, "kind": kind}


@server.tool(description="Fails")
def fail() -> str:
    raise ValueError("no luck")


@server.tool(description="Draws")
def draw() -> ImageContent:
    return ImageContent(type="image", data="AAAA", mimeType="image/png")


@server.tool(description="Ends the server")
def die() -> str:
    os._exit(1)


if __name__ == "__main__":
    server.run(sys.argv[1])  # type: ignore[arg-type]

"""A small MCP server: ``python tool_server.py stdio|sse|streamable-http [port]``."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

from mcp.types import CallToolResult, ImageContent
from pydantic import BaseModel

TRANSPORT, PORT = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0

# The server's side has other names in each generation of the package too.
if version("mcp").startswith("1."):
    from mcp.server.fastmcp import Context, FastMCP
    from mcp.server.fastmcp.exceptions import ToolError

    server: Any = FastMCP("tools", port=PORT, log_level="ERROR")
    options: dict[str, Any] = {}
else:
    from mcp.server.mcpserver import Context, MCPServer  # type: ignore[import-not-found, no-redef]
    from mcp.server.mcpserver.exceptions import ToolError  # type: ignore[import-not-found, no-redef]

    server = MCPServer("tools", log_level="ERROR")
    options = {} if TRANSPORT == "stdio" else {"port": PORT}


F = TypeVar("F", bound=Callable[..., Any])


def tool(description: str) -> Callable[[F], F]:
    """The server's decorator of tools."""
    decorate: Callable[[F], F] = server.tool(description=description)
    return decorate


class Place(BaseModel):
    """Where."""

    city: str
    zip: int | None = None


@tool("Adds numbers")
def add(left: int, right: int) -> int:
    return left + right


@tool("Finds places")
def find(places: list[Place], tags: list[str], kind: str = "any") -> dict[str, Any]:
    return {"found": [place.city for place in places], "tags": tags, "kind": kind}


@tool("Fails")
def fail() -> str:
    raise ToolError("no luck")


@tool("Draws")
def draw() -> ImageContent:
    return ImageContent.model_validate({"type": "image", "data": "AAAA", "mimeType": "image/png"})


@tool("Connects to a port, tells it the server's process, and never returns")
async def hang(port: int) -> str:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{os.getpid()}\n".encode())
    await writer.drain()
    await asyncio.Event().wait()
    return ""


@tool("Sums up, with all figures beside")
def report() -> CallToolResult:
    figures = {"rows": [1, 2, 3], "total": 6}
    return CallToolResult.model_validate(
        {"content": [{"type": "text", "text": "6 in all"}], "structuredContent": figures}
    )


@tool("Offers one more tool")
async def grow(ctx: Context) -> str:  # type: ignore[type-arg]
    def grown() -> str:
        return "here"

    server.add_tool(grown, description="Has grown")
    await ctx.session.send_tool_list_changed()
    return "done"


@tool("Ends the server")
def die() -> str:
    os._exit(1)


if __name__ == "__main__":
    time.sleep(float(os.environ.get("SLOW_START", "0")))
    server.run(TRANSPORT, **options)

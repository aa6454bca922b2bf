"""An MCP server with apps: ``python app_server.py streamable-http|sse|stdio [port]``."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

TRANSPORT, PORT = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
PAGE = """<!doctype html><html><body><h1 id="title">The clock</h1><script>
const answers = new Map();
let last = 0;
function ask(method, params) {
  const id = ++last;
  parent.postMessage({ jsonrpc: "2.0", id, method, params }, "*");
  return new Promise((done) => answers.set(id, done));
}
addEventListener("message", ({ data }) => {
  if (data.id !== undefined && answers.has(data.id)) answers.get(data.id)(data.result);
  if (data.method === "ui/notifications/tool-input") document.title = JSON.stringify(data.params.arguments);
});
async function begin() {
  await ask("ui/initialize", {
    protocolVersion: "2026-01-26", appInfo: { name: "clock", version: "1" }, appCapabilities: {},
  });
  parent.postMessage({ jsonrpc: "2.0", method: "ui/notifications/initialized", params: {} }, "*");
  const result = await ask("tools/call", { name: "tick", arguments: { by: 2 } });
  document.getElementById("title").textContent = result.content[0].text;
}
begin();
</script></body></html>"""
UI = {"ui": {"resourceUri": "ui://clock/page.html"}}
TEXT = {"type": "text"}
SCHEMA = {"type": "object", "properties": {"by": {"type": "integer"}, "zone": {"type": "string"}}}


def tool(name: str, meta: dict[str, Any] | None = None) -> dict[str, Any]:
    """A tool in MCP's JSON."""
    return {"name": name, "description": f"The tool {name}", "inputSchema": SCHEMA, **({"_meta": meta} if meta else {})}


TOOLS = [
    tool("show_clock", UI),
    tool("show_old_clock", {"ui/resourceUri": "ui://clock/page.html"}),
    tool("show_file", {"ui": {"resourceUri": "file:///page.html"}}),
    tool("break_clock", UI),
    tool("flood", UI),
    tool("tick", {"ui": {**UI["ui"], "visibility": ["app"]}}),
    tool("forbidden", {"ui": {"visibility": ["model"]}}),
    tool("plain"),
]


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The result of a tool, in MCP's JSON."""
    if name == "break_clock":
        return {"content": [{**TEXT, "text": "it is broken"}], "isError": True}
    if name == "flood":
        return {"content": [{**TEXT, "text": "x" * 50_000}]}
    if name == "tick":
        return {"content": [{**TEXT, "text": f"Ticked by {arguments.get('by')}."}]}
    return {
        "content": [{**TEXT, "text": f"It is noon in {arguments.get('zone', 'Bonn')}."}],
        "structuredContent": {"h": 12},
    }


def read(uri: str) -> dict[str, Any]:
    """A resource in MCP's JSON."""
    mime_type = "text/html;profile=mcp-app" if uri.endswith(".html") else "text/plain"
    text = (
        PAGE if uri == "ui://clock/page.html" else "x" * 50_000 if uri == "ui://clock/flood" else f"contents of {uri}"
    )
    return {"contents": [{"uri": uri, "mimeType": mime_type, "text": text}]}


def draws_apps(capabilities: Any) -> bool:
    """Whether a client has declared that it draws apps."""
    declared = getattr(capabilities, "extensions", None) or {}
    return "io.modelcontextprotocol/ui" in declared


def run_first_generation() -> None:
    """Serve with version 1 of the package."""
    from mcp.server.fastmcp import FastMCP
    from mcp.types import (
        CallToolRequest,
        CallToolResult,
        ListToolsRequest,
        ListToolsResult,
        ReadResourceRequest,
        ReadResourceResult,
        ServerResult,
    )

    server = FastMCP("apps", port=PORT, log_level="ERROR")
    low = server._mcp_server

    async def list_tools(_request: ListToolsRequest) -> ServerResult:
        parameters = low.request_context.session.client_params
        tools = TOOLS if parameters is not None and draws_apps(parameters.capabilities) else [tool("plain")]
        return ServerResult(ListToolsResult.model_validate({"tools": tools}))

    async def call_tool(request: CallToolRequest) -> ServerResult:
        result = call(request.params.name, request.params.arguments or {})
        return ServerResult(CallToolResult.model_validate(result))

    async def read_resource(request: ReadResourceRequest) -> ServerResult:
        return ServerResult(ReadResourceResult.model_validate(read(str(request.params.uri))))

    low.request_handlers[ListToolsRequest] = list_tools
    low.request_handlers[CallToolRequest] = call_tool
    low.request_handlers[ReadResourceRequest] = read_resource
    server.run(TRANSPORT)  # type: ignore[arg-type]


def run_second_generation() -> None:
    """Serve with version 2 of the package."""
    from mcp.server.mcpserver import MCPServer  # type: ignore[import-not-found]
    from mcp.types import (  # type: ignore[attr-defined]
        CallToolRequestParams,
        CallToolResult,
        ListToolsResult,
        PaginatedRequestParams,
        ReadResourceRequestParams,
        ReadResourceResult,
    )

    server = MCPServer("apps", log_level="ERROR")
    low = server._lowlevel_server

    async def list_tools(context: Any, _params: Any) -> ListToolsResult:
        parameters = context.session.client_params
        tools = TOOLS if parameters is not None and draws_apps(parameters.capabilities) else [tool("plain")]
        return ListToolsResult.model_validate({"tools": tools})

    async def call_tool(_context: Any, params: Any) -> CallToolResult:
        return CallToolResult.model_validate(call(params.name, params.arguments or {}))

    async def read_resource(_context: Any, params: Any) -> ReadResourceResult:
        return ReadResourceResult.model_validate(read(str(params.uri)))

    low.add_request_handler("tools/list", PaginatedRequestParams, list_tools)
    low.add_request_handler("tools/call", CallToolRequestParams, call_tool)
    low.add_request_handler("resources/read", ReadResourceRequestParams, read_resource)
    server.run(TRANSPORT, **({} if TRANSPORT == "stdio" else {"port": PORT}))


if __name__ == "__main__":
    run_first_generation() if version("mcp").startswith("1.") else run_second_generation()

"""The agents that generate interfaces: surfaces, pages for the sandbox, and an MCP server's app."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage

from copilotkit_runtime import A2UI, CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.providers.mcp import MCPServer
from tests.e2e.agents import Call, RuleModel, agent, answering, words

APP_SERVER = Path(__file__).parents[1] / "integration" / "mcp" / "app_server.py"
SURFACE = {
    "surfaceId": "cities",
    "components": [
        {"id": "root", "component": "Column", "children": ["title", "choose"]},
        {"id": "title", "component": "Text", "text": {"path": "/title"}},
        {
            "id": "choose",
            "component": "Button",
            "child": "label",
            "action": {"event": {"name": "choose", "context": {"city": "Bonn"}}},
        },
        {"id": "label", "component": "Text", "text": "Choose Bonn"},
    ],
    "data": {"title": "Where to go"},
}
PAGE = {
    "initialHeight": 200,
    "placeholderMessages": ["Painting"],
    "css": "main { color: teal }",
    "html": "<head></head><body><main id='picture'>A picture</main></body>",
    "jsFunctions": "",
    "jsExpressions": ["document.getElementById('picture').textContent = 'A picture that moves'"],
}


def draw(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Iterable[str] | Call:
    """Draws a surface, and repeats what the person did on it."""
    last = messages[-1]
    if isinstance(last, ToolMessage):
        return words(f"Seen: {last.text}")
    return Call("render_a2ui", SURFACE) if "render_a2ui" in tools else words("There is no such tool.")


def write(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Iterable[str] | Call:
    """Writes a page for the sandbox, if the client has one."""
    if not isinstance(messages[-1], HumanMessage):
        return words("There it is.")
    return Call("generateSandboxedUi", PAGE) if "generateSandboxedUi" in tools else words("There is no such tool.")


def show(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Iterable[str] | Call:
    """Shows the clock of the MCP server."""
    if not isinstance(messages[-1], HumanMessage):
        return words("There it is.")
    return Call("show_clock", {"zone": "Rome"}) if "show_clock" in tools else words("There is no such tool.")


runtime = CopilotRuntime(
    providers=[
        LangGraphProvider(
            {
                "drawer": agent(draw=answering(draw)),
                "writer": agent(write=answering(write)),
            }
        )
    ],
    model=RuleModel(rule=show),
    a2ui=A2UI(inject_tool=True),
    open_generative_ui=True,
    mcp_apps=[
        MCPServer(command=sys.executable, args=(str(APP_SERVER), "stdio"), server_id="clock", connect_timeout=60)
    ],
)

from __future__ import annotations

from copilotkit_runtime.providers.mcp.guidance import mcp_guidance
from copilotkit_runtime.runtime.context import Tool

CONTRACT = """You have access to the following external tools provided by Model Context Protocol (MCP) servers:

- search: S
    - q* (string) - query
    - n (integer)
    - arr (array<string>)
    - objs (array) - Array of objects with properties: a, b
    - e (string) - Allowed values: x | y
    - o (object) - Object with properties: k

- nodesc: MCP tool: nodesc (from http://m1)
    No parameters required

When using these tools:
1. Only provide valid parameters according to their type requirements
2. Required parameters are marked with *
3. For array parameters, provide data in the correct array format
4. For object parameters, include all required nested properties
5. For enum parameters, use only the allowed values listed
6. Format API calls correctly with the expected parameter structure
7. Always check tool responses to determine your next action
Use them when appropriate to fulfill the user's request."""


def test_models_receive_the_contract_s_text_about_tools() -> None:
    string = {"type": "string"}
    properties = {
        "q": {**string, "description": "query"},
        "n": {"type": "integer"},
        "arr": {"type": "array", "items": string},
        "objs": {"type": "array", "items": {"type": "object", "properties": {"a": string, "b": string}}},
        "e": {**string, "enum": ["x", "y"]},
        "o": {"type": "object", "properties": {"k": string}},
    }
    search = Tool(name="search", description="S", parameters={"properties": properties, "required": ["q"]})
    nodesc = Tool(name="nodesc", description="MCP tool: nodesc (from http://m1)", parameters={"type": "object"})
    assert mcp_guidance([search, nodesc]) == CONTRACT

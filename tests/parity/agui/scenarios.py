"""The scenarios as clients of the AG-UI wire send them."""

from __future__ import annotations

import json
from typing import Any

from tests.parity import scenarios

AGENT = "scripted"
_SET_COLOR = {
    "name": "setColor",
    "description": "Paints the page",
    "parameters": {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]},
}
_OF_GRAPHQL = {"agent-that-is-not-there", "thread-without-id"}
"""Scenarios about the shape of a GraphQL request: an AG-UI client always sends a thread's id, in a path of its own."""


def load() -> dict[str, dict[str, Any]]:
    """Return the run's body for each scenario that the agent plays."""
    agents = (scenario for scenario in scenarios.load() if scenario.path == "agent")
    return {each.name: _body(each) for each in agents if each.name not in _OF_GRAPHQL}


def _body(scenario: scenarios.Scenario) -> dict[str, Any]:
    data = scenario.data
    states = data.get("agentStates", [])
    return {
        "threadId": f"agui-{scenario.name}",
        "runId": "run-1",
        "messages": [{"id": "user-1", "role": "user", "content": data["messages"][0]["textMessage"]["content"]}],
        "tools": [_SET_COLOR],
        "context": [],
        "state": json.loads(states[0]["state"]) if states else {},
        "forwardedProps": _resumed(data.get("metaEvents", [])),
    }


def _resumed(answers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"command": {"resume": answers[0]["response"], "interruptEvent": answers[0]["value"]}} if answers else {}

"""The scenarios that both runtimes play, as the request bodies that start them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DOCUMENT = HERE / "recordings" / "document.graphql"
OPERATION = "generateCopilotResponse"
MOMENT = "2025-10-09T00:00:00.000Z"


@dataclass(frozen=True)
class Scenario:
    """One script on one path: ``agent`` names an agent, ``adapter`` leaves the answer to the model."""

    name: str
    path: str
    data: dict[str, Any]

    @property
    def id(self) -> str:
        """What names the scenario, its recording and its tests."""
        return f"{self.name}.{self.path}"

    @property
    def body(self) -> dict[str, Any]:
        """The request's body."""
        return {
            "operationName": OPERATION,
            "query": DOCUMENT.read_text(),
            "variables": {"data": self.data, "properties": {}},
        }


def load() -> list[Scenario]:
    """All scenarios, each on each path that it names."""
    described = json.loads((HERE / "scenarios.json").read_text())
    return [
        Scenario(name, path, _data(name, path, description))
        for name, description in described.items()
        for path in description.get("on", ("agent", "adapter"))
    ]


def _data(name: str, path: str, description: dict[str, Any]) -> dict[str, Any]:
    session = {"agentSession": {"agentName": "scripted"}} if path == "agent" else {}
    text = json.dumps(_steps(description), ensure_ascii=False, separators=(",", ":"))
    return {**request_data(text, f"{name}.{path}"), **session, **description.get("data", {})}


def request_data(text: str, thread_id: str) -> dict[str, Any]:
    """The ``data`` of a chat request on a thread whose one message is ``text``."""
    message = {"id": "user-1", "createdAt": MOMENT, "textMessage": {"role": "user", "content": text}}
    return {
        "metadata": {"requestType": "Chat"},
        "threadId": thread_id,
        "frontend": {"actions": [_SET_COLOR], "url": "http://page.invalid/"},
        "messages": [message],
    }


_SET_COLOR = {
    "name": "setColor",
    "description": "Paints the page",
    "jsonSchema": '{"type":"object","properties":{"color":{"type":"string"}},"required":["color"]}',
}


def _steps(description: dict[str, Any]) -> list[dict[str, Any]]:
    pace = {"after": description["pace"]} if "pace" in description else {}
    return [
        pace | {key: value for key, value in step.items() if key != "times"}
        for step in description["script"]
        for _ in range(step.get("times", 1))
    ]

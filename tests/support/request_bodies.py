"""Request bodies as the published client makes them."""

from __future__ import annotations

import json
from typing import Any

from tests.parity.scenarios import DOCUMENT

CREATED_AT = "2026-11-21T00:00:00.000Z"


def text_message(content: str, role: str = "user", id_: str = "m-1") -> dict[str, Any]:
    """A ``MessageInput`` that sends something."""
    return {"id": id_, "createdAt": CREATED_AT, "textMessage": {"role": role, "content": content}}


def action(name: str, **more: Any) -> dict[str, Any]:
    """An ``ActionInput`` without parameters."""
    return {"name": name, "description": name, "jsonSchema": '{"type":"object","properties":{}}', **more}


def generate(*messages: dict[str, Any], agent: str | None = None, **more: Any) -> dict[str, Any]:
    """A ``generateCopilotResponse`` request; ``more`` are further fields of ``data``."""
    data = {
        "threadId": "t-1",
        "metadata": {"requestType": "Chat"},
        "frontend": {"actions": []},
        "messages": list(messages),
        **more,
    }
    if agent is not None:
        data["agentSession"] = {"agentName": agent}
    return {
        "operationName": "generateCopilotResponse",
        "query": DOCUMENT.read_text(encoding="utf-8"),
        "variables": {"data": data, "properties": {}},
    }


def scripted(*steps: dict[str, Any], agent: str | None = "scripted", **more: Any) -> dict[str, Any]:
    """A request whose agent plays ``steps``; see ``tests.support.scripted_agent``."""
    return generate(text_message(json.dumps(steps)), agent=agent, **more)


def event(type_: str, **fields: Any) -> dict[str, Any]:
    """A step that emits an AG-UI event."""
    return {"event": {"type": type_, **fields}}


def text(id_: str, *deltas: str) -> list[dict[str, Any]]:
    """The steps of a whole text message."""
    return [
        event("TEXT_MESSAGE_START", messageId=id_),
        *(event("TEXT_MESSAGE_CONTENT", messageId=id_, delta=delta) for delta in deltas),
        event("TEXT_MESSAGE_END", messageId=id_),
    ]

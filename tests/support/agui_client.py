"""A bare AG-UI client: bodies of runs, and the events of their answers."""

from __future__ import annotations

import json
from typing import Any

import httpx

PATH = "/api/copilotkit"


def run_input(*messages: dict[str, Any], thread: str = "t", run: str = "r", **more: Any) -> dict[str, Any]:
    """A ``RunAgentInput``."""
    return {
        "threadId": thread,
        "runId": run,
        "messages": list(messages),
        "tools": [],
        "context": [],
        "state": {},
        "forwardedProps": {},
        **more,
    }


def user(text: str, id_: str = "u") -> dict[str, Any]:
    """A user's message."""
    return {"id": id_, "role": "user", "content": text}


def script(*steps: dict[str, Any], id_: str = "u") -> dict[str, Any]:
    """A user's message that has the scripted agent play ``steps``."""
    return user(json.dumps(steps), id_)


def say(text: str, id_: str = "a", **more: Any) -> list[dict[str, Any]]:
    """The steps of a scripted agent that sends ``text``."""
    return [
        {"event": {"type": "TEXT_MESSAGE_START", "messageId": id_}},
        {"event": {"type": "TEXT_MESSAGE_CONTENT", "messageId": id_, "delta": text}, **more},
        {"event": {"type": "TEXT_MESSAGE_END", "messageId": id_}},
    ]


def events_of(body: str) -> list[dict[str, Any]]:
    """The events of a whole stream; comments are left out."""
    frames = [frame for frame in body.split("\n\n") if frame and not frame.startswith(":")]
    assert all(frame.startswith("data: ") for frame in frames), frames
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


async def run(client: httpx.AsyncClient, agent: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Run an agent over REST; return the events."""
    response = await client.post(f"{PATH}/agent/{agent}/run", json=body)
    assert response.status_code == 200, response.text
    return events_of(response.text)


async def connect(client: httpx.AsyncClient, agent: str, thread: str = "t") -> list[dict[str, Any]]:
    """Connect to a thread over REST; return the events."""
    response = await client.post(f"{PATH}/agent/{agent}/connect", json=run_input(thread=thread, run="c"))
    assert response.status_code == 200, response.text
    return events_of(response.text)


def types_of(events: list[dict[str, Any]]) -> list[str]:
    """The types of events."""
    return [event["type"] for event in events]

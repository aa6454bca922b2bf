"""What crews and flows take besides texts, and what clients learn of it."""

from __future__ import annotations

from typing import Any

import pytest
from crewai.flow import Flow, start

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.crewai import CopilotKitState, CrewAIProvider
from tests.support.agui_client import PATH, run, run_input
from tests.support.local_server import client_of

from .guests import crew_of


class LookFlow(Flow[CopilotKitState]):
    """Tells what is in its messages."""

    @start()
    def look(self) -> str:
        [message] = self.state.messages
        return ", ".join(sorted(str(part) for part in message["content"]))


def image(source: str, value: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": source, "value": value, "mimeType": "image/png"}}


def media(kind: str) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "data", "value": "QUJD", "mimeType": f"{kind}/x"}}


def said_with(part: dict[str, Any]) -> dict[str, Any]:
    return run_input({"id": "u", "role": "user", "content": [{"type": "text", "text": "Look"}, part]})


def runtime() -> CopilotRuntime:
    make = crew_of("http://127.0.0.1:9/v1")
    return CopilotRuntime(providers=[CrewAIProvider({"crew": make(), "maker": make, "flow": LookFlow})])


async def test_info_lists_what_crews_and_flows_take() -> None:
    async with client_of(runtime()) as client:
        agents = (await client.get(f"{PATH}/info")).json()["agents"]
    shown = {name: agent["capabilities"] for name, agent in agents.items()}
    assert shown["crew"]["multimodal"]["input"] == dict.fromkeys(("image", "audio", "video", "pdf", "file"), False)
    assert shown["flow"]["multimodal"]["input"]["image"] is True
    assert shown["crew"]["tools"] == {"supported": True, "clientProvided": True}


@pytest.mark.parametrize(
    ("agent", "part"),
    [
        ("crew", image("data", "QUJD")),
        ("maker", image("data", "QUJD")),
        ("crew", media("audio")),
        ("flow", media("video")),
        ("flow", media("document")),
    ],
)
async def test_an_attachment_that_cannot_be_taken_is_reported(agent: str, part: dict[str, Any]) -> None:
    async with client_of(runtime()) as client:
        last = (await run(client, agent, said_with(part)))[-1]
    assert last["type"] == "RUN_ERROR"
    assert f"kind '{part['type']}'" in last["message"]


@pytest.mark.parametrize(
    ("part", "url"),
    [
        (image("data", "QUJD"), "data:image/png;base64,QUJD"),
        (image("url", "https://p.example/p.png"), "https://p.example/p.png"),
        ({"type": "binary", "mimeType": "image/png", "data": "QUJD"}, "data:image/png;base64,QUJD"),
    ],
)
async def test_a_flow_finds_pictures_in_its_messages_as_openai_has_them(part: dict[str, Any], url: str) -> None:
    async with client_of(runtime()) as client:
        events = await run(client, "flow", said_with(part))
    text = "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")
    assert str({"type": "image_url", "image_url": {"url": url}}) in text

"""What ``/info`` says of agents' abilities, and what becomes of attachments that an agent cannot take."""

from __future__ import annotations

from typing import Any

from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.agui import AGUIProvider
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.support.agui_client import PATH, run, run_input
from tests.support.local_server import client_of


class ToolState(MessagesState):
    copilotkit: dict[str, Any]


def graph(state: Any) -> Any:
    def answer(_: Any) -> dict[str, Any]:
        return {}

    return StateGraph(state).add_node("answer", answer).add_edge(START, "answer").compile()


async def events(_input: Any) -> Any:
    return
    yield


def runtime() -> CopilotRuntime:
    return CopilotRuntime(
        providers=[
            LangGraphProvider({"chat": graph(MessagesState), "tools": graph(ToolState)}),
            AGUIProvider({"guest": events}),
        ],
        model="anthropic:claude-sonnet-4",
    )


async def test_info_lists_what_each_agent_can_do() -> None:
    async with client_of(runtime()) as client:
        agents = (await client.get(f"{PATH}/info")).json()["agents"]
    shown = {name: agent["capabilities"] for name, agent in agents.items()}
    assert shown["chat"]["tools"] == {"clientProvided": False}
    assert shown["tools"]["tools"] == {"clientProvided": True}
    assert shown["chat"]["state"] == {"persistentState": True, "snapshots": True}
    assert shown["chat"]["humanInTheLoop"] == {"supported": True, "interrupts": True}
    assert shown["guest"]["multimodal"]["input"] == dict.fromkeys(("image", "audio", "video", "pdf", "file"), True)
    model = shown["default"]
    assert (model["multimodal"]["input"]["pdf"], model["multimodal"]["input"]["audio"]) == (True, False)
    assert model["tools"] == {"supported": True, "clientProvided": True, "parallelCalls": True}
    assert all(agent["transport"] == {"streaming": True, "resumable": True} for agent in shown.values())


async def test_an_attachment_that_a_model_cannot_take_is_reported() -> None:
    part = {"type": "audio", "source": {"type": "data", "value": "QUJD", "mimeType": "audio/wav"}}
    message = {"id": "u", "role": "user", "content": [{"type": "text", "text": "Look"}, part]}
    async with client_of(runtime()) as client:
        last = (await run(client, "default", run_input(message)))[-1]
    assert last["type"] == "RUN_ERROR"
    assert f"kind '{part['type']}'" in last["message"]


async def test_attachments_reach_a_graph_as_langchain_s_blocks_and_come_back() -> None:
    seen: list[Any] = []

    def look(state: MessagesState) -> dict[str, Any]:
        seen[:] = [block for message in state["messages"] for block in message.content]
        return {}

    compiled = StateGraph(MessagesState).add_node("look", look).add_edge(START, "look").compile()
    parts = [
        {"type": "audio", "source": {"type": "data", "value": "QUJD", "mimeType": "audio/wav"}},
        {"type": "document", "source": {"type": "data", "value": "REVG", "mimeType": "application/pdf"}},
        {"type": "video", "source": {"type": "url", "value": "https://v.example/v.mp4", "mimeType": "video/mp4"}},
        {"type": "image", "source": {"type": "url", "value": "https://p.example/p.png", "mimeType": "image/png"}},
    ]
    message = {"id": "u", "role": "user", "content": parts}
    async with client_of(CopilotRuntime(providers=[LangGraphProvider({"chat": compiled})])) as client:
        assert (await run(client, "chat", run_input(message)))[-1]["type"] == "RUN_FINISHED"
        again = {"id": "u2", "role": "user", "content": "And?"}
        assert (await run(client, "chat", run_input(message, again)))[-1]["type"] == "RUN_FINISHED"
        kept = (await client.get(f"{PATH}/threads/t/messages")).json()["messages"]
    assert seen[:4] == [
        {"type": "audio", "mime_type": "audio/wav", "base64": "QUJD"},
        {"type": "file", "mime_type": "application/pdf", "base64": "REVG"},
        {"type": "video", "mime_type": "video/mp4", "url": "https://v.example/v.mp4"},
        {"type": "image_url", "image_url": {"url": "https://p.example/p.png"}},
    ]
    assert "".join(seen[4:]) == "And?"
    assert next(each["id"] for each in kept if each["role"] == "user") == "u"

"""What vendors want back with the calls of an answer, turn by turn and process by process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copilotkit_runtime import CopilotRuntime
from tests.integration.models.asking import close
from tests.integration.models.vendor import FakeVendor, Reply
from tests.integration.models.wires import AnthropicWire, OpenAIWire, data, event
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import action, generate, text_message

MOMENT = "2026-11-20T00:00:00.000Z"
ARGUMENTS = '{"place":"Uri"}'


def openai_answer(delta: dict[str, Any], call: dict[str, Any]) -> list[str]:
    function = {"name": "weather", "arguments": ARGUMENTS}
    one = {"index": 0, "id": "call_0", "type": "function", "function": function, **call}
    chunks = [delta, {"tool_calls": [one]}]
    return [
        *(data({"id": "c", "choices": [{"index": 0, "delta": part}]}) for part in chunks if part),
        "data: [DONE]\n\n",
    ]


SIGNED = {"extra_content": {"google": {"thought_signature": "c2lnbmF0dXJl"}}}
DETAILS = [{"type": "reasoning.encrypted", "data": "x1", "index": 0}]
OPENAI: dict[str, tuple[list[str], dict[str, Any], dict[str, Any]]] = {
    "a signature": (openai_answer({}, SIGNED), {}, SIGNED),
    "reasoning": (openai_answer({"reasoning_content": "hm "}, {}), {"reasoning_content": "hm "}, {}),
    "empty reasoning": (openai_answer({"reasoning_content": ""}, {}), {"reasoning_content": ""}, {}),
    "details": (openai_answer({"reasoning_details": DETAILS}, {}), {"reasoning_details": DETAILS}, {}),
    "nothing": (openai_answer({"reasoning": "hm"}, {}), {}, {}),
}


def thread(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a client sends after a call: the call as it was shown, and its result."""
    messages = [text_message("weather?", id_="u")]
    for one in shown:
        if one["__typename"] == "ActionExecutionMessageOutput":
            call = {"name": one["name"], "arguments": "".join(one["arguments"])}
            call["parentMessageId"] = one["parentMessageId"]
            answered = {"actionExecutionId": one["id"], "actionName": one["name"], "result": "sunny"}
            messages.append({"id": one["id"], "createdAt": MOMENT, "actionExecutionMessage": call})
            messages.append({"id": f"r-{one['id']}", "createdAt": MOMENT, "resultMessage": answered})
    return messages


class Chat:
    """A client of a runtime that is made anew for each turn, over the same store."""

    def __init__(self, store: str, model: Callable[[], Any]) -> None:
        self._store = store
        self._model = model

    async def turn(self, *messages: dict[str, Any], thread_id: str = "t") -> list[dict[str, Any]]:
        model = self._model()
        async with client_of(CopilotRuntime(model=model, store=self._store)) as client:
            body = generate(*messages)
            body["variables"]["data"]["threadId"] = thread_id
            body["variables"]["data"]["frontend"]["actions"] = [action("weather")]
            answer = await ask(client, PATH, body)
        await close(model)
        shown: list[dict[str, Any]] = fold(answer.parts)["messages"]
        return shown


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.mark.parametrize("kind", list(OPENAI))
async def test_what_came_with_a_call_goes_back_after_a_restart(vendor: FakeVendor, store: str, kind: str) -> None:
    steps, with_message, with_call = OPENAI[kind]
    chat = Chat(store, lambda: OpenAIWire().model(vendor.url))
    vendor.replies(Reply(steps))
    shown = await chat.turn(text_message("weather?", id_="u"))
    assert "signature" not in str(shown)
    vendor.replies(Reply(OpenAIWire().text("ok")))
    await chat.turn(*thread(shown))
    function = {"name": "weather", "arguments": ARGUMENTS}
    [said] = [message for message in vendor.body["messages"] if message["role"] == "assistant"]
    call = {"id": "call_0", "type": "function", "function": function, **with_call}
    assert said == {"role": "assistant", "content": None, "tool_calls": [call], **with_message}


async def test_an_id_that_is_used_again_has_its_own_signature(vendor: FakeVendor, store: str) -> None:
    chat = Chat(store, lambda: OpenAIWire().model(vendor.url))
    messages: list[dict[str, Any]] = []
    for signature in ("one", "two"):
        vendor.replies(Reply(openai_answer({}, {"extra_content": {"google": {"thought_signature": signature}}})))
        messages.append(text_message("weather?", id_=f"u-{signature}"))
        messages += thread(await chat.turn(*messages))[1:]
    vendor.replies(Reply(OpenAIWire().text("ok")))
    await chat.turn(*messages)
    calls = [call for message in vendor.body["messages"] for call in message.get("tool_calls") or ()]
    assert [call["extra_content"]["google"]["thought_signature"] for call in calls] == ["one", "two"]


async def test_another_thread_and_another_vendor_get_nothing(vendor: FakeVendor, store: str) -> None:
    here, there = (
        Chat(store, lambda host=host: OpenAIWire().model_at(host, vendor.url)) for host in ("a.test", "b.test")
    )
    vendor.replies(Reply(openai_answer({"reasoning_content": "hm"}, SIGNED)))
    shown = await here.turn(text_message("weather?", id_="u"))
    vendor.replies(Reply(OpenAIWire().text("ok")))
    await here.turn(*thread(shown), thread_id="other")
    assert "reasoning_content" not in str(vendor.body)
    await there.turn(*thread(shown))
    assert "extra_content" not in str(vendor.body)
    await here.turn(*thread(shown))
    assert "extra_content" in str(vendor.body)


async def test_signed_thinking_comes_before_its_call_again(vendor: FakeVendor, store: str) -> None:
    def delta(kind: str, index: int, **fields: Any) -> str:
        return event("content_block_delta", index=index, delta={"type": kind, **fields})

    def block(index: int, start: dict[str, Any], *deltas: str) -> str:
        begun = event("content_block_start", index=index, content_block=start)
        return "".join([begun, *deltas, event("content_block_stop", index=index)])

    thinking = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        delta("thinking_delta", 0, thinking="I "),
        delta("thinking_delta", 0, thinking="think"),
        delta("signature_delta", 0, signature="c2ln"),
    )
    hidden = block(1, {"type": "redacted_thinking", "data": "eA=="})
    said = block(2, {"type": "text", "text": ""}, delta("text_delta", 2, text="Looking."))
    call = block(3, {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"place": "Uri"}})
    end = event("message_delta", delta={"stop_reason": "tool_use"}) + event("message_stop")
    chat = Chat(store, lambda: AnthropicWire().model(vendor.url))
    vendor.replies(Reply([event("message_start", message={"id": "msg_1"}), thinking, hidden, said, call, end]))
    shown = await chat.turn(text_message("weather?", id_="u"))
    text = next(one for one in shown if one["__typename"] == "TextMessageOutput")
    first, *rest = thread(shown)
    looking = text_message("Looking.", "assistant", text["id"])
    vendor.replies(Reply(AnthropicWire().text("ok")))
    await chat.turn(first, looking, *rest)
    assert vendor.body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "I think", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
        {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"place": "Uri"}},
    ]

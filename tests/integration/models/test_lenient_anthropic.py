"""Streams as gateways send them that speak Anthropic's protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from copilotkit_runtime.runtime.errors import CopilotKitError, ErrorCode, NetworkError
from copilotkit_runtime.runtime.events import Event, ReasoningMessageContent
from copilotkit_runtime.runtime.messages import Message, ToolCallMessage, ToolResultMessage
from tests.integration.models.asking import WEATHER, ask, called, run_of, said
from tests.integration.models.vendor import FakeVendor, Reply
from tests.integration.models.wires import AnthropicWire, event

pytest.importorskip("anthropic")

HEAD = event("message_start", message={"id": "msg_9", "role": "assistant"})
END = event("message_stop")


def start(index: Any = 0, /, **block: Any) -> str:
    return event("content_block_start", index=index, content_block=block)


def delta(kind: str, index: Any = 0, **fields: Any) -> str:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def stop(index: Any = 0) -> str:
    return event("content_block_stop", index=index)


def why(reason: Any, **more: Any) -> str:
    return event("message_delta", delta={"stop_reason": reason, **more})


async def answer(vendor: FakeVendor, *steps: str) -> list[Event]:
    vendor.replies(Reply(steps))
    return await ask(AnthropicWire().model(vendor.url), run_of(tools=[WEATHER]))


WHOLE = {"place": "Uri"}
CALL = {
    "whole in the start": [start(type="tool_use", id="t", name="weather", input=WHOLE), stop()],
    "whole in the start, as a text": [start(type="tool_use", id="t", name="weather", input=json.dumps(WHOLE)), stop()],
    "whole in the start, without a stop": [start(type="tool_use", id="t", name="weather", input=WHOLE)],
    "in the start and in deltas": [
        start(type="tool_use", id="t", name="weather", input=WHOLE),
        *(delta("input_json_delta", partial_json=part) for part in ('{"place"', ':"Uri"}')),
        stop(),
    ],
    "nulls": [
        start(None, type="tool_use", id="t", name="weather", input=None, text=None),
        delta("input_json_delta", None, partial_json=None, text=None),
        delta("input_json_delta", None, partial_json='{"place":"Uri"}'),
        stop(None),
    ],
    "an object as a piece": [
        start(type="tool_use", id="t", name="weather", input={}),
        delta("input_json_delta", partial_json=WHOLE),
        stop(),
    ],
    "numbers": [
        start("0", type="tool_use", id=3, name="weather", input={}),
        delta("input_json_delta", "0", partial_json='{"place":"Uri"}'),
        stop("0"),
    ],
    "sent twice": [start(type="tool_use", id="t", name="weather", input=WHOLE), stop()] * 2,
}


@pytest.mark.parametrize("shape", list(CALL))
async def test_a_call_keeps_its_arguments(vendor: FakeVendor, shape: str) -> None:
    events = await answer(vendor, HEAD, *CALL[shape], why("tool_use"), END)
    [(name, arguments)] = called(events).values()
    assert (name, json.loads(arguments)) == ("weather", WHOLE)


async def test_two_calls_under_one_number_are_two(vendor: FakeVendor) -> None:
    calls = [start(type="tool_use", id=id_, name="weather", input={"place": id_}) + stop() for id_ in ("a", "b")]
    events = await answer(vendor, HEAD, *calls, why("tool_use"), END)
    assert [json.loads(arguments)["place"] for _, arguments in called(events).values()] == ["a", "b"]


SO = [delta("text_delta", text="so"), stop()]
TEXT = {
    "null as text": [HEAD, start(type="text", text=None), *SO, why("end_turn"), END],
    "null as id": [event("message_start", message={"id": None}), start(type="text"), *SO, why("end_turn"), END],
    "no head": [start(type="text", text=""), *SO, why("end_turn"), END],
    "no end": [HEAD, start(type="text", text=""), *SO, why("end_turn")],
    "no reason": [HEAD, start(type="text", text=""), *SO, END],
    "no start": [HEAD, *SO, why("end_turn"), END],
    "all of it in the start": [HEAD, start(type="text", text="so"), stop(), why("end_turn"), END],
    "done in OpenAI's way": [HEAD, start(type="text", text=""), *SO, "data: [DONE]\n\n"],
    "pings": [HEAD, event("ping"), start(type="text", text=""), event("ping"), *SO, why("end_turn"), END],
}


@pytest.mark.parametrize("shape", list(TEXT))
async def test_a_text_is_read(vendor: FakeVendor, shape: str) -> None:
    assert said(await answer(vendor, *TEXT[shape])) == "so"


async def test_a_whole_message_in_the_place_of_a_stream_is_read(vendor: FakeVendor) -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "so"},
        {"type": "tool_use", "id": "t", "name": "weather", "input": WHOLE},
    ]
    body = {"id": "msg_9", "type": "message", "content": content, "stop_reason": "tool_use"}
    vendor.replies(Reply([json.dumps(body)], content_type="application/json"))
    events = await ask(AnthropicWire().model(vendor.url), run_of(tools=[WEATHER]))
    assert (said(events), called(events)) == ("so", {"t": ("weather", '{"place":"Uri"}')})
    assert [event.delta for event in events if isinstance(event, ReasoningMessageContent)] == ["hm"]


@pytest.mark.parametrize("reason", ["refusal", "max_tokens", "model_context_window_exceeded", "content_filtered"])
async def test_an_answer_that_is_withheld_is_a_failure(vendor: FakeVendor, reason: str) -> None:
    with pytest.raises(CopilotKitError, match=reason) as raised:
        await answer(vendor, HEAD, why(reason), END)
    assert raised.value.code is ErrorCode.UNKNOWN


async def test_a_refusal_is_reported_in_the_vendors_words(vendor: FakeVendor) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "This may not be answered."}
    with pytest.raises(CopilotKitError, match=r"This may not be answered\. \(refusal\)"):
        await answer(vendor, HEAD, why("refusal", stop_details=details), END)


async def test_a_refused_answer_to_a_result_is_not_the_result(vendor: FakeVendor) -> None:
    vendor.replies(Reply([HEAD, why("refusal"), END]))
    answered = ToolResultMessage(tool_call_id="t", tool_name="weather", result="sunny")
    thread: list[Message] = [ToolCallMessage(id="t", name="weather", arguments={}), answered]
    with pytest.raises(CopilotKitError, match="refusal"):
        await ask(AnthropicWire().model(vendor.url), run_of(thread))


@pytest.mark.parametrize(
    "error",
    [{"type": "error", "error": "gone"}, {"error": {"message": "gone"}}, {"object": "error", "message": "gone"}],
)
async def test_an_error_is_found_wherever_it_stands(vendor: FakeVendor, error: dict[str, Any]) -> None:
    with pytest.raises(CopilotKitError, match="Anthropic API error: gone"):
        await answer(vendor, HEAD, f"data: {json.dumps(error)}\n\n")


async def test_a_stream_that_breaks_off_in_a_block_is_broken(vendor: FakeVendor) -> None:
    with pytest.raises(NetworkError, match="ended before the answer was complete"):
        await answer(vendor, HEAD, start(type="tool_use", id="t", name="weather", input={}))


@pytest.mark.parametrize("text", [rb"\ud83c", b"\xff"])
async def test_what_is_not_a_character_is_replaced(vendor: FakeVendor, text: bytes) -> None:
    part = delta("text_delta", text="HALF").encode().replace(b"HALF", text)
    vendor.replies(Reply([HEAD, start(type="text", text=""), part, stop(), why("end_turn"), END]))
    assert said(await ask(AnthropicWire().model(vendor.url))) == "\ufffd"

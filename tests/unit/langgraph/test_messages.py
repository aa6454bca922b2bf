from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from copilotkit_runtime.providers.langgraph.content import images_of, reasoning_of, text_of, text_of_result
from copilotkit_runtime.providers.langgraph.messages import as_langchain, from_langchain, to_agui, to_langchain
from copilotkit_runtime.runtime.agui_messages import messages_to_agui
from copilotkit_runtime.runtime.messages import (
    ImageMessage,
    MediaMessage,
    Message,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
)

THREAD: list[Message] = [
    TextMessage(id="s", role="system", content="Be kind."),
    TextMessage(id="d", role="developer", content="Be brief."),
    TextMessage(id="u", role="user", content="hi"),
    ImageMessage(id="i", role="user", format="png", bytes="QQ=="),
    TextMessage(id="a", role="assistant", content="Painting."),
    ToolCallMessage(id="c1", name="paint", arguments={"x": [1]}, parent_message_id="a"),
    ToolCallMessage(id="c2", name="paint", arguments={}, parent_message_id="a"),
    ToolResultMessage(id="r1", tool_call_id="c1", tool_name="paint", result="red"),
    ToolResultMessage(id="r2", tool_call_id="c2", tool_name="paint", result="blue"),
]


def facts(message: Message) -> tuple[Any, ...]:
    names = ("id", "role", "content", "name", "arguments", "tool_call_id", "tool_name", "result", "format", "bytes")
    return (type(message), *(getattr(message, name, None) for name in names))


def test_a_thread_survives_the_trip_to_langchain_and_back() -> None:
    assert [facts(m) for m in from_langchain(to_langchain(THREAD))] == [facts(m) for m in THREAD]


def test_an_assistant_s_text_and_calls_are_one_message_for_langchain() -> None:
    converted = to_langchain(THREAD)

    assert [message.type for message in converted] == ["system", "system", "human", "human", "ai", "tool", "tool"]
    assert isinstance(converted[4], AIMessage)
    assert [call["id"] for call in converted[4].tool_calls] == ["c1", "c2"]
    assert converted[1].additional_kwargs == {"__openai_role__": "developer"}


def test_a_call_without_a_parent_is_a_message_of_its_own() -> None:
    (message,) = to_langchain([ToolCallMessage(id="c", name="paint", arguments={})])
    assert (message.id, message.type) == ("c", "ai")


def test_a_message_with_calls_and_no_text_is_only_its_calls() -> None:
    message = AIMessage(id="a", content="", tool_calls=[{"id": "c", "name": "paint", "args": {}}])
    (call,) = from_langchain([message])
    assert isinstance(call, ToolCallMessage)
    assert call.parent_message_id == "a"


def test_a_result_without_a_name_is_named_after_its_call() -> None:
    call = AIMessage(id="a", content="", tool_calls=[{"id": "c", "name": "paint", "args": {}}])
    result = from_langchain([call, ToolMessage(id="r", content="red", tool_call_id="c")])[-1]
    assert isinstance(result, ToolResultMessage)
    assert result.tool_name == "paint"


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
FILE = {"type": "file", "mime_type": "application/pdf", "base64": "JVBE"}


def test_what_a_person_sent_keeps_its_order() -> None:
    content: list[Any] = [FILE, {"type": "text", "text": "this"}, PICTURE, "or", " that"]
    message = HumanMessage(id="u", content=content)
    parts = from_langchain([message])
    shown = [part.content if isinstance(part, TextMessage) else type(part) for part in parts]
    assert shown == [MediaMessage, "this", ImageMessage, "or that"]
    assert [part.id for part in parts] == ["u", "u-1", "u-2", "u-3"]
    [again] = messages_to_agui(parts)
    assert again["id"] == "u"
    types = ["document", "text", "image", "text"]
    assert [part["type"] for part in again["content"]] == types
    [told] = to_agui([message])
    assert [part["type"] for part in told["content"]] == ["document", "text", "binary", "text"]
    kept = from_langchain(to_langchain(parts))
    assert [facts(part) for part in kept] == [facts(part) for part in parts]


def test_other_roles_keep_their_name_if_the_contract_has_it() -> None:
    said = from_langchain(
        [ChatMessage(id="1", role="developer", content="x"), ChatMessage(id="2", role="critic", content="y")]
    )
    assert [message.role for message in said if isinstance(message, TextMessage)] == ["developer", "user"]


def test_agui_shapes_carry_calls_and_results() -> None:
    assert to_agui(to_langchain(THREAD))[3:6] == [
        {"id": "i", "role": "user", "content": [{"type": "binary", "mimeType": "image/png", "data": "QQ=="}]},
        {
            "id": "a",
            "role": "assistant",
            "content": "Painting.",
            "toolCalls": [
                {"id": "c1", "type": "function", "function": {"name": "paint", "arguments": '{"x":[1]}'}},
                {"id": "c2", "type": "function", "function": {"name": "paint", "arguments": "{}"}},
            ],
        },
        {"id": "r1", "role": "tool", "content": "red", "toolCallId": "c1"},
    ]


@pytest.mark.parametrize("kept", [HumanMessage("hi"), {"role": "user", "content": "hi"}, ("user", "hi")])
def test_messages_are_read_in_every_spelling_that_a_state_may_hold(kept: Any) -> None:
    (message,) = as_langchain([kept])
    assert (message.type, message.content) == ("human", "hi")


def test_what_is_not_a_message_among_messages_is_left_out() -> None:
    kept = [{"sender": "Ada"}, HumanMessage("hi"), 7, {"type": "human"}]
    assert [message.content for message in as_langchain(kept)] == ["hi"]


@pytest.mark.parametrize("kept", [None, "text", 1, {}])
def test_what_is_not_a_list_of_messages_is_none(kept: Any) -> None:
    assert as_langchain(kept) == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (["a", {"type": "text", "text": "b"}, {"type": "tool_use", "id": "1"}, {"text": "c"}], "abc"),
        ([{"type": "output_text", "text": "x"}, {"type": "text"}], "x"),
        ({"type": "text", "text": "one"}, "one"),
        ([], ""),
        (None, ""),
    ],
)
def test_text_is_found_in_every_kind_of_content(content: Any, text: str) -> None:
    assert text_of(content) == text


@pytest.mark.parametrize(
    "message",
    [
        AIMessage([{"type": "thinking", "thinking": "hm"}]),
        AIMessage([{"type": "reasoning", "reasoning": "hm"}]),
        AIMessage([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}]),
        AIMessage("", additional_kwargs={"reasoning_content": "hm"}),
    ],
)
def test_reasoning_is_found_in_every_vendor_s_place(message: AIMessage) -> None:
    assert reasoning_of(message) == "hm"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
        {"type": "image_url", "image_url": "data:image/png;base64,QQ=="},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
        {"type": "image", "base64": "QQ==", "mime_type": "image/png"},
        {"type": "image", "source_type": "base64", "data": "QQ==", "mime_type": "image/png"},
        {"type": "image", "url": "data:image/png;base64,QQ=="},
    ],
)
def test_images_are_found_in_every_vendor_s_spelling(block: Any) -> None:
    assert list(images_of(["text", block])) == [("png", "QQ==")]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "image_url"},
        {"type": "image"},
        {"type": "file", "data": "QQ=="},
    ],
)
def test_what_holds_no_image_data_is_not_an_image(block: Any) -> None:
    assert list(images_of([block])) == []


def test_a_result_of_text_blocks_is_their_text() -> None:
    message = ToolMessage(content=[{"type": "text", "text": "a"}, "b"], tool_call_id="1")
    assert text_of_result(message) == "ab"


def test_a_system_message_is_a_system_message() -> None:
    (message,) = from_langchain([SystemMessage(id="s", content="x")])
    assert isinstance(message, TextMessage)
    assert message.role == "system"

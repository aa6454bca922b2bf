"""AG-UI message objects become a thread, and a thread AG-UI message objects, without loss where AG-UI keeps it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.runtime.agui_messages import messages_from_agui, messages_to_agui
from copilotkit_runtime.runtime.errors import UnsupportedMediaError
from copilotkit_runtime.runtime.media import messages_for
from copilotkit_runtime.runtime.messages import (
    ImageMessage,
    MediaMessage,
    ReasoningMessage,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
)

PNG = {"type": "image", "source": {"type": "data", "value": "AAAA", "mimeType": "image/png"}}
OLD_PNG = {"type": "binary", "mimeType": "image/png", "data": "AAAA"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["id", "role", "content", "toolCalls", "toolCallId", "name", "type", "source", "function"])
ROLES = st.sampled_from(["user", "assistant", "tool", "reasoning", "activity", "system", "developer"])


def call(id_: str, name: str = "f", arguments: str = '{"a":1}') -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


THREAD = [
    {"id": "s", "role": "system", "content": "be kind"},
    {"id": "d", "role": "developer", "content": "be brief"},
    {"id": "u", "role": "user", "content": "hi", "name": "Ada"},
    {"id": "r", "role": "reasoning", "content": "hm", "encryptedValue": "c2VhbGVk"},
    {"id": "a", "role": "assistant", "content": "calling", "toolCalls": [call("c1"), call("c2", "g", "{}")]},
    {"id": "t1", "role": "tool", "content": "ok", "toolCallId": "c1"},
    {"id": "a2", "role": "assistant", "toolCalls": [{**call("c3"), "encryptedValue": "c2VhbGVk"}]},
]
EVERYTHING = frozenset({"image", "image_url", "audio", "video", "document"})
PARTS: list[dict[str, Any]] = [
    PNG,
    OLD_PNG,
    {**PNG, "metadata": {"filename": "a.png"}},
    {**OLD_PNG, "filename": "a.png"},
    {"type": "image", "source": {"type": "url", "value": "https://x.test/a"}, "metadata": {"width": 3}},
    {"type": "image", "source": {"type": "url", "value": "https://a.test/b.png", "mimeType": "image/png"}},
    {"type": "audio", "source": {"type": "data", "value": "AAAA", "mimeType": "audio/wav"}},
    {"type": "video", "source": {"type": "url", "value": "https://a.test/b.mp4", "mimeType": "video/mp4"}},
    {"type": "document", "source": {"type": "data", "value": "AAAA", "mimeType": "application/pdf"}},
    {"type": "binary", "mimeType": "audio/wav", "data": "BBBB", "filename": "a.wav"},
    {"type": "binary", "mimeType": "application/pdf", "url": "https://a.test/c.pdf"},
]


def test_a_thread_goes_both_ways() -> None:
    assert messages_to_agui(messages_from_agui(THREAD)) == THREAD


def test_a_message_has_its_parts_as_messages_of_their_own() -> None:
    kinds = [type(message) for message in messages_from_agui(THREAD)]
    assert kinds == [
        *[TextMessage] * 3,
        ReasoningMessage,
        TextMessage,
        ToolCallMessage,
        ToolCallMessage,
        ToolResultMessage,
        ToolCallMessage,
    ]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part['type']}")
@pytest.mark.parametrize("text", [None, "look"])
def test_attachments_come_back_as_they_came(part: dict[str, Any], text: str | None) -> None:
    texts = [] if text is None else [{"type": "text", "text": text}]
    thread = [{"id": "u", "role": "user", "content": [*texts, part]}]
    assert messages_to_agui(messages_from_agui(thread)) == thread


def test_several_attachments_stay_one_message() -> None:
    thread = [{"id": "u", "role": "user", "content": PARTS[4:]}, {"id": "v", "role": "user", "content": "and?"}]
    assert messages_to_agui(messages_from_agui(thread)) == thread


@pytest.mark.parametrize("parts", [[PNG, OLD_PNG], [OLD_PNG, PNG]])
def test_an_attachment_sent_in_both_forms_is_kept_once(parts: list[dict[str, Any]]) -> None:
    [image] = messages_from_agui([{"id": "u", "role": "user", "content": parts}])
    assert isinstance(image, ImageMessage)
    assert not image.as_binary


def test_a_data_url_of_nothing_but_parameters_is_a_url() -> None:
    link = "data:image/gif" + ";a" * 1_000_000
    [message] = messages_from_agui([{"id": "u", "role": "user", "content": [{"type": "binary", "url": link}]}])
    assert message.url == link  # type: ignore[union-attr]


def test_a_data_url_is_data() -> None:
    part = {"type": "image", "source": {"type": "url", "value": "data:image/gif;base64,R0lG"}}
    [image] = messages_from_agui([{"id": "u", "role": "user", "content": [part]}])
    assert isinstance(image, ImageMessage)
    assert (image.format, image.bytes) == ("gif", "R0lG")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "source": {"type": "file", "value": "file-1", "provider": "openai"}},
        {"type": "document", "source": {"type": "data", "value": ""}},
        {"type": "video"},
        {"type": "binary", "mimeType": "text/csv", "id": "file-1"},
        {"type": "hologram", "source": {"type": "url", "value": "https://x.test"}},
    ],
    ids=lambda part: str(part["type"]),
)
def test_an_attachment_that_cannot_be_had_is_refused_and_not_left_out(part: dict[str, Any]) -> None:
    parts = [{"type": "text", "text": "look"}, part]
    thread = messages_from_agui([{"id": "u", "role": "user", "content": parts}])
    with pytest.raises(UnsupportedMediaError):
        messages_for(thread, EVERYTHING)
    turns = [{"id": "a", "role": "assistant", "content": "no"}, {"id": "v", "role": "user", "content": "?"}]
    later = messages_from_agui(turns)
    assert len(messages_for([*thread, *later], EVERYTHING)) == 3


def test_an_attachment_has_its_name_from_its_metadata() -> None:
    source = {"type": "data", "value": "JVBE", "mimeType": "application/pdf"}
    part = {"type": "document", "source": source, "metadata": {"filename": "a.pdf", "size": 3}}
    [document] = messages_from_agui([{"id": "u", "role": "user", "content": [part]}])
    assert isinstance(document, MediaMessage)
    assert document.filename == "a.pdf"


def written(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def test_adjacent_texts_of_one_message_are_joined() -> None:
    parts = [written("one"), written("two"), PNG]
    text, image = messages_from_agui([{"id": "u", "role": "user", "content": parts}])
    assert isinstance(text, TextMessage)
    assert (text.content, text.id, image.id) == ("one\ntwo", "u", "u-1")


OTHER_PNG = {"type": "image", "source": {"type": "data", "value": "BBBB", "mimeType": "image/png"}}
PDF = {"type": "document", "source": {"type": "url", "value": "https://a.test/b.pdf", "mimeType": "application/pdf"}}
ORDERS = [
    [PNG, written("what is this?")],
    [written("this"), PNG, written("or this"), PDF, written("?")],
    [PDF, PNG],
    [PNG, written("one"), OTHER_PNG],
]


@pytest.mark.parametrize("parts", ORDERS)
def test_texts_and_attachments_keep_their_order_both_ways(parts: list[dict[str, Any]]) -> None:
    thread = [{"id": "u", "role": "user", "content": parts}, {"id": "v", "role": "user", "content": "more"}]
    messages = messages_from_agui(thread)
    shown = [message.content if isinstance(message, TextMessage) else type(message) for message in messages[:-1]]
    kinds = {"image": ImageMessage, "document": MediaMessage}
    assert shown == [part["text"] if part["type"] == "text" else kinds[part["type"]] for part in parts]
    assert messages_to_agui(messages) == thread


def test_a_result_has_its_tools_name_from_the_list_or_from_elsewhere() -> None:
    results = [{"id": id_, "role": "tool", "toolCallId": id_, "content": "ok"} for id_ in ("c1", "old", "gone")]
    read = messages_from_agui([{"id": "a", "role": "assistant", "toolCalls": [call("c1")]}, *results], {"old": "g"})
    assert [m.tool_name for m in read if isinstance(m, ToolResultMessage)] == ["f", "g", "unknown"]


def test_an_answer_that_is_only_an_error_is_kept() -> None:
    [result] = messages_from_agui([{"id": "t", "role": "tool", "toolCallId": "c", "content": "", "error": "no luck"}])
    assert isinstance(result, ToolResultMessage)
    assert result.result == "no luck"


def test_activity_messages_have_no_place_in_a_thread() -> None:
    assert messages_from_agui([{"id": "x", "role": "activity", "activityType": "plan", "content": {}}]) == []


@given(st.lists(st.dictionaries(KEYS, JSON | ROLES, max_size=6) | JSON, max_size=5))
def test_whatever_is_in_the_list_is_read(items: list[Any]) -> None:
    written = messages_to_agui(messages_from_agui(items))
    assert all(isinstance(shape["id"], str) for shape in json.loads(json.dumps(written)))


def test_what_was_just_attached_and_cannot_be_taken_is_an_error() -> None:
    audio = MediaMessage(role="user", kind="audio", mime_type="audio/wav", data="AAAA")
    said = TextMessage(role="user", content="hear this")
    with pytest.raises(UnsupportedMediaError, match="audio/wav"):
        messages_for([said, audio], frozenset())
    assert messages_for([said, audio], frozenset({"audio"})) == [said, audio]


def test_what_was_attached_earlier_is_left_out() -> None:
    audio = MediaMessage(role="user", kind="audio", mime_type="audio/wav", data="AAAA")
    answer, more = TextMessage(role="assistant", content="no"), TextMessage(role="user", content="then read this")
    assert messages_for([audio, answer, more], frozenset()) == [answer, more]


def test_an_attachment_that_is_nowhere_cannot_be_taken() -> None:
    [lost] = messages_from_agui(
        [{"id": "u", "role": "user", "content": [{"type": "binary", "mimeType": "application/pdf", "id": "f-1"}]}]
    )
    assert messages_to_agui([lost])[0]["content"] == [{"type": "text", "text": "[document]"}]
    with pytest.raises(UnsupportedMediaError):
        messages_for([lost], frozenset({"document"}))


def test_reasoning_reaches_only_agents_that_want_it() -> None:
    thought = ReasoningMessage(content="hm")
    assert messages_for([thought], frozenset()) == []
    assert messages_for([thought], frozenset({"reasoning"})) == [thought]

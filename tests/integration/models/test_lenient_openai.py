"""Streams as servers send them that take after OpenAI's protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from copilotkit_runtime.runtime.context import Tool
from copilotkit_runtime.runtime.errors import CopilotKitError, ErrorCode, NetworkError
from copilotkit_runtime.runtime.events import Event, TextMessageStart, ToolCallEnd, ToolCallStart
from tests.integration.models.asking import WEATHER, ask, called, run_of, said
from tests.integration.models.vendor import FakeVendor, Reply
from tests.integration.models.wires import OpenAIWire, data

pytest.importorskip("openai")

DONE = "data: [DONE]\n\n"
ROLL = Tool(name="weather_today", description="", parameters={"type": "object"})


def chunk(delta: Any, finish: Any = None, **choice: Any) -> str:
    return data({"id": "x1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **choice}]})


def piece(finish: Any = None, **call: Any) -> str:
    return chunk({"tool_calls": [call]}, finish)


def function(name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    return {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}


async def answer(vendor: FakeVendor, *steps: str | bytes) -> list[Event]:
    vendor.replies(Reply(steps))
    return await ask(OpenAIWire().model(vendor.url), run_of(tools=[WEATHER, ROLL]))


def calls(events: list[Event]) -> list[tuple[str, str]]:
    assert sum(isinstance(event, ToolCallEnd) for event in events) == len(called(events))
    return list(called(events).values())


REASONS = ["", "null", "NULL", "None", "stop", "length", "tool_calls"]


@pytest.mark.parametrize("reason", REASONS)
async def test_a_reason_to_finish_on_every_chunk_cuts_no_text(vendor: FakeVendor, reason: str) -> None:
    words = [chunk({"content": word}, reason) for word in ("It ", "rains", ".")]
    events = await answer(vendor, *words, chunk({}, "stop"), DONE)
    assert said(events) == "It rains."
    assert sum(isinstance(event, TextMessageStart) for event in events) == 1


@pytest.mark.parametrize("reason", REASONS)
async def test_a_reason_to_finish_on_every_chunk_cuts_no_arguments(vendor: FakeVendor, reason: str) -> None:
    pieces = [
        piece(reason, index=0, id="a", function=function("weather", "")),
        *(piece(reason, index=0, function=function(arguments=part)) for part in ('{"pla', 'ce": "Uri"', "}")),
        piece(reason, index=1, id="b", function=function("weather", '{"place":')),
        piece(reason, index=1, function=function(arguments='"Zug"}')),
    ]
    events = await answer(vendor, *pieces, DONE)
    assert calls(events) == [("weather", '{"place": "Uri"}'), ("weather", '{"place":"Zug"}')]


async def test_a_reason_to_finish_without_done_is_an_end(vendor: FakeVendor) -> None:
    assert said(await answer(vendor, chunk({"content": "so"}, "stop"))) == "so"


@pytest.mark.parametrize("reason", ["", "null"])
async def test_no_reason_and_no_done_is_a_broken_stream(vendor: FakeVendor, reason: str) -> None:
    with pytest.raises(NetworkError, match="ended before the answer was complete"):
        await answer(vendor, chunk({"content": "so"}, reason))


URI = '{"place":"Uri"}'
ONE_CALL = {
    "the id first": [
        piece(index=0, id="a", function={"arguments": ""}),
        piece(index=0, id="a", function=function("weather", URI)),
    ],
    "the id last": [
        piece(index=0, function=function("weather", URI[:5])),
        piece(index=0, id="a", function=function(None, URI[5:])),
    ],
    "arguments first": [
        piece(index=0, id="a", function=function(None, URI[:5])),
        piece(index=0, function=function(None, URI[5:9])),
        piece(index=0, function=function("weather", URI[9:])),
    ],
    "the name in pieces": [
        *(piece(index=0, id="a", function=function(part, "")) for part in ("we", "ath", "er")),
        piece(index=0, function=function(None, URI)),
    ],
    "the name growing": [
        *(piece(index=0, id="a", function=function(part)) for part in ("wea", "weather")),
        piece(index=0, function=function(None, URI)),
    ],
    "the name with every piece": [
        *(piece(index=0, id="a", function=function("weather", part)) for part in (URI[:4], URI[4:])),
    ],
    "no number, id with every piece": [
        *(piece(id="a", function=function("weather", part)) for part in (URI[:4], URI[4:])),
    ],
    "another id with every piece": [
        piece(index=0, id="a", function=function("weather", "")),
        piece(index=0, id="b", function=function(None, URI)),
    ],
    "sent twice": [piece(index=0, id="a", function=function("weather", URI))] * 2,
    "sent twice, once in pieces": [
        piece(index=0, id="a", function=function("weather", URI)),
        piece(index=0, id="a", function=function("weather", "")),
        *(piece(index=0, function=function(None, part)) for part in (URI[:5], URI[5:])),
    ],
    "sent twice, under two numbers": [
        piece(index=0, id="a", function=function("weather", URI)),
        piece(index=1, id="a", function=function("weather", '{ "place": "Uri" }')),
    ],
    "whole at the end again": [
        piece(index=0, id="a", function=function("weather", URI[:5])),
        piece(index=0, function=function(None, URI[5:])),
        chunk({}, "tool_calls", message={"tool_calls": [{"id": "a", "function": function("weather", URI)}]}),
    ],
    "a placeholder first": [
        piece(index=0, id="a", function=function("weather", "{}")),
        piece(index=0, function=function(None, URI)),
    ],
    "an object for arguments": [piece(index=0, id="a", function=function("weather", {"place": "Uri"}))],
    "a number as id": [piece(index=0, id=7, function=function("weather", URI))],
    "a text as number": [
        piece(index="0", id="a", function=function("weather", URI[:5])),
        piece(index="0", function=function(None, URI[5:])),
    ],
    "null as number": [
        piece(index=None, id="a", function=function("weather", URI[:5])),
        piece(index=None, id=None, function=function(None, URI[5:])),
    ],
    "not in a list": [chunk({"tool_calls": {"index": 0, "id": "a", "function": function("weather", URI)}})],
    "the older form": [
        chunk({"function_call": function("weather", "")}),
        chunk({"function_call": function(None, URI)}),
    ],
    "white space behind": [
        piece(index=0, id="a", function=function("weather", URI)),
        piece(index=0, id="a", function=function(None, " ")),
        piece(index=0, function=function(None, "\n")),
    ],
}


@pytest.mark.parametrize("shape", list(ONE_CALL))
async def test_one_call_is_one_call(vendor: FakeVendor, shape: str) -> None:
    events = await answer(vendor, *ONE_CALL[shape], chunk({}, "tool_calls"), DONE)
    [(name, arguments)] = calls(events)
    assert (name, json.loads(arguments)) == ("weather", {"place": "Uri"})


A, B = function("weather", '{"place":"Uri"}'), function("weather", '{"place":"Zug"}')
TWO_CALLS = {
    "one number, no ids": [piece(index=0, function=A), piece(index=0, function=B)],
    "one number, empty ids": [piece(index=0, id="", function=A), piece(index=0, id="", function=B)],
    "no number, no ids": [piece(function=A), piece(function=B)],
    "no number, no ids, one chunk": [chunk({"tool_calls": [{"function": A}, {"function": B}]})],
    "one number, ids": [piece(index=0, id="a", function=A), piece(index=0, id="b", function=B)],
    "one id, two numbers": [piece(index=0, id="a", function=A), piece(index=1, id="a", function=B)],
    "one id, no number": [piece(id="a", function=A), piece(id="a", function=B)],
    "no number, in pieces": [
        piece(id="a", function=function("weather", '{"place":')),
        piece(function=function(None, '"Uri"}')),
        piece(id="b", function=function("weather", '{"place":')),
        piece(function=function(None, '"Zug"}')),
    ],
    "one number, ids first": [
        piece(index=0, id="a", function={}),
        piece(index=0, id="a", function=A),
        piece(index=0, id="b", function={}),
        piece(index=0, id="b", function=B),
    ],
}


@pytest.mark.parametrize("shape", list(TWO_CALLS))
async def test_two_calls_are_two_calls(vendor: FakeVendor, shape: str) -> None:
    events = await answer(vendor, *TWO_CALLS[shape], chunk({}, "tool_calls"), DONE)
    assert [json.loads(arguments)["place"] for _, arguments in calls(events)] == ["Uri", "Zug"]
    assert {name for name, _ in calls(events)} == {"weather"}


async def test_two_calls_without_arguments_of_one_number_are_distinguished_by_name(vendor: FakeVendor) -> None:
    pieces = [piece(index=0, function=function("weather", "")), piece(index=0, function=function("weather_today", ""))]
    assert calls(await answer(vendor, *pieces, DONE)) == [("weather", "{}"), ("weather_today", "{}")]


@pytest.mark.parametrize("nothing", ["", "{}", "null", None])
async def test_a_call_without_arguments_gets_an_object(vendor: FakeVendor, nothing: str | None) -> None:
    events = await answer(vendor, piece(index=0, id="a", function=function("weather", nothing)), DONE)
    assert calls(events) == [("weather", "{}")]


async def test_a_tool_whose_name_begins_another_is_called_by_its_own(vendor: FakeVendor) -> None:
    pieces = [piece(index=0, id="a", function=function(part)) for part in ("weather", "_today")]
    assert calls(await answer(vendor, *pieces, DONE)) == [("weather_today", "{}")]


async def test_a_tool_that_does_not_exist_is_shown_as_called(vendor: FakeVendor) -> None:
    events = await answer(vendor, piece(index=0, id="a", function=function("magic", '{"a":1}')), DONE)
    assert calls(events) == [("magic", '{"a":1}')]


@pytest.mark.parametrize(
    ("content", "expected"),
    [(42, "42"), ({"type": "text", "text": "so"}, "so"), (["a", {"text": "b"}], "ab"), (1.5, "1.5")],
)
async def test_a_text_of_another_type_is_read(vendor: FakeVendor, content: Any, expected: str) -> None:
    assert said(await answer(vendor, chunk({"content": content}), DONE)) == expected


@pytest.mark.parametrize("index", [None, "0", 0.0])
async def test_a_choices_number_of_another_type_is_read(vendor: FakeVendor, index: Any) -> None:
    assert said(await answer(vendor, chunk({"content": "so"}, index=index), DONE)) == "so"


async def test_ids_that_are_numbers_are_texts(vendor: FakeVendor) -> None:
    body = {"id": 12, "choices": [{"delta": {"content": "so"}}]}
    [start, *_] = await answer(vendor, data(body), DONE)
    assert isinstance(start, TextMessageStart)
    assert start.message_id == "12"


async def test_a_whole_answer_in_the_place_of_a_stream_is_read(vendor: FakeVendor) -> None:
    call = {"id": "a", "type": "function", "function": A}
    body = {"id": "c", "choices": [{"message": {"content": "so", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    vendor.replies(Reply([json.dumps(body, indent=1)], content_type="application/json"))
    events = await ask(OpenAIWire().model(vendor.url), run_of(tools=[WEATHER]))
    assert (said(events), calls(events)) == ("so", [("weather", URI)])


STREAMS: dict[str, list[bytes]] = {
    "halves in two chunks": [rb"snow \ud83c", rb"\udf28!"],
    "halves as bytes": [b"snow \xf0\x9f\x8c\xa8!"],
}


@pytest.mark.parametrize("shape", list(STREAMS))
async def test_a_character_may_be_cut_apart(vendor: FakeVendor, shape: str) -> None:
    parts = [b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % text for text in STREAMS[shape]]
    assert said(await answer(vendor, *parts, DONE.encode())) == "snow \U0001f328!"


@pytest.mark.parametrize("text", [rb"a\ud83c", rb"a\udf28", b"a\xff", rb"a\ud83c\ud83c"[:7]])
async def test_what_is_not_a_character_is_replaced(vendor: FakeVendor, text: bytes) -> None:
    part = b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % text
    assert said(await answer(vendor, part, DONE.encode())) == "a\ufffd"


async def test_arguments_may_be_cut_within_a_character(vendor: FakeVendor) -> None:
    whole = piece(index=0, id="a", function=function("weather", '{"place":"HALF'))
    rest = piece(index=0, function=function(None, 'HALF"}'))
    parts = [whole.replace("HALF", r"\ud83c"), rest.replace("HALF", r"\udf28")]
    [(_, arguments)] = calls(await answer(vendor, *parts, DONE))
    assert json.loads(arguments) == {"place": "\U0001f328"}


WORD = '{"choices":[{"delta":{"content":"so"}}]}'
FRAMES = {
    "a byte order mark": "\ufeffdata: %s\n\ndata: [DONE]\n\n",
    "carriage returns": "data: %s\r\rdata: [DONE]\r\r",
    "both line ends": "data: %s\r\n\r\ndata: [DONE]\r\n\r\n",
    "no blank lines": "data: %s\ndata: [DONE]\n",
    "no space": "data:%s\n\ndata:[DONE]\n\n",
    "other fields and comments": ": hi\nevent: message\nid: 1\ndata: %s\n\n: bye\n\ndata: [DONE]\n\n",
    "keep-alives as data": "data: ping\n\ndata:\n\ndata: %s\n\ndata: keep-alive\n\ndata: [DONE]\n\n",
}


@pytest.mark.parametrize("frame", list(FRAMES))
async def test_an_event_stream_may_be_framed_in_any_way(vendor: FakeVendor, frame: str) -> None:
    stream = (FRAMES[frame] % WORD).encode()
    assert said(await answer(vendor, stream)) == "so"
    assert said(await answer(vendor, *(stream[place : place + 1] for place in range(len(stream))))) == "so"


async def test_data_of_several_lines_is_one_event(vendor: FakeVendor) -> None:
    lines = json.dumps(json.loads(WORD), indent=1).splitlines()
    assert len(lines) > 3
    stream = "".join(f"data: {line}\n" for line in lines)
    assert said(await answer(vendor, f"{stream}\n{DONE}")) == "so"


async def test_each_event_without_a_blank_line_arrives_before_the_next_is_sent(vendor: FakeVendor) -> None:
    events = await answer(vendor, f"data: {WORD}\n", f"data: {WORD}\n", "data: [DONE]\n")
    assert said(events) == "soso"


ERRORS: dict[str, tuple[Any, str, int]] = {
    "object error": ({"object": "error", "message": "too long", "code": 400}, "400 too long", 400),
    "error type": (
        {"choices": None, "error_type": "RateLimitError", "error_message": "slow down"},
        "429 slow down",
        429,
    ),
    "error code": ({"text": "NETWORK ERROR", "error_code": 50001}, "NETWORK ERROR", 503),
    "detail": ({"detail": "Not authenticated"}, "Not authenticated", 503),
    "detail of a validation": ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required", 503),
    "errors": ({"errors": [{"message": "no credit", "code": 402}]}, "402 no credit", 402),
    "base_resp": (
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        "insufficient balance",
        503,
    ),
    "a text": ({"error": "model is loading"}, "model is loading", 503),
    "a nested text": ({"error": {"message": '{"error":{"message":"deep down"}}', "code": "429"}}, "429 deep down", 429),
    "type error": ({"type": "error", "error": {"type": "overloaded_error", "message": "later"}}, "529 later", 529),
    "a list": ([{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}], "503 busy", 503),
    "no words": ({"error": {"code": 500}}, "500", 500),
    "success false": ({"success": False, "message": "quota used up"}, "quota used up", 503),
    "in a choice": ({"choices": [{"delta": {}, "error": {"message": "cut", "code": 502}}]}, "502 cut", 502),
}


@pytest.mark.parametrize("kind", list(ERRORS))
@pytest.mark.parametrize("started", [False, True])
async def test_an_error_is_found_wherever_it_stands(vendor: FakeVendor, kind: str, started: bool) -> None:
    body, text, status = ERRORS[kind]
    before = [chunk({"content": "half"})] if started else []
    with pytest.raises(CopilotKitError) as raised:
        await answer(vendor, *before, data(body), DONE)
    assert raised.value.message == f"OpenAI API error: {text}"
    assert raised.value.status_code == status


@pytest.mark.parametrize("kind", list(ERRORS))
async def test_an_error_with_status_200_is_an_error(vendor: FakeVendor, kind: str) -> None:
    body, text, _ = ERRORS[kind]
    vendor.replies(Reply([json.dumps(body)], content_type="application/json"))
    with pytest.raises(CopilotKitError) as raised:
        await ask(OpenAIWire().model(vendor.url))
    assert raised.value.message == f"OpenAI API error: {text}"


@pytest.mark.parametrize("kind", ["a list", "errors", "detail of a validation", "a nested text"])
async def test_the_body_of_a_refusal_is_reported_in_the_vendors_words(vendor: FakeVendor, kind: str) -> None:
    body, text, _ = ERRORS[kind]
    vendor.replies(Reply([json.dumps(body)], 422, "application/json"))
    with pytest.raises(CopilotKitError) as raised:
        await ask(OpenAIWire().model(vendor.url))
    words = text.lstrip("0123456789 ")
    assert raised.value.message == f"OpenAI API error: 422 {words}"


async def test_an_error_in_plain_text_is_reported(vendor: FakeVendor) -> None:
    with pytest.raises(CopilotKitError, match="OpenAI API error: upstream is gone"):
        await answer(vendor, "event: error\ndata: upstream is gone\n\n")


async def test_numbers_about_the_answer_are_no_error(vendor: FakeVendor) -> None:
    about: dict[str, Any] = {
        "id": "x",
        "object": "chat.completion.chunk",
        "choices": [],
        "usage": {"total_tokens": 3},
        "error": None,
    }
    assert said(await answer(vendor, data(about), chunk({"content": "so"}), data(about), DONE)) == "so"


WITHHELD = ["content_filter", "refusal", "length", "SAFETY", "malformed_function_call", "error", "tool_calls"]


@pytest.mark.parametrize("reason", WITHHELD)
async def test_an_answer_that_is_withheld_is_a_failure(vendor: FakeVendor, reason: str) -> None:
    with pytest.raises(CopilotKitError, match=reason) as raised:
        await answer(vendor, chunk({"role": "assistant", "content": ""}), chunk({}, reason), DONE)
    assert raised.value.code is ErrorCode.UNKNOWN


@pytest.mark.parametrize("steps", [[DONE], [chunk({"role": "assistant", "content": ""}), DONE], [chunk({}), DONE]])
async def test_a_stream_without_an_answer_is_a_failure(vendor: FakeVendor, steps: list[str]) -> None:
    with pytest.raises(CopilotKitError, match="ended without an answer"):
        await answer(vendor, *steps)


async def test_an_answer_of_nothing_that_was_meant_is_none(vendor: FakeVendor) -> None:
    assert await answer(vendor, chunk({"content": ""}), chunk({}, "stop"), DONE) == []


@pytest.mark.parametrize("reason", ["content_filter", "length"])
async def test_what_was_sent_before_a_filter_stays(vendor: FakeVendor, reason: str) -> None:
    assert said(await answer(vendor, chunk({"content": "half"}), chunk({}, reason), DONE)) == "half"


async def test_a_call_starts_as_soon_as_its_name_is_certain(vendor: FakeVendor) -> None:
    events = await answer(vendor, piece(index=0, id="a", function=function("weather_today", "")), DONE)
    assert isinstance(events[0], ToolCallStart)

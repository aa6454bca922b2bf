"""Ids that a vendor uses again on a thread."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from copilotkit_runtime.runtime.call_ids import vendor_id
from copilotkit_runtime.runtime.events import Event, TextMessageStart, ToolCallEnd, ToolCallStart
from copilotkit_runtime.runtime.messages import Message, TextMessage, ToolCallMessage, ToolResultMessage
from tests.integration.models.asking import WEATHER, ask, called, run_of
from tests.integration.models.vendor import FakeVendor, Reply
from tests.integration.models.wires import AnthropicWire, Called, OpenAIWire, Wire


def person(text: str) -> Message:
    return TextMessage(role="user", content=text)


def call(call_id: str, place: str, parent: str | None = None) -> Message:
    return ToolCallMessage(id=call_id, name="weather", arguments={"place": place}, parent_message_id=parent)


def result(call_id: str, text: str) -> Message:
    return ToolResultMessage(tool_call_id=call_id, tool_name="weather", result=text)


async def turn(vendor: FakeVendor, wire: Wire, thread: list[Message], *steps: Any) -> list[Event]:
    vendor.replies(Reply(steps))
    return await ask(wire.model(vendor.url), run_of(thread, tools=[WEATHER]))


def pairs(body: dict[str, Any]) -> list[tuple[str, str]]:
    """The place asked for and the result, of each call in a request, joined by id."""
    asked: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for message in body["messages"]:
        for one in message.get("tool_calls") or ():
            assert one["id"] not in asked
            asked[one["id"]] = json.loads(one["function"]["arguments"])["place"]
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] == "tool_use":
                assert block["id"] not in asked
                asked[block["id"]] = block["input"]["place"]
            elif block["type"] == "tool_result":
                found.append((asked[block["tool_use_id"]], block["content"]))
        if message["role"] == "tool":
            found.append((asked[message["tool_call_id"]], message["content"]))
    return found


@pytest.fixture(params=[OpenAIWire, AnthropicWire])
def wire(request: pytest.FixtureRequest) -> Wire:
    return request.param()


@pytest.mark.parametrize("call_id", ["call_0", "functions.weather:0", "0", "call_0.ck00000000"])
async def test_calls_of_one_id_are_distinguished_turn_by_turn(vendor: FakeVendor, wire: Wire, call_id: str) -> None:
    thread: list[Message] = []
    for place in ("Uri", "Zug", "Jura"):
        thread.append(person(place))
        steps = [*wire.head(), *wire.calls(Called(call_id, "weather", (json.dumps({"place": place}),))), *wire.tail()]
        events = await turn(vendor, wire, thread, *steps)
        [id_] = called(events)
        assert id_ not in {message.id for message in thread}
        assert call_id in (id_, vendor_id(id_))
        thread += [call(id_, place, _parent(events)), result(id_, f"{place} is sunny")]
    await turn(vendor, wire, thread, *wire.text("ok"))
    assert pairs(vendor.body) == [(place, f"{place} is sunny") for place in ("Uri", "Zug", "Jura")]


async def test_an_answers_id_that_is_used_again_gives_each_answer_its_own(vendor: FakeVendor, wire: Wire) -> None:
    first = await turn(vendor, wire, [person("a")], *wire.text("one"))
    [id_] = [event.message_id for event in first if isinstance(event, TextMessageStart)]
    thread = [person("a"), TextMessage(id=id_, role="assistant", content="one"), person("b")]
    second = await turn(vendor, wire, thread, *wire.text("two"))
    [other] = [event.message_id for event in second if isinstance(event, TextMessageStart)]
    assert other != id_


async def test_a_vendor_reads_its_own_id_once_the_other_call_is_gone(vendor: FakeVendor) -> None:
    await turn(vendor, OpenAIWire(), [person("a"), call("call_0.ck12345678", "Uri")], *OpenAIWire().text("ok"))
    assert vendor.body["messages"][1]["tool_calls"][0]["id"] == "call_0"
    assert vendor.body["messages"][2]["tool_call_id"] == "call_0"


async def test_a_thread_that_holds_an_id_twice_loses_no_call(vendor: FakeVendor, wire: Wire) -> None:
    thread = [
        person("a"),
        call("call_0", "Uri", "m"),
        result("call_0", "wet"),
        person("b"),
        call("call_0", "Zug", "m"),
        result("call_0", "dry"),
        call("call_0", "Zug", "m"),
        result("call_0", "cold"),
        person("c"),
    ]
    await turn(vendor, wire, thread, *wire.text("ok"))
    assert pairs(vendor.body) == [("Uri", "wet"), ("Zug", "dry"), ("Zug", "cold")]


async def test_a_callables_events_are_renamed(vendor: FakeVendor) -> None:
    async def model() -> AsyncIterator[Event]:
        yield ToolCallStart(tool_call_id="call_0", tool_call_name="weather")
        yield ToolCallEnd(tool_call_id="call_0")

    events = await ask(model, run_of([person("a"), call("call_0", "Uri")]))
    assert {event.tool_call_id for event in events} & {"call_0"} == set()  # type: ignore[union-attr]
    assert {vendor_id(event.tool_call_id) for event in events} == {"call_0"}  # type: ignore[union-attr]


async def test_two_ids_that_anthropic_cannot_distinguish_stay_two(vendor: FakeVendor) -> None:
    thread = [person("a"), call("c:1", "Uri"), call("c.1", "Zug"), result("c:1", "wet"), result("c.1", "dry")]
    await turn(vendor, AnthropicWire(), thread, *AnthropicWire().text("ok"))
    assert pairs(vendor.body) == [("Uri", "wet"), ("Zug", "dry")]


def _parent(events: list[Event]) -> str | None:
    return next(event.parent_message_id for event in events if isinstance(event, ToolCallStart))

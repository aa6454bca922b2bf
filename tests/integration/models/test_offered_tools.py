"""Tools whose names and schemas a vendor refuses are offered, called and remembered under others, on every wire."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from copilotkit_runtime.runtime.context import ForwardedParameters, Tool
from copilotkit_runtime.runtime.messages import Message, TextMessage, ToolCallMessage, ToolResultMessage
from tests.integration.models.asking import WEATHER, ask, called, run_of
from tests.integration.models.vendor import FakeVendor, Reply
from tests.integration.models.wires import AnthropicWire, Called, LangChainWire, OpenAIWire, Wire

NAMES = [
    "calendar.listEvents",
    "x" * 65,
    "9lives",
    "größe/höhe",
    "a b",
    "-dash",
    "🙂",
    "ns:tool",
    "calendar_listEvents",
]
TAKEN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")


@pytest.fixture(params=[OpenAIWire, AnthropicWire, LangChainWire])
def plain_wire(request: pytest.FixtureRequest) -> Wire:
    wire: Wire = request.param()
    return wire


def tool(name: str, parameters: Any = None) -> Tool:
    return Tool(name=name, description=f"Does {name}", parameters={} if parameters is None else parameters)


def offered(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The offered tools' schemas by name, whichever the wire."""
    tools = [one.get("function", one) for one in body["tools"]]
    return {one["name"]: one.get("parameters", one.get("input_schema")) for one in tools}


async def names_sent(vendor: FakeVendor, wire: Wire, *tools: Tool) -> list[str]:
    vendor.streams(*wire.text("ok"))
    await ask(wire.model(vendor.url), run_of(tools=list(tools)))
    return list(offered(vendor.body))


async def test_names_are_sent_as_vendors_take_them(vendor: FakeVendor, plain_wire: Wire) -> None:
    sent = await names_sent(vendor, plain_wire, *map(tool, NAMES))
    assert len(set(sent)) == len(NAMES)
    assert all(TAKEN.fullmatch(name) for name in sent)
    assert sent[-1] == "calendar_listEvents"


async def test_a_name_that_vendors_take_is_sent_as_it_is(vendor: FakeVendor, plain_wire: Wire) -> None:
    names = ["weather", "get-Weather_2", "_x", "y" * 64]
    assert await names_sent(vendor, plain_wire, *map(tool, names)) == names


async def test_a_call_comes_back_under_the_tools_own_name(vendor: FakeVendor, plain_wire: Wire) -> None:
    for name in NAMES:
        vendor.forget()
        [*_, sent] = await names_sent(vendor, plain_wire, WEATHER, tool(name))
        vendor.forget()
        vendor.streams(*plain_wire.head(), *plain_wire.calls(Called("c1", sent, ('{"a":', "1}"))), *plain_wire.tail())
        events = await ask(plain_wire.model(vendor.url), run_of(tools=[WEATHER, tool(name)]))
        assert [(found, json.loads(arguments)) for found, arguments in called(events).values()] == [(name, {"a": 1})]


async def test_history_choice_and_instructions_use_the_name_that_is_sent(vendor: FakeVendor, plain_wire: Wire) -> None:
    thread: list[Message] = [
        TextMessage(role="system", content="Tools:\n\n- calendar.listEvents: lists\n- weather: tells"),
        TextMessage(role="user", content="q"),
        ToolCallMessage(id="c1", name="calendar.listEvents", arguments={}),
        ToolResultMessage(tool_call_id="c1", tool_name="calendar.listEvents", result="none"),
        ToolCallMessage(id="c2", name="gone.tool", arguments={}),
        ToolResultMessage(tool_call_id="c2", tool_name="gone.tool", result="gone"),
    ]
    forwarded = ForwardedParameters(tool_choice="function", tool_choice_function_name="calendar.listEvents")
    vendor.streams(*plain_wire.text("ok"))
    run = run_of(thread, tools=[WEATHER, tool("calendar.listEvents")], forwarded=forwarded)
    await ask(plain_wire.model(vendor.url), run)
    sent = json.dumps(vendor.body)
    assert "gone_tool" in sent
    assert '"gone.tool"' not in sent
    assert '"name": "calendar.listEvents"' not in sent
    assert "- calendar_listEvents: lists" in vendor.body.get("system", sent).replace("\\n", "\n")
    # The call in history, the tool itself, and the choice of it; the instructions besides.
    assert sent.count("calendar_listEvents") == 4


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
        {"oneOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}]},
    ],
    ids=["empty", "no properties", "anyOf", "oneOf"],
)
async def test_schemas_are_sent_as_objects_with_properties(
    vendor: FakeVendor, plain_wire: Wire, parameters: dict[str, Any]
) -> None:
    vendor.streams(*plain_wire.text("ok"))
    await ask(plain_wire.model(vendor.url), run_of(tools=[tool("find", parameters)]))
    schema = offered(vendor.body)["find"]
    assert schema["type"] == "object"
    assert "properties" in schema
    assert not {"anyOf", "oneOf", "allOf"} & set(schema)


FILTERED = {
    "type": "object",
    "properties": {
        "$filter": {"type": "string"},
        "_filter": {"type": "string"},
        "x" * 65: {"type": "string", "description": "long"},
        "größe": {"type": "array", "items": {"type": "object", "properties": {"@type": {"enum": ["@type"]}}}},
        "a.b-c_d": {"type": "string"},
    },
    "required": ["$filter", "a.b-c_d"],
}
TAKEN_ARGUMENT = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


async def test_arguments_whose_names_vendors_refuse_have_others_there_and_their_own_here(
    vendor: FakeVendor, plain_wire: Wire
) -> None:
    vendor.streams(*plain_wire.text("ok"))
    await ask(plain_wire.model(vendor.url), run_of(tools=[tool("find", FILTERED)]))
    [schema] = offered(vendor.body).values()
    sent = list(schema["properties"])
    assert len(set(sent)) == len(FILTERED["properties"])  # type: ignore[arg-type]
    assert all(TAKEN_ARGUMENT.fullmatch(name) for name in sent)
    assert {"_filter", "a.b-c_d"} <= set(sent)
    assert schema["required"] == [sent[0], "a.b-c_d"]
    [inner] = schema["properties"][sent[3]]["items"]["properties"]
    assert TAKEN_ARGUMENT.fullmatch(inner)
    text = json.dumps({sent[0]: "a eq 1", "_filter": "own", sent[3]: [{inner: "@type"}], "other": {"k": 1}})
    answer = [*plain_wire.head(), *plain_wire.calls(Called("c", "find", (text[:9], text[9:]))), *plain_wire.tail()]
    vendor.replies(Reply(answer))
    events = await ask(plain_wire.model(vendor.url), run_of(tools=[tool("find", FILTERED)]))
    [(name, arguments)] = called(events).values()
    assert name == "find"
    assert json.loads(arguments) == {
        "$filter": "a eq 1",
        "_filter": "own",
        "größe": [{"@type": "@type"}],
        "other": {"k": 1},
    }


async def test_earlier_calls_are_sent_to_the_vendor_under_its_own_names(vendor: FakeVendor) -> None:
    past: list[Message] = [
        TextMessage(role="user", content="Find"),
        ToolCallMessage(id="c", name="find", arguments={"$filter": "a eq 1", "größe": [{"@type": "x"}]}),
        ToolResultMessage(tool_call_id="c", tool_name="find", result="none"),
    ]
    wire = OpenAIWire()
    vendor.streams(*wire.text("ok"))
    await ask(wire.model(vendor.url), run_of(past, tools=[tool("find", FILTERED)]))
    [schema] = offered(vendor.body).values()
    [call] = vendor.body["messages"][1]["tool_calls"]
    assert set(json.loads(call["function"]["arguments"])) <= set(schema["properties"])


async def test_arguments_that_broke_off_are_passed_on_as_they_are(vendor: FakeVendor) -> None:
    wire = OpenAIWire()
    vendor.streams(*wire.head(), *wire.calls(Called("c", "find", ('{"_fil', "ter"))), *wire.tail())
    events = await ask(wire.model(vendor.url), run_of(tools=[tool("find", FILTERED)]))
    assert called(events)["c"] == ("find", '{"_filter')

"""Interfaces that agents generate: A2UI surfaces and pages for the client's sandbox, as AG-UI clients get them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from copilotkit_runtime import A2UI, CopilotRuntime, RuntimeConfig
from copilotkit_runtime.runtime.generated_ui.a2ui import CATALOG_CONTEXT
from copilotkit_runtime.runtime.messages import ToolCallMessage, ToolResultMessage
from tests.support.agui_client import PATH, connect, run, run_input, say, script, types_of, user
from tests.support.local_server import client_of
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import Listener

COMPONENTS = [
    {"id": "root", "component": "Column", "children": ["title", "list"]},
    {"id": "title", "component": "Text", "text": "Cities"},
    {"id": "list", "component": "List", "children": {"componentId": "city", "path": "/cities"}},
    {"id": "city", "component": "Text", "text": {"path": "name"}},
]
CITIES = {"cities": [{"name": f"City number {number}"} for number in range(40)]}
SURFACE = {"surfaceId": "s1", "components": COMPONENTS, "data": CITIES}


def called(name: str, arguments: Any, call_id: str = "c", *, size: int = 7) -> list[dict[str, Any]]:
    """The steps of an agent that calls a tool, its arguments in pieces."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    pieces = re.findall(rf".{{1,{size}}}", text, re.DOTALL)
    return [
        {"event": {"type": "TOOL_CALL_START", "toolCallId": call_id, "toolCallName": name}},
        *({"event": {"type": "TOOL_CALL_ARGS", "toolCallId": call_id, "delta": piece}} for piece in pieces),
        {"event": {"type": "TOOL_CALL_END", "toolCallId": call_id}},
    ]


def answered(call_id: str, content: Any) -> dict[str, Any]:
    """The step of an agent that has a call's result."""
    text = content if isinstance(content, str) else json.dumps(content)
    return {"event": {"type": "TOOL_CALL_RESULT", "toolCallId": call_id, "content": text}}


def activities(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What clients draw, snapshot by snapshot."""
    return [event for event in events if event["type"].startswith("ACTIVITY")]


def drawn(events: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What clients have drawn in the end, by the id of its message: deltas are applied as clients apply them."""
    shown: dict[str, dict[str, Any]] = {}
    for event in activities(events):
        if event["type"] == "ACTIVITY_SNAPSHOT":
            shown[event["messageId"]] = json.loads(json.dumps(event["content"]))
            continue
        for change in event["patch"]:
            assert change["op"] == "add"
            key, _, end = change["path"].removeprefix("/").partition("/")
            if end:
                shown[event["messageId"]][key].append(change["value"])
            else:
                shown[event["messageId"]][key] = change["value"]
    return shown


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], **options)) as client:
        yield client


async def info(client: httpx.AsyncClient) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get(f"{PATH}/info")).json()
    return answer


async def test_info_declares_nothing_that_is_not_configured() -> None:
    async with served() as client:
        told = await info(client)
    assert (told["a2uiEnabled"], told["openGenerativeUIEnabled"], "a2ui" in told) == (False, False, False)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"a2ui": True}, {"a2uiEnabled": True, "a2ui": {"enabled": True}, "openGenerativeUIEnabled": False}),
        ({"a2ui": A2UI(agents=("x",))}, {"a2uiEnabled": True, "a2ui": {"enabled": True, "agents": ["x"]}}),
        ({"config": RuntimeConfig(a2ui=True)}, {"a2uiEnabled": True}),
        ({"config": RuntimeConfig(a2ui=True), "a2ui": False}, {"a2uiEnabled": False}),
        ({"open_generative_ui": True}, {"openGenerativeUIEnabled": True, "a2uiEnabled": False}),
        ({"open_generative_ui": ["scripted"]}, {"openGenerativeUIEnabled": True}),
        ({"config": RuntimeConfig(open_generative_ui=True)}, {"openGenerativeUIEnabled": True}),
    ],
)
async def test_info_declares_what_is_configured(options: dict[str, Any], shown: dict[str, Any]) -> None:
    async with served(**options) as client:
        told = await info(client)
    assert {key: told[key] for key in shown} == shown


async def test_a_call_that_draws_is_a_surface_before_it_is_complete() -> None:
    async with served(a2ui=True) as client:
        events = await run(client, "scripted", run_input(script(*called("render_a2ui", SURFACE))))
        past = await connect(client, "scripted")
    shown = activities(events)
    assert {event["messageId"] for event in shown} == {"a2ui-surface-c"}
    assert {event["activityType"] for event in shown} == {"a2ui-surface"}
    assert shown[0]["content"] == {"status": "building"}
    counts = [_entries(event) for event in shown[1:]]
    assert counts[0] < 5
    assert counts == sorted(set(counts))
    assert counts[-1] == 40
    ended = types_of(events).index("TOOL_CALL_END")
    assert events.index(shown[3]) < ended
    assert shown[-1]["content"]["a2ui_operations"] == [
        {
            "version": "v0.9",
            "createSurface": {
                "surfaceId": "s1",
                "catalogId": "https://a2ui.org/specification/v0_9/basic_catalog.json",
            },
        },
        {"version": "v0.9", "updateComponents": {"surfaceId": "s1", "components": COMPONENTS}},
        {"version": "v0.9", "updateDataModel": {"surfaceId": "s1", "path": "/", "value": CITIES}},
    ]
    [result] = [event for event in events if event["type"] == "TOOL_CALL_RESULT"]
    assert (result["toolCallId"], json.loads(result["content"])) == ("c", {"status": "rendered"})
    assert [event["content"] for event in activities(past)] == [shown[-1]["content"]]


def _entries(event: dict[str, Any]) -> int:
    operations = event["content"]["a2ui_operations"]
    return sum(len(one["updateDataModel"]["value"]["cities"]) for one in operations if "updateDataModel" in one)


async def test_what_is_drawn_is_linear_in_what_is_written() -> None:
    cities = {"cities": [{"name": f"City number {number}"} for number in range(2000)]}
    async with served(a2ui=True) as client:
        events = await run(client, "scripted", run_input(script(*called("render_a2ui", {**SURFACE, "data": cities}))))
    sent = sum(len(json.dumps(event)) for event in activities(events))
    assert sent < 15 * len(json.dumps(cities))


async def test_a_surface_without_data_and_with_its_keys_in_another_order() -> None:
    surface = {"components": [{"id": "root", "component": "Text", "text": "Hello"}], "surfaceId": "s"}
    async with served(a2ui=True) as client:
        events = await run(client, "scripted", run_input(script(*called("render_a2ui", surface))))
    [content] = drawn(events).values()
    assert [next(reversed(one)) for one in content["a2ui_operations"]] == ["createSurface", "updateComponents"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"surfaceId": "s"}, "no components"),
        ({"surfaceId": "s", "components": []}, "no components"),
        ({"components": COMPONENTS}, "no surfaceId"),
        ({"surfaceId": "s", "components": ["root"]}, "components[0] has no type"),
        ({"surfaceId": "s", "components": [{"component": "Text"}]}, "components[0] has no id"),
        ({"surfaceId": "s", "components": [{"id": "a", "component": "Text"}]}, "No component has the id 'root'"),
        ({"surfaceId": "s", "components": [{"id": "root", "component": "Row", "children": ["x"]}]}, "component 'x'"),
        ("no JSON", "no components"),
    ],
)
async def test_a_surface_that_cannot_be_drawn_is_reported_to_client_and_agent(arguments: Any, reason: str) -> None:
    async with served(a2ui=True) as client:
        events = await run(client, "scripted", run_input(script(*called("render_a2ui", arguments), *say("on"))))
    [content] = drawn(events).values()
    assert content["status"] == "failed"
    assert reason in content["error"]
    [result] = [event for event in events if event["type"] == "TOOL_CALL_RESULT"]
    assert reason in json.loads(result["content"])["error"]
    assert types_of(events)[-1] == "RUN_FINISHED"


async def test_a_surface_that_is_too_large_is_not_drawn_further() -> None:
    config = RuntimeConfig(max_generated_ui_bytes=1000)
    async with served(a2ui=True, config=config) as client:
        events = await run(client, "scripted", run_input(script(*called("render_a2ui", SURFACE))))
    [result] = [event for event in events if event["type"] == "TOOL_CALL_RESULT"]
    assert json.loads(result["content"]) == {"status": "invalid", "error": "The surface is too large."}
    assert all(len(json.dumps(event["content"])) < 2000 for event in activities(events))


OPERATIONS = {
    "a2ui_operations": [
        {"version": "v0.9", "createSurface": {"surfaceId": "s1", "catalogId": "c"}},
        {"version": "v0.9", "updateComponents": {"surfaceId": "s1", "components": COMPONENTS}},
    ]
}


@pytest.mark.parametrize("content", [OPERATIONS, json.dumps(OPERATIONS), json.dumps(json.dumps(OPERATIONS))])
async def test_a_result_that_holds_a_surface_is_followed_by_it(content: Any) -> None:
    steps = [*called("show_cities", {}), answered("c", content), *say("There.")]
    async with served(a2ui=True) as client:
        events = await run(client, "scripted", run_input(script(*steps)))
    assert drawn(events) == {"a2ui-surface-c": OPERATIONS}
    order = types_of(events)
    assert order.index("TOOL_CALL_RESULT") + 1 == order.index("ACTIVITY_SNAPSHOT")


async def test_surfaces_of_one_result_are_messages_of_their_own() -> None:
    two = [{"version": "v0.9", "createSurface": {"surfaceId": id_, "catalogId": "c"}} for id_ in ("s1", "s2")]
    steps = [*called("show", {}), answered("c", {"a2ui_operations": [None, *two, "?"]})]
    async with served(a2ui=True) as client:
        events = await run(client, "scripted", run_input(script(*steps)))
    assert drawn(events) == {
        "a2ui-surface-s1-c": {"a2ui_operations": two[:1]},
        "a2ui-surface-s2-c": {"a2ui_operations": two[1:]},
    }


async def test_parallel_calls_whose_results_hold_surfaces_do_not_take_each_other_s_place() -> None:
    other = json.loads(json.dumps(OPERATIONS).replace('"s1"', '"s2"'))
    steps = [*called("show", {}, "c1"), *called("show", {}, "c2"), answered("c1", OPERATIONS), answered("c2", other)]
    async with served(a2ui=True) as client:
        events = await run(client, "scripted", run_input(script(*steps)))
    assert drawn(events) == {"a2ui-surface-c1": OPERATIONS, "a2ui-surface-c2": other}


async def test_a_call_that_draws_within_another_is_drawn_once() -> None:
    inner = called("render_a2ui", SURFACE, "inner")
    result = {"a2ui_operations": [{"version": "v0.9", "createSurface": {"surfaceId": "s1", "catalogId": "c"}}]}
    steps = [*called("generate", {}, "outer"), *inner, answered("inner", "ok"), answered("outer", result)]
    async with served(a2ui=True) as client:
        events = await run(client, "scripted", run_input(script(*steps)))
    [(id_, content)] = drawn(events).items()
    assert id_ == "a2ui-surface-outer"
    assert len(content["a2ui_operations"]) == 3


async def test_a_second_surface_beside_a_tool_of_the_client_has_a_message_of_its_own() -> None:
    second = {**SURFACE, "surfaceId": "s2"}
    steps = [*called("paint", {}, "p"), *called("render_a2ui", SURFACE, "c1"), *called("render_a2ui", second, "c2")]
    async with served(a2ui=True) as client:
        shown = drawn(await run(client, "scripted", run_input(script(*steps))))
    surfaces = [content["a2ui_operations"][0]["createSurface"]["surfaceId"] for content in shown.values()]
    assert surfaces == ["s1", "s2"]


async def test_an_agent_that_gave_up_is_shown_as_such() -> None:
    failed = {"code": "a2ui_recovery_exhausted", "error": "no luck", "attempts": [1, 2]}
    async with served(a2ui=True) as client:
        events = await run(client, "scripted", run_input(script(*called("generate", {}), answered("c", failed))))
    assert drawn(events) == {"a2ui-surface-c": {"status": "failed", "error": "no luck", "attempts": [1, 2]}}


@pytest.mark.parametrize("options", [{}, {"a2ui": False}, {"a2ui": A2UI(agents=("other",))}])
async def test_nothing_is_drawn_where_it_is_off(options: dict[str, Any]) -> None:
    steps = [*called("render_a2ui", SURFACE), *called("show", {}, "d"), answered("d", OPERATIONS)]
    async with served(**options) as client:
        events = await run(client, "scripted", run_input(script(*steps)))
    assert not activities(events)


async def test_a_client_with_a_catalog_gets_surfaces_unless_the_application_declines() -> None:
    props = {"a2uiCatalogAvailable": True}
    body = run_input(script(*called("render_a2ui", SURFACE)), forwardedProps=props)
    async with served() as client:
        assert activities(await run(client, "scripted", body))
    async with served(a2ui=False) as client:
        assert not activities(await run(client, "scripted", body))


async def test_suggestions_are_not_drawn() -> None:
    props = {"toolChoice": {"type": "function", "function": {"name": "copilotkitSuggest"}}}
    body = run_input(script(*called("render_a2ui", SURFACE)), forwardedProps=props)
    async with served(a2ui=True) as client:
        assert not activities(await run(client, "scripted", body))


async def test_agents_are_offered_the_tool_and_instructions_for_it() -> None:
    listener = Listener()
    catalog = {"catalogId": "https://mine.example/catalog", "components": {"Text": {"type": "object"}}}
    context = [{"description": CATALOG_CONTEXT, "value": json.dumps({"catalogId": "theirs", "components": {}})}]
    body = run_input(script(), context=context, tools=[{"name": "render_a2ui", "parameters": {"x": 1}}])
    runtime = CopilotRuntime(model=listener, a2ui=A2UI(inject_tool=True, schema=catalog))
    async with client_of(runtime) as client:
        await run(client, "default", body)
    [given] = listener.given
    [tool] = [one for one in given.tools if one.name == "render_a2ui"]
    assert tool.parameters["required"] == ["surfaceId", "components"]
    told = {item.description: item.value for item in given.context}
    assert json.loads(told[CATALOG_CONTEXT]) == catalog
    assert "`id`" in told["How to call render_a2ui."]
    assert len(given.context) == 2


@pytest.mark.parametrize(
    ("inject", "catalog", "names"),
    [(None, False, []), (None, True, ["render_a2ui"]), ("draw", False, ["draw"]), (False, True, [])],
)
async def test_the_tool_is_offered_as_it_was_configured(inject: Any, catalog: bool, names: list[str]) -> None:
    listener = Listener()
    body = run_input(script(), forwardedProps={"a2uiCatalogAvailable": catalog})
    async with client_of(CopilotRuntime(model=listener, a2ui=A2UI(inject_tool=inject))) as client:
        await run(client, "default", body)
    assert [tool.name for tool in listener.given[0].tools] == names


async def test_the_surface_is_bound_to_the_client_s_catalog_unless_the_application_names_one() -> None:
    context = [{"description": CATALOG_CONTEXT, "value": json.dumps({"catalogId": "theirs", "components": {}})}]
    body = run_input(script(*called("render_a2ui", SURFACE)), context=context)
    for options, expected in ((True, "theirs"), (A2UI(catalog_id="mine"), "mine")):
        async with served(a2ui=options) as client:
            [content] = drawn(await run(client, "scripted", body)).values()
        assert content["a2ui_operations"][0]["createSurface"]["catalogId"] == expected


ACTION = {
    "userAction": {
        "name": "choose",
        "surfaceId": "s1",
        "sourceComponentId": "city",
        "context": {"city": "Bonn"},
        "timestamp": "2026-01-01T00:00:00Z",
    }
}


async def test_what_a_person_does_on_a_surface_reaches_the_agent_as_a_call_with_its_result() -> None:
    listener = Listener()
    body = run_input(user("Hi"), forwardedProps={"a2uiAction": ACTION})
    async with client_of(CopilotRuntime(model=listener, a2ui=True)) as client:
        await run(client, "default", body)
    *_, call, result = listener.given[0].messages
    assert isinstance(call, ToolCallMessage)
    assert isinstance(result, ToolResultMessage)
    assert (call.name, call.arguments) == ("log_a2ui_event", ACTION["userAction"])
    assert result.tool_call_id == call.id
    assert result.result == 'The user did "choose" on the surface "s1", component "city". Context: {"city":"Bonn"}'


@pytest.mark.parametrize("action", [None, 1, {}, {"userAction": "x"}, {"userAction": None}])
async def test_an_action_of_another_form_is_none(action: Any) -> None:
    listener = Listener()
    body = run_input(user("Hi"), forwardedProps={"a2uiAction": action})
    async with client_of(CopilotRuntime(model=listener, a2ui=True)) as client:
        await run(client, "default", body)
    assert len(listener.given[0].messages) == 1


PAGE = {
    "initialHeight": 300,
    "placeholderMessages": ["Thinking", "Drawing"],
    "css": "body { color: teal }",
    "html": "<main>" + '<p>Grüße 🦊 "quoted"</p>\n' * 60 + "</main>",
    "jsFunctions": "function f() { return 1; }",
    "jsExpressions": ["f()", "f() + 1"],
}


async def test_a_page_for_the_sandbox_is_drawn_while_it_is_written() -> None:
    body = run_input(script(*called("generateSandboxedUi", PAGE)), tools=[{"name": "generateSandboxedUi"}])
    async with served(open_generative_ui=True) as client:
        events = await run(client, "scripted", body)
        past = await connect(client, "scripted")
    [(id_, content)] = drawn(events).items()
    assert id_ == "c-activity"
    assert {event["activityType"] for event in activities(events)} == {"open-generative-ui"}
    html = content.pop("html")
    assert len(html) > 3
    assert "".join(html) == PAGE["html"]
    assert content == {
        "generating": False,
        "initialHeight": 300,
        "placeholderMessages": ["Thinking", "Drawing"],
        "css": PAGE["css"],
        "cssComplete": True,
        "htmlComplete": True,
        "jsFunctions": PAGE["jsFunctions"],
        "jsFunctionsComplete": True,
        "jsExpressions": ["f()", "f() + 1"],
        "jsExpressionsComplete": True,
    }
    order = types_of(events)
    assert order.index("ACTIVITY_SNAPSHOT") < order.index("TOOL_CALL_START")
    arguments = "".join(event["delta"] for event in events if event["type"] == "TOOL_CALL_ARGS")
    assert json.loads(arguments) == PAGE
    assert "TOOL_CALL_RESULT" not in order
    assert drawn(past) == {"c-activity": {**content, "html": html}}


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_pieces_of_any_size_draw_the_same_page(size: int) -> None:
    page: dict[str, Any] = {
        "html": 'a\\u00e9\n"🦊"',
        "css": None,
        "initialHeight": True,
        "jsExpressions": [],
        "jsFunctions": "",
    }
    steps = called("generateSandboxedUi", page, size=size)
    async with served(open_generative_ui=True) as client:
        [content] = drawn(await run(client, "scripted", run_input(script(*steps)))).values()
    assert "".join(content.pop("html")) == page["html"]
    assert content == {
        "generating": False,
        "htmlComplete": True,
        "cssComplete": True,
        "jsExpressions": [],
        "jsExpressionsComplete": True,
        "jsFunctions": "",
        "jsFunctionsComplete": True,
    }


@pytest.mark.parametrize("arguments", ["", "{}", "no JSON", "[1]"])
async def test_a_call_that_draws_nothing_is_passed_on(arguments: str) -> None:
    async with served(open_generative_ui=True) as client:
        events = await run(client, "scripted", run_input(script(*called("generateSandboxedUi", arguments))))
    assert not activities(events)
    sent = [event["delta"] for event in events if event["type"] == "TOOL_CALL_ARGS"]
    assert "".join(sent) == arguments


async def test_a_page_that_is_too_large_is_not_drawn_further_but_reaches_the_client_s_tool() -> None:
    page = {"css": "x", "html": "y" * 5000}
    steps = called("generateSandboxedUi", page, size=100)
    async with served(open_generative_ui=True, config=RuntimeConfig(max_generated_ui_bytes=2000)) as client:
        events = await run(client, "scripted", run_input(script(*steps)))
    [content] = drawn(events).values()
    assert content["generating"] is False
    assert len("".join(content["html"])) <= 2000
    arguments = "".join(event["delta"] for event in events if event["type"] == "TOOL_CALL_ARGS")
    assert json.loads(arguments) == page


@pytest.mark.parametrize("options", [{}, {"open_generative_ui": ["other"]}, {"open_generative_ui": False}])
async def test_pages_are_not_drawn_where_that_is_off(options: dict[str, Any]) -> None:
    async with served(**options) as client:
        events = await run(client, "scripted", run_input(script(*called("generateSandboxedUi", PAGE))))
    assert not activities(events)
    assert types_of(events)[1] == "TOOL_CALL_START"

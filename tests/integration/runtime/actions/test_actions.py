"""Server-side actions over HTTP: each call is answered once, in its place, and the run always ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from copilotkit_runtime import (
    Action,
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    action,
    errors,
    events,
)
from copilotkit_runtime.runtime.messages import ToolResultMessage
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import CREATED_AT, event, generate, scripted, text, text_message
from tests.support.request_bodies import action as page_action
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import Listener, call, play_on, results, shown

SUCCESS = "SuccessResponseStatus"


async def _read_until(response: httpx.Response, text_: str) -> None:
    async for chunk in response.aiter_text():
        if text_ in chunk:
            return
    raise AssertionError(f"the answer ended without {text_!r}")


def runtime_with(*actions: Any, **more: Any) -> CopilotRuntime:
    """Agent and model play scripts."""
    return CopilotRuntime(providers=[ScriptedProvider()], model=ScriptedProvider(), actions=actions, **more)


async def greet(name: str) -> str:
    """Greets someone."""
    return f"hello {name}"


@pytest.mark.parametrize("agent", ["scripted", None])
async def test_a_call_is_followed_by_its_result_and_then_by_what_came_next(agent: str | None) -> None:
    async with client_of(runtime_with(greet)) as client:
        response = await play_on(client, *call("c", "greet", '{"name":', '"Bo"}'), *text("a", "Greeted."), agent=agent)
    assert shown(response) == ["call c", "result-c: hello Bo", "Greeted."]
    assert response["messages"][1]["actionName"] == "greet"
    assert response["status"]["__typename"] == SUCCESS


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("text", "text"),
        ("", ""),
        (None, "null"),
        (42, "42"),
        (0, "0"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ({"a": [1, "ü"]}, '{"a":[1,"ü"]}'),
        ([], "[]"),
    ],
)
async def test_a_result_of_any_json_kind_is_reported(value: Any, result: str) -> None:
    async with client_of(runtime_with(Action("give", "", lambda: value))) as client:
        response = await play_on(client, *call("c", "give"))
    assert results(response) == {"c": result}


async def test_a_result_that_json_cannot_express_is_reported_as_an_error() -> None:
    async with client_of(runtime_with(Action("give", "", object))) as client:
        response = await play_on(client, *call("c", "give"))
    assert json.loads(results(response)["c"])["error"]["code"] == "HANDLER_ERROR"


@pytest.mark.parametrize("arguments", ['{"name":', "[]", "null", '"x"'])
async def test_unparsable_arguments_are_reported_and_the_run_goes_on(arguments: str) -> None:
    async with client_of(runtime_with(greet)) as client, asyncio.timeout(20):
        response = await play_on(client, *call("c", "greet", arguments), *text("a", "on"))
    expected = '{"error":{"code":"INVALID_ARGUMENTS","message":"Failed to parse action arguments"},"result":""}'
    assert shown(response) == ["call c", f"result-c: {expected}", "on"]
    assert response["status"]["__typename"] == SUCCESS


async def test_arguments_that_do_not_fit_are_reported_without_their_values() -> None:
    async def add(left: int, right: int) -> int:
        return left + right

    async with client_of(runtime_with(add)) as client:
        response = await play_on(client, *call("c", "add", '{"left":"my secret"}'))
    error = json.loads(results(response)["c"])["error"]
    assert error["code"] == "INVALID_ARGUMENTS"
    assert "left" in error["message"]
    assert "right" in error["message"]
    assert "secret" not in error["message"]


async def test_empty_arguments_are_none() -> None:
    async with client_of(runtime_with(Action("count", "", lambda **given: len(given)))) as client:
        response = await play_on(client, *call("c", "count"))
    assert results(response) == {"c": "0"}


def failing(error: Exception) -> Action:
    def fail() -> None:
        raise error

    return Action("fail", "", fail)


async def test_an_exception_is_reported_without_its_text() -> None:
    async with client_of(runtime_with(failing(RuntimeError("postgres://me:secret@db")))) as client:
        response = await play_on(client, *call("c", "fail"), *text("a", "on"))
    error = json.loads(results(response)["c"])["error"]
    assert error["code"] == "HANDLER_ERROR"
    assert "secret" not in error["message"]
    assert shown(response)[-1] == "on"


async def test_the_text_of_an_action_error_is_reported() -> None:
    async with client_of(runtime_with(failing(errors.ActionError("There is no such city.")))) as client:
        response = await play_on(client, *call("c", "fail"))
    expected = {"error": {"code": "HANDLER_ERROR", "message": "There is no such city."}, "result": ""}
    assert json.loads(results(response)["c"]) == expected


async def test_texts_of_exceptions_can_be_reported() -> None:
    config = RuntimeConfig(action_errors="shown")
    async with client_of(runtime_with(failing(ValueError("no city")), config=config)) as client:
        response = await play_on(client, *call("c", "fail"))
    assert json.loads(results(response)["c"])["error"]["message"] == "no city"


async def test_an_action_that_never_ends_is_given_up_after_its_time() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async with client_of(runtime_with(Action("hang", "", hang, timeout=0.2))) as client, asyncio.timeout(20):
        response = await play_on(client, *call("c", "hang"), *text("a", "on"))
    error = json.loads(results(response)["c"])["error"]
    assert error == {"code": "HANDLER_ERROR", "message": "The action did not finish within 0.2 seconds."}
    assert shown(response)[-1] == "on"


async def test_an_action_that_ignores_its_cancellation_is_given_up_all_the_same() -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    async with client_of(runtime_with(Action("stay", "", stubborn, timeout=0.2))) as client, asyncio.timeout(20):
        response = await play_on(client, *call("c", "stay"), *text("a", "on"))
        release.set()
    assert json.loads(results(response)["c"])["error"]["code"] == "HANDLER_ERROR"
    assert shown(response)[-1] == "on"


async def test_a_sync_action_that_hangs_is_given_up_and_keeps_no_thread_from_the_others() -> None:
    release = threading.Event()
    hang = Action("hang", "", lambda: release.wait(30), timeout=0.2)
    async with client_of(runtime_with(hang, Action("quick", "", lambda: 1))) as client, asyncio.timeout(20):
        response = await play_on(client, *call("c", "hang"), *call("d", "quick"))
        release.set()
    assert json.loads(results(response)["c"])["error"]["code"] == "HANDLER_ERROR"
    assert results(response)["d"] == "1"


async def test_a_sync_action_does_not_block_other_requests() -> None:
    entered, release = threading.Event(), threading.Event()

    def block() -> str:
        entered.set()
        release.wait(20)
        return "done"

    async with client_of(runtime_with(block)) as client, asyncio.timeout(10):
        blocked = asyncio.create_task(play_on(client, *call("c", "block")))
        await asyncio.to_thread(entered.wait, 5)
        assert shown(await play_on(client, *text("a", "hi"), threadId="t-2")) == ["hi"]
        release.set()
        assert results(await blocked) == {"c": "done"}


async def test_parallel_calls_are_executed_at_once_and_answered_in_their_order() -> None:
    both = asyncio.Barrier(2)

    async def meet(name: str) -> str:
        await both.wait()
        return name

    steps = [*call("c", "meet", '{"name":"C"}'), *call("d", "meet", '{"name":"D"}'), *text("a", "met")]
    async with client_of(runtime_with(meet)) as client, asyncio.timeout(20):
        response = await play_on(client, *steps)
    assert shown(response) == ["call c", "result-c: C", "call d", "result-d: D", "met"]


async def test_interleaved_calls_keep_their_own_arguments() -> None:
    steps = [
        event("TOOL_CALL_START", toolCallId="c", toolCallName="greet"),
        event("TOOL_CALL_START", toolCallId="d", toolCallName="greet"),
        event("TOOL_CALL_ARGS", toolCallId="c", delta='{"name":"Bo"}'),
        event("TOOL_CALL_ARGS", toolCallId="d", delta='{"name":"Al"}'),
        event("TOOL_CALL_END", toolCallId="c"),
        event("TOOL_CALL_END", toolCallId="d"),
    ]
    async with client_of(runtime_with(greet)) as client:
        response = await play_on(client, *steps)
    assert results(response) == {"c": "hello Bo", "d": "hello Al"}


async def test_a_result_is_shown_while_the_provider_is_still_silent() -> None:
    late = {**event("TEXT_MESSAGE_START", messageId="a"), "after": 30}
    body = scripted(*call("c", "greet", '{"name":"Bo"}'), late)
    async with (
        client_of(runtime_with(greet)) as client,
        asyncio.timeout(20),
        client.stream("POST", PATH, json=body) as response,
    ):
        await _read_until(response, "hello Bo")


async def test_a_call_that_the_provider_left_open_is_executed_all_the_same() -> None:
    async with client_of(runtime_with(greet)) as client:
        response = await play_on(client, *call("c", "greet", '{"name":"Bo"}')[:-1])
    assert results(response) == {"c": "hello Bo"}


async def test_a_called_action_is_answered_even_if_the_provider_fails_meanwhile() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.1)
        return "done"

    async with client_of(runtime_with(slow)) as client:
        response = await play_on(client, *call("c", "slow"), {"raise": "boom"})
    assert results(response) == {"c": "done"}
    assert response["status"]["__typename"] == "FailedResponseStatus"


async def test_a_call_that_the_provider_answers_itself_has_one_result() -> None:
    ran = asyncio.Event()
    own = event("TOOL_CALL_RESULT", toolCallId="c", content="own", messageId="r")
    async with client_of(runtime_with(Action("note", "", ran.set))) as client:
        response = await play_on(client, *call("c", "note"), own, agent="scripted")
    assert results(response) == {"c": "own"}
    assert not ran.is_set()


async def test_a_second_result_for_an_executed_call_is_dropped() -> None:
    late = {**event("TOOL_CALL_RESULT", toolCallId="c", content="late", messageId="r"), "after": 0.1}
    async with client_of(runtime_with(greet)) as client:
        response = await play_on(client, *call("c", "greet", '{"name":"Bo"}'), late, agent="scripted")
    assert results(response) == {"c": "hello Bo"}


async def test_a_direct_result_is_also_sent() -> None:
    async with client_of(runtime_with(Action("say", "", lambda: "It is done.", return_direct=True))) as client:
        response = await play_on(client, *call("c", "say"))
    assert shown(response) == ["call c", "result-c: It is done.", "It is done."]
    assert response["messages"][2]["id"].startswith("ck-")


async def test_the_servers_tools_come_first_and_win_their_names() -> None:
    listener = Listener()
    frontend = {"actions": [page_action("greet"), page_action("paint"), page_action("far", available="remote")]}
    async with client_of(CopilotRuntime(providers=[listener], model=listener, actions=[greet])) as client:
        await play_on(client, agent="scripted", frontend=frontend)
        await play_on(client, agent=None, frontend=frontend)
    for_agent, for_model = (run.tools for run in listener.given)
    assert [tool.name for tool in for_agent] == ["greet", "paint", "far"]
    assert [tool.name for tool in for_model] == ["greet", "paint"]
    assert for_agent[0].description == "Greets someone."
    assert for_agent[0].parameters["properties"] == {"name": {"type": "string"}}


async def test_actions_may_depend_on_the_caller() -> None:
    def actions_for(context: RunContext) -> list[Any]:
        return [greet] if context.properties.get("friendly") else []

    listener = Listener()
    async with client_of(CopilotRuntime(providers=[listener], actions=actions_for)) as client:
        for friendly in (True, False):
            body = scripted()
            body["variables"]["properties"] = {"friendly": friendly}
            await ask(client, PATH, body)
    assert [[tool.name for tool in run.tools] for run in listener.given] == [["greet"], []]


async def test_an_action_is_given_the_context_of_the_request() -> None:
    @action(name="who", description="Says who asks")
    async def who(context: RunContext, loud: bool = False) -> str:
        return str(context.properties["user"]).upper() if loud else "?"

    body = scripted(*call("c", "who", '{"loud":true}'), agent=None)
    body["variables"]["properties"] = {"user": "ann"}
    async with client_of(runtime_with(who)) as client:
        answer = await ask(client, PATH, body)
    assert results(fold(answer.parts)) == {"c": "ANN"}


async def test_a_client_that_leaves_stops_the_action() -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with client_of(runtime_with(hang)) as client, asyncio.timeout(20):
        asking = asyncio.create_task(play_on(client, *call("c", "hang")))
        await begun.wait()
        asking.cancel()
        await stopped.wait()


async def test_a_run_that_is_too_long_stops_its_action() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    config = RuntimeConfig(run_timeout_seconds=0.3)
    async with client_of(runtime_with(hang, config=config)) as client, asyncio.timeout(20):
        response = await play_on(client, *call("c", "hang"))
    assert response["status"]["__typename"] == "FailedResponseStatus"


async def test_many_events_behind_a_slow_action_are_held_back_without_loss() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.2)
        return "done"

    deltas = [str(number) for number in range(2000)]
    async with client_of(runtime_with(slow)) as client:
        response = await play_on(client, *call("c", "slow"), *text("a", *deltas))
    assert shown(response) == ["call c", "result-c: done", "".join(deltas)]


class Speaker(AgentProvider):
    """Sends a word and shows a state; fails after so many events, if asked to."""

    name = "speaker"

    def __init__(self, *, fails_after: int | None = None) -> None:
        self.fails_after = fails_after
        self.given: RunInput | None = None

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="speaker", description="Speaks")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        self.given = run
        said = [
            events.StateSnapshot(snapshot={"spoke": True}),
            events.TextMessageStart(message_id="s"),
            events.TextMessageContent(message_id="s", delta="I speak."),
        ]
        for event_ in said[: self.fails_after]:
            yield event_
        if self.fails_after is not None:
            raise errors.NetworkError("The speaker is away.")


async def test_an_agent_may_be_called_as_a_tool() -> None:
    speaker = Speaker()
    runtime = CopilotRuntime(providers=[speaker], model=ScriptedProvider(), actions=[greet], agents_as_actions=True)
    async with client_of(runtime) as client, asyncio.timeout(20):
        response = await play_on(client, *call("c", "speaker"), *text("a", "Back."))
        kept = await runtime.load_agent_state(thread_id="t-1", agent_name="speaker")
    assert shown(response) == [
        "call c",
        "result-c: speaker agent started",
        'speaker {"spoke":true}',
        "I speak.",
        'speaker {"spoke":true}',
        "Back.",
    ]
    assert response["status"]["__typename"] == SUCCESS
    assert speaker.given is not None
    assert [tool.name for tool in speaker.given.tools] == ["greet"]
    assert kept is not None
    assert kept.state == {"spoke": True}


async def test_an_agent_that_is_called_as_a_tool_receives_its_state() -> None:
    speaker = Speaker(fails_after=None)
    runtime = CopilotRuntime(providers=[speaker], model=ScriptedProvider(), agents_as_actions=True)
    async with client_of(runtime) as client:
        for _ in range(2):
            await play_on(client, *call("c", "speaker"))
    assert speaker.given is not None
    assert speaker.given.state == {"spoke": True}


async def call_speaker(speaker: Speaker) -> Any:
    runtime = CopilotRuntime(providers=[speaker], model=ScriptedProvider(), agents_as_actions=["speaker"])
    async with client_of(runtime) as client, asyncio.timeout(20):
        return await play_on(client, *call("c", "speaker"), *text("a", "Back."))


async def test_an_agent_that_is_called_as_a_tool_and_cannot_begin_is_reported_as_an_error() -> None:
    response = await call_speaker(Speaker(fails_after=0))
    error = {"code": "HANDLER_ERROR", "message": "The speaker is away."}
    assert json.loads(results(response)["c"]) == {"error": error, "result": ""}
    assert shown(response)[-1] == "Back."


async def test_an_agent_that_is_called_as_a_tool_and_breaks_off_ends_the_run() -> None:
    response = await call_speaker(Speaker(fails_after=2))
    assert response["status"]["details"]["description"] == "The speaker is away."
    assert results(response) == {"c": "speaker agent started"}


async def test_agents_are_not_tools_by_default() -> None:
    listener = Listener()
    async with client_of(CopilotRuntime(providers=[Speaker()], model=listener)) as client:
        await play_on(client)
    assert listener.given[0].tools == []


async def test_a_source_that_fails_takes_nothing_else_with_it() -> None:
    def broken(context: RunContext) -> list[Any]:
        raise RuntimeError("no actions today")

    async with client_of(CopilotRuntime(model=ScriptedProvider(), actions=broken)) as client:
        assert shown(await play_on(client, *text("a", "hi"))) == ["hi"]


@pytest.mark.parametrize("order", [["", "sunny"], ["sunny", ""], ["", ""]])
@pytest.mark.parametrize("agent", ["scripted", None])
async def test_the_servers_result_counts_and_not_the_empty_one_of_a_client_that_drew_the_call(
    agent: str | None, order: list[str]
) -> None:
    listener = Listener()
    drawn = [result_message(result, f"r-{index}") for index, result in enumerate(order)]
    asked = generate(text_message("[]"), CALL, *drawn, agent=agent)
    async with client_of(CopilotRuntime(providers=[listener], model=listener)) as client:
        assert (await ask(client, PATH, asked)).complete
    told = [message.result for message in listener.given[0].messages if isinstance(message, ToolResultMessage)]
    assert told == ([result for result in order if result] or ["", ""])


CALL = {
    "id": "c",
    "createdAt": CREATED_AT,
    "actionExecutionMessage": {"name": "weather", "arguments": "{}"},
}


def result_message(result: str, id_: str) -> dict[str, Any]:
    body = {"actionExecutionId": "c", "actionName": "weather", "result": result}
    return {"id": id_, "createdAt": CREATED_AT, "resultMessage": body}

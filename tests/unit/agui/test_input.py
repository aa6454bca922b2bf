from __future__ import annotations

import json

import pytest
from ag_ui.core import RunAgentInput

from copilotkit_runtime.providers.agui.input import run_agent_input
from copilotkit_runtime.runtime.agui_messages import messages_to_agui
from copilotkit_runtime.runtime.context import ContextItem, Resume, RunContext, RunInput, Tool
from copilotkit_runtime.runtime.messages import (
    AgentStateMessage,
    ImageMessage,
    Message,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
)

MESSAGES: list[Message] = [
    TextMessage(id="u", role="user", content="hi"),
    ImageMessage(id="i", role="user", format="png", bytes="AAAA"),
    TextMessage(id="a", role="assistant", content="calling"),
    ToolCallMessage(id="c1", name="f", arguments={"x": 1}, parent_message_id="a"),
    ToolCallMessage(id="c2", name="g", arguments={}, parent_message_id="p"),
    ToolCallMessage(id="c3", name="h", arguments={}, parent_message_id="p"),
    ToolResultMessage(id="r", tool_call_id="c1", tool_name="f", result="ok"),
    AgentStateMessage(
        id="s", thread_id="t", agent_name="x", node_name="n", run_id="r",
        active=True, running=True, role="assistant", state={},
    ),
]  # fmt: skip


def test_tool_calls_join_the_message_they_belong_to() -> None:
    converted = messages_to_agui(list(MESSAGES))
    assert [message["id"] for message in converted] == ["u", "i", "a", "p", "r"]
    assert [call["id"] for call in converted[2]["toolCalls"]] == ["c1"]
    assert converted[2]["toolCalls"][0]["function"] == {"name": "f", "arguments": '{"x":1}'}
    assert [call["id"] for call in converted[3]["toolCalls"]] == ["c2", "c3"]
    assert converted[4] == {"id": "r", "role": "tool", "content": "ok", "toolCallId": "c1"}


def test_a_call_whose_parent_is_the_users_message_gets_a_message_of_its_own() -> None:
    call = ToolCallMessage(id="c", name="f", arguments={}, parent_message_id="u")
    converted = messages_to_agui([MESSAGES[0], call])
    assert [message["role"] for message in converted] == ["user", "assistant"]
    assert "toolCalls" not in converted[0]


def test_pictures_reach_the_agent() -> None:
    (picture,) = messages_to_agui([MESSAGES[1]])
    assert picture["content"][0]["source"] == {"type": "data", "value": "AAAA", "mimeType": "image/png"}


def test_the_input_is_what_the_protocol_package_expects() -> None:
    run = RunInput(
        thread_id="t",
        run_id="r",
        messages=list(MESSAGES),
        tools=[Tool(name="f", description="d", parameters={"type": "object"})],
        state={"k": 1},
        context=[ContextItem(description="d", value="v")],
    )
    model = RunAgentInput.model_validate(run_agent_input(run, RunContext()))
    assert (model.thread_id, model.run_id, model.state) == ("t", "r", {"k": 1})
    assert len(model.messages) == 5


def test_properties_and_settings_are_forwarded_as_the_typescript_runtime_does() -> None:
    run = RunInput(
        thread_id="t", run_id="r", config={"recursion": 5, "streamSubgraphs": True}, node_name="n",
        resume=[Resume(name="x", value="q", response="yes"), Resume(name="y", value="q")],
    )  # fmt: skip
    payload = run_agent_input(run, RunContext(properties={"threadMetadata": {"a": 1}}), forward_node_name=True)
    assert payload["forwardedProps"] == {
        "config": {"recursion": 5},
        "command": {"resume": "yes", "interruptEvent": "q"},
        "threadMetadata": {"a": 1},
        "streamSubgraphs": True,
        "nodeName": "n",
    }
    assert "resume" not in payload
    assert run.config == {"recursion": 5, "streamSubgraphs": True}


@pytest.mark.parametrize("value", ["question", "[1]", '{"id": 1}', '{"id": "i"}'])
def test_an_answer_to_another_kind_of_interrupt_is_not_a_protocol_resume(value: str) -> None:
    run = RunInput(thread_id="t", run_id="r", resume=[Resume(name="on_interrupt", value=value, response="y")])
    assert "resume" not in run_agent_input(run, RunContext())


def test_an_answer_to_nothing_in_particular_is_forwarded_alone() -> None:
    run = RunInput(thread_id="t", run_id="r", resume=[Resume(name="on_interrupt", value="", answer=False)])
    assert run_agent_input(run, RunContext())["forwardedProps"]["command"] == {"resume": False}


def test_an_answer_to_a_protocol_interrupt_names_it() -> None:
    asked = json.dumps({"id": "i", "reason": "input"})
    run = RunInput(thread_id="t", run_id="r", resume=[Resume(name="on_interrupt", value=asked, response="y")])
    payload = run_agent_input(run, RunContext())
    assert payload["resume"] == [{"interruptId": "i", "status": "resolved", "payload": "y"}]
    assert RunAgentInput.model_validate(payload).resume is not None


def test_the_node_that_the_client_returns_is_forwarded_only_on_demand() -> None:
    run = RunInput(thread_id="t", run_id="r", node_name="n")
    assert "nodeName" not in run_agent_input(run, RunContext())["forwardedProps"]
    given = run_agent_input(run, RunContext(properties={"nodeName": "mine"}))
    assert given["forwardedProps"]["nodeName"] == "mine"

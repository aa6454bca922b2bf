"""GraphQL messages in, the runtime's messages, and out again: nothing is lost where the contract keeps it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from graphql import GraphQLError, get_operation_ast, parse
from graphql.execution.values import get_variable_values
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.resolvers import build_schema
from copilotkit_runtime.resolvers.scalars import parse_date_time, serialize_date_time
from copilotkit_runtime.runtime.agui_messages import messages_from_agui
from copilotkit_runtime.runtime.messages import TextMessage, ToolCallMessage, ToolResultMessage
from copilotkit_runtime.wires.graphql.inputs import input_messages
from copilotkit_runtime.wires.graphql.state_messages import state_messages

SCHEMA = build_schema()
DOCUMENT = parse("mutation ($data: GenerateCopilotResponseInput!) { generateCopilotResponse(data: $data) { runId } }")
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
ROLES = st.sampled_from(["assistant", "developer", "system", "tool", "user"])
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
JSON_OBJECTS = st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT, max_size=4)


def coerced(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages as the resolver receives them."""
    data = {"metadata": {}, "frontend": {"actions": []}, "messages": messages}
    operation = get_operation_ast(DOCUMENT)
    assert operation is not None
    values = get_variable_values(SCHEMA, operation.variable_definitions or (), {"data": data})
    assert not isinstance(values, list), values
    return list(values.coerced["data"]["messages"])


def message(kind: str, moment: datetime, **body: Any) -> dict[str, Any]:
    return {"id": "m", "createdAt": serialize_date_time(moment), kind: body}


@given(TEXT, ROLES, MOMENTS, st.none() | TEXT)
def test_a_text_keeps_all_it_has(content: str, role: str, moment: datetime, parent: str | None) -> None:
    given_ = message("textMessage", moment, content=content, role=role, parentMessageId=parent)
    [text] = input_messages(coerced([given_]))
    assert isinstance(text, TextMessage)
    assert (text.content, text.role, text.parent_message_id, text.id) == (content, role, parent, "m")
    assert serialize_date_time(text.created_at) == given_["createdAt"]


@given(TEXT, JSON_OBJECTS, MOMENTS)
def test_a_tool_call_keeps_its_arguments(name: str, arguments: dict[str, Any], moment: datetime) -> None:
    given_ = message("actionExecutionMessage", moment, name=name, arguments=json.dumps(arguments))
    [call] = input_messages(coerced([given_]))
    assert isinstance(call, ToolCallMessage)
    assert (call.name, call.arguments) == (name, arguments)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), TEXT.filter(bool)), max_size=5))
def test_texts_survive_the_way_to_the_client_and_back(said: list[tuple[str, str]]) -> None:
    thread = [TextMessage(id=str(n), role=role, content=content) for n, (role, content) in enumerate(said)]  # type: ignore[arg-type]
    shown = state_messages(thread)
    again = messages_from_agui(shown)
    assert [(m.id, m.role, m.content) for m in again if isinstance(m, TextMessage)] == [
        (m.id, m.role, m.content) for m in thread
    ]


def test_each_kind_of_message_is_read() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    state = {"threadId": "t", "agentName": "a", "nodeName": "n", "runId": "r", "role": "assistant"}
    read = input_messages(
        coerced(
            [
                message("imageMessage", moment, format="png", bytes="AAAA", role="user"),
                message("resultMessage", moment, actionExecutionId="c", actionName="f", result="ok"),
                message("agentStateMessage", moment, **state, state='{"n":1}', active=True, running=False),
            ]
        )
    )
    assert [type(m).__name__ for m in read] == ["ImageMessage", "ToolResultMessage", "AgentStateMessage"]
    assert read[2].state == {"n": 1}  # type: ignore[union-attr]


@pytest.mark.parametrize("arguments", ["{", "[1]", "1", ""])
def test_a_message_whose_json_is_broken_is_left_out(arguments: str) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    broken = message("actionExecutionMessage", moment, name="f", arguments=arguments)
    kept = message("textMessage", moment, content="hi", role="user")
    assert [m.id for m in input_messages(coerced([broken, kept, {**kept, "textMessage": None}]))] == ["m"]


def test_results_stand_right_behind_their_calls() -> None:
    thread = [
        ToolCallMessage(id="c1", name="f", arguments={}),
        TextMessage(id="t", role="assistant", content="meanwhile"),
        ToolResultMessage(id="r1", tool_call_id="c1", tool_name="f", result="ok"),
        ToolResultMessage(id="r2", tool_call_id="gone", tool_name="f", result="lost"),
    ]
    assert [m["id"] for m in state_messages(thread)] == ["c1", "r1", "t"]


def test_agui_messages_become_a_thread() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    thread = messages_from_agui(
        [
            {"id": "1", "role": "user", "content": [{"type": "text", "text": "look"}]},
            {"id": "2", "role": "assistant", "content": "", "toolCalls": [call]},
            {"id": "3", "role": "tool", "toolCallId": "c", "content": "done"},
        ]
    )
    assert [type(m).__name__ for m in thread] == ["TextMessage", "ToolCallMessage", "ToolResultMessage"]
    assert thread[2].tool_name == "f"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given_", "moment"),
    [
        ("2026-11-21T00:00:00Z", "2026-11-21T00:00:00.000Z"),
        ("2026-11-21t01:02:03.4z", "2026-11-21T01:02:03.400Z"),
        ("2026-11-21T01:02:03.123456789+02:00", "2026-11-20T23:02:03.123Z"),
    ],
)
def test_a_moment_is_written_as_javascript_does(given_: str, moment: str) -> None:
    assert serialize_date_time(parse_date_time(given_)) == moment


@pytest.mark.parametrize(
    "given_",
    [
        "2026-11-21",
        "2026-11-21T00:00:00",
        "2026-11-21 00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "x",
        5,
    ],
)
def test_what_is_not_a_moment_is_refused(given_: Any) -> None:
    with pytest.raises(GraphQLError, match="DateTime cannot represent"):
        parse_date_time(given_)


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    zone = timezone(timedelta(hours=5))
    assert serialize_date_time(datetime(2026, 1, 1, 3, tzinfo=zone)) == "2025-12-31T22:00:00.000Z"

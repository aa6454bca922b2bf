from __future__ import annotations

import pytest

from copilotkit_runtime.runtime.context import RunInput
from copilotkit_runtime.runtime.errors import InputTooLargeError
from copilotkit_runtime.runtime.input_limits import InputLimits, limit_input, newest
from copilotkit_runtime.runtime.messages import (
    AgentStateMessage,
    ImageMessage,
    Message,
    ReasoningMessage,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
)

LIMITS = InputLimits(messages=10, message_bytes=200, state_bytes=100)
LONG = "x" * 201
NOW = TextMessage(role="user", content="now")


def limited(*messages: Message) -> list[Message]:
    run = RunInput(thread_id="t", run_id="r", messages=list(messages))
    limit_input(run, LIMITS)
    return run.messages


@pytest.mark.parametrize(
    "message",
    [
        TextMessage(role="assistant", content=LONG),
        TextMessage(role="user", content=LONG),
        ReasoningMessage(content=LONG),
        ToolResultMessage(tool_call_id="c", tool_name="f", result=LONG),
        ToolCallMessage(name="f", arguments={"text": LONG}),
        AgentStateMessage(
            thread_id="t",
            agent_name="a",
            node_name="n",
            run_id="r",
            active=True,
            running=True,
            role="assistant",
            state={"text": LONG},
        ),
    ],
    ids=lambda message: f"{type(message).__name__}-{getattr(message, 'role', '')}",
)
def test_what_is_too_long_of_the_thread_so_far_is_cut(message: Message) -> None:
    cut, now = limited(message, NOW)
    assert (cut.id, type(cut), now) == (message.id, type(message), NOW)
    assert limited(cut, now) == [cut, now]


@pytest.mark.parametrize(
    "thread",
    [
        [TextMessage(role="user", content=LONG)],
        [TextMessage(role="user", content=LONG, id="m"), ImageMessage(role="user", format="png", bytes="")],
        [TextMessage(role="system", content=LONG), NOW],
        [TextMessage(role="developer", content=LONG), NOW],
    ],
    ids=["message", "message with a picture", "system", "developer"],
)
def test_what_can_be_written_anew_is_refused(thread: list[Message]) -> None:
    with pytest.raises(InputTooLargeError, match="201 bytes; the limit is 200"):
        limited(*thread)


def test_a_text_is_cut_between_characters() -> None:
    [cut] = limited(ToolResultMessage(tool_call_id="c", tool_name="f", result="🌍" * 60))
    assert isinstance(cut, ToolResultMessage)
    text, note = cut.result.split("\n")
    assert set(text) == {"🌍"}
    assert "240 bytes" in note


def test_messages_within_the_limit_are_the_same_objects() -> None:
    thread = [TextMessage(role="system", content="x" * 200), NOW]
    run = RunInput(thread_id="t", run_id="r", messages=thread)
    limit_input(run, LIMITS)
    assert run.messages is thread


def test_the_newest_messages_are_the_instructions_and_whole_turns() -> None:
    system = TextMessage(role="system", content="Be brief.")
    turns = [
        message
        for turn in range(5)
        for message in (
            TextMessage(role="user", content=f"question {turn}"),
            TextMessage(role="assistant", content=f"answer {turn}"),
        )
    ]
    assert newest([system, *turns], 6) == [system, *turns[-4:]]
    assert newest(turns, 4) == turns[-4:]
    assert newest(turns, 10) == turns
    assert newest([system] * 5, 3) == [system] * 3

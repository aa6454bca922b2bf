"""What guardrails cost grows with texts and threads, and not with their squares."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, TopicGuardrail, events
from copilotkit_runtime.runtime.context import RunContext
from copilotkit_runtime.runtime.errors import CopilotKitError, MisuseError
from copilotkit_runtime.runtime.guardrails import ALLOWED, Guardrail, InputCheck, OutputCheck, TopicJudge, Verdict
from copilotkit_runtime.runtime.guardrails.gate import GuardrailGate, input_check
from copilotkit_runtime.runtime.guardrails.stage import OutputGuardStage
from copilotkit_runtime.runtime.messages import TextMessage


class Reader(Guardrail):
    """Counts the characters that it is given to judge."""

    checks_output = True

    def __init__(self) -> None:
        self.read = 0
        self.last = ""

    async def check_output(self, check: OutputCheck) -> Verdict:
        """Read."""
        self.read += len(check.text)
        self.last = check.text
        return ALLOWED


async def read_of(length: int) -> int:
    """Return how many characters are judged of an answer of that length."""
    reader, shown = Reader(), []

    async def emit(event: events.Event) -> None:
        shown.append(event)

    stage = OutputGuardStage(emit, GuardrailGate([reader], "closed", 10.0), RunContext(), None)
    for piece in range(length // 100):
        await stage.feed(events.TextMessageContent(message_id="m", delta=f"{piece:99} "))
    await stage.finish()
    assert reader.last == "".join(event.delta for event in shown if isinstance(event, events.TextMessageContent))
    return reader.read


async def test_twice_the_answer_is_twice_the_text_to_judge() -> None:
    assert await read_of(800_000) <= 2.3 * await read_of(400_000)


class Counted(str):
    """A text that counts how often its length is taken, or it is compared."""

    looks = 0
    __slots__ = ()
    __hash__ = str.__hash__

    def __len__(self) -> int:
        """Return the length."""
        Counted.looks += 1
        return super().__len__()

    def __eq__(self, other: object) -> bool:
        """Compare."""
        Counted.looks += 1
        return super().__eq__(other)


@pytest.fixture(autouse=True)
def _from_zero() -> None:
    Counted.looks = 0


class Silent(AgentProvider):
    """A model that sends pieces with nothing in them."""

    name = "silent"

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces

    async def list_agents(self) -> list[AgentDescriptor]:
        """None."""
        return []

    async def execute_run(self, agent_name: str, run: Any, context: Any) -> AsyncGenerator[events.Event]:
        """Send nothing, many times."""
        for _ in range(self.pieces):
            yield events.TextMessageContent(message_id="m", delta=Counted(""))


async def test_a_model_that_answers_in_empty_pieces_costs_the_same_for_each() -> None:
    with pytest.raises(CopilotKitError):
        await TopicJudge(Silent(500), deny=["war"]).check_input(InputCheck(text="hi", history=[], context=RunContext()))
    assert Counted.looks <= 1000


def test_a_message_of_many_parts_is_told_from_its_history_by_looking_at_each_once() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    parts = [
        TextMessage(id="m", created_at=at, role="user", content=Counted(number), parent_message_id="p")
        for number in range(200)
    ]
    before = [TextMessage(id="a", created_at=at, role="assistant", content="hello")]
    check = input_check([*before, *parts], RunContext(), agent_name=None, rules={}, cloud_key=None)
    assert check is not None
    assert check.history == before
    assert Counted.looks <= 1000


@pytest.mark.parametrize("topic", ["", " ", "\n"])
@pytest.mark.parametrize("which", ["allow", "deny", "deny_output"])
def test_a_topic_that_is_everywhere_is_refused(which: Any, topic: str) -> None:
    with pytest.raises(MisuseError, match="empty"):
        TopicGuardrail(**{which: ["cooking", topic]})

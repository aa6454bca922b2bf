"""State that grows with a tool call's arguments, as the page gets it."""

from __future__ import annotations

import json
from typing import Any

import pydantic_core
import pytest

from copilotkit_runtime import CopilotRuntime
from tests.support.local_server import client_of
from tests.support.request_bodies import event
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import call, play_on

RULE = {"state_key": "draft", "tool": "write", "tool_argument": "text"}


async def states_of(*steps: dict[str, Any], rules: Any) -> list[Any]:
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        predict = event("CUSTOM", name="PredictState", value=rules)
        answer = await play_on(client, predict, *steps, agent="scripted")
    return [json.loads(message["state"]) for message in answer["messages"] if "state" in message]


async def test_every_growth_of_short_arguments_is_shown() -> None:
    states = await states_of(*call("c", "write", '{"text": "once', " upon", ' a time"}'), rules=[RULE])
    assert states[:3] == [{"draft": "once"}, {"draft": "once upon"}, {"draft": "once upon a time"}]


async def test_long_arguments_are_read_in_proportion_to_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    from_json = pydantic_core.from_json

    def counting(text: str, **more: Any) -> Any:
        read.append(len(text))
        return from_json(text, **more)

    monkeypatch.setattr(pydantic_core, "from_json", counting)
    words = [f"word {number} " for number in range(2000)]
    states = await states_of(*call("c", "write", '{"text": "', *words, '"}'), rules=[RULE])

    assert states[-1] == {"draft": "".join(words)}
    assert sum(read) < 200 * max(read)


@pytest.mark.parametrize(
    "rules",
    [None, "draft", [5, None, {"tool": "write"}, {"state_key": "draft"}], [{"tool": ["write"], "state_key": {}}]],
)
async def test_rules_that_are_none_predict_nothing_and_break_nothing(rules: Any) -> None:
    assert await states_of(*call("c", "write", '{"text": "once"}'), rules=rules) == []


@pytest.mark.parametrize("arguments", ['{"text": ', "[1, 2]", "nonsense", '"text"'])
async def test_arguments_that_are_no_object_predict_nothing(arguments: str) -> None:
    assert await states_of(*call("c", "write", arguments), rules=[RULE]) == []

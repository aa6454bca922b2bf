"""Graphs in this process, and recordings of them behind the TypeScript runtime with its LangGraph agent."""

from __future__ import annotations

import asyncio
import json
from fnmatch import fnmatchcase
from typing import Any

import httpx
import pytest

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.parity.differences import Difference, expected
from tests.parity.document import DOCUMENT
from tests.parity.fold import fold, view
from tests.parity.langgraph.differences import DIFFERENCES
from tests.parity.langgraph.recorder import HERE, RECORDINGS, record
from tests.parity.langgraph.scenarios import SCENARIOS
from tests.parity.placeholders import Placeholders
from tests.support.local_server import PATH, served

every_scenario = pytest.mark.parametrize("name", SCENARIOS)


async def _play() -> dict[str, Any]:
    runtime = CopilotRuntime(providers=[LangGraphProvider.from_file(HERE)], store="memory://")
    async with served(runtime.create_app()) as origin, httpx.AsyncClient(timeout=30) as client:
        return {name: await record(name, scenario, client, origin + PATH) for name, scenario in SCENARIOS.items()}


@pytest.fixture(scope="module")
def here() -> dict[str, Any]:
    return asyncio.run(_play())


def _recording(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def _ends(turns: list[dict[str, Any]]) -> Any:
    return Placeholders().put(json.loads(json.dumps([view(fold(turn["parts"])) for turn in turns], sort_keys=True)))


@every_scenario
def test_the_client_ends_each_turn_where_the_typescript_runtime_takes_it(name: str, here: dict[str, Any]) -> None:
    recorded = enumerate(_ends(_recording(name)), start=1)
    assert _ends(here[name]) == [expected(f"{name}.{number}", end, DIFFERENCES) for number, end in recorded]


@every_scenario
def test_each_answer_comes_to_an_end_on_both(name: str, here: dict[str, Any]) -> None:
    assert [turn["complete"] for turn in [*here[name], *_recording(name)]] == [True] * 2 * len(SCENARIOS[name].turns)


@every_scenario
def test_the_client_sent_the_same_messages_and_answers_to_both(name: str, here: dict[str, Any]) -> None:
    assert _asked(here[name]) == _asked(_recording(name))


def _asked(turns: list[dict[str, Any]]) -> list[Any]:
    return [(_user_part(turn["data"]["messages"]), turn["data"]["metaEvents"]) for turn in turns]


def _user_part(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in messages if message["id"].startswith(("user-", "result-of-"))]


every_difference = pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.scenarios)


@every_difference
def test_each_difference_that_is_listed_exists(difference: Difference) -> None:
    turns = [f"{name}.{number + 1}" for name, scenario in SCENARIOS.items() for number in range(len(scenario.turns))]
    assert any(fnmatchcase(turn, difference.scenarios) for turn in turns)


@every_difference
def test_the_document_lists_the_difference(difference: Difference) -> None:
    row = f"| `{difference.scenarios}` | {difference.reason} |"
    assert row in DOCUMENT.read_text(encoding="utf-8").splitlines()

"""This runtime, and recordings of the TypeScript runtime, playing the same scripts."""

from __future__ import annotations

import asyncio
import itertools
import json
from fnmatch import fnmatchcase
from typing import Any

import httpx
import pytest

from tests.parity.differences import DIFFERENCES, Difference, expected
from tests.parity.fold import fold, shrinks, states, view
from tests.parity.placeholders import Placeholders
from tests.parity.recorder import RECORDINGS
from tests.parity.scenarios import load
from tests.parity.wire import Answer, ask
from tests.support.queued_runtime import EXECUTIONS, served

SCENARIOS = {scenario.id: scenario for scenario in load()}

every_scenario = pytest.mark.parametrize("scenario_id", SCENARIOS)


async def _play(url: str) -> dict[str, Answer]:
    async with httpx.AsyncClient(timeout=30) as client:
        answers = await asyncio.gather(*(ask(client, url, s.body) for s in SCENARIOS.values()))
    return dict(zip(SCENARIOS, answers, strict=True))


@pytest.fixture(scope="module", params=EXECUTIONS)
def answers(request: pytest.FixtureRequest) -> dict[str, Answer]:
    with served(request.param) as server:
        return asyncio.run(_play(server.url))


def _recording(scenario_id: str) -> Any:
    return json.loads((RECORDINGS / f"{scenario_id}.json").read_text())


def _end(parts: list[Any]) -> Any:
    response = fold(parts)
    end = {"errors": [_shown(error) for error in parts[-1]["errors"]]} if response is None else view(response)
    return Placeholders().put(json.loads(json.dumps(end, sort_keys=True)))


def _shown(error: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in error.items() if key != "extensions"}


@every_scenario
def test_the_client_ends_where_the_typescript_runtime_takes_it(scenario_id: str, answers: dict[str, Answer]) -> None:
    recorded = expected(scenario_id, _end(_recording(scenario_id)["parts"]))
    assert _end(answers[scenario_id].parts) == recorded


@every_scenario
def test_the_answer_has_the_recorded_status_and_media_type(scenario_id: str, answers: dict[str, Answer]) -> None:
    answer, recorded = answers[scenario_id], _recording(scenario_id)
    assert (answer.status, answer.content_type) == (recorded["status"], recorded["contentType"])


@every_scenario
def test_no_message_ever_shrinks_or_changes_what_it_sent(scenario_id: str, answers: dict[str, Answer]) -> None:
    pairs = itertools.pairwise(states(answers[scenario_id].parts))
    assert not [pair for pair in pairs if shrinks(*pair)]


@every_scenario
def test_the_stream_ends_with_its_only_final_part(scenario_id: str, answers: dict[str, Answer]) -> None:
    answer = answers[scenario_id]
    assert answer.complete
    if answer.content_type.startswith("multipart/"):
        assert [part["hasNext"] for part in answer.parts] == [True] * (len(answer.parts) - 1) + [False]


@every_scenario
def test_a_recording_was_made_of_the_scenario_as_it_is(scenario_id: str) -> None:
    assert _recording(scenario_id)["data"] == SCENARIOS[scenario_id].data


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.scenarios)
def test_each_difference_that_is_listed_exists(difference: Difference) -> None:
    assert any(fnmatchcase(scenario_id, difference.scenarios) for scenario_id in SCENARIOS)

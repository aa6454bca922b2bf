"""This runtime, and recordings of the newest TypeScript runtime, playing the same scripts over AG-UI."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.parity.agui.client import Stream, play
from tests.parity.agui.differences import CONNECT, DIFFERENCES, RUN, Difference, difference_of
from tests.parity.agui.recorder import RECORDINGS
from tests.parity.agui.scenarios import load
from tests.support.queued_runtime import EXECUTIONS, served

SCENARIOS = load()

every_stream = pytest.mark.parametrize("stream", [RUN, CONNECT])
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS)


async def _play(url: str) -> dict[str, dict[str, Stream]]:
    async with httpx.AsyncClient(timeout=30) as client:
        streams = await asyncio.gather(*(play(client, url, body) for body in SCENARIOS.values()))
    return dict(zip(SCENARIOS, streams, strict=True))


@pytest.fixture(scope="module", params=EXECUTIONS)
def streams(request: pytest.FixtureRequest) -> dict[str, dict[str, Stream]]:
    with served(request.param) as server:
        return asyncio.run(_play(server.url))


def _recording(scenario: str) -> Any:
    return json.loads((RECORDINGS / f"{scenario}.json").read_text(encoding="utf-8"))


def _told(stream: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events as clients take them: without times, and with the messages of a run's input in the history only."""
    return [_as_read(event, with_messages=stream == CONNECT) for event in events]


def _as_read(event: dict[str, Any], *, with_messages: bool) -> dict[str, Any]:
    read = {key: value for key, value in event.items() if key not in {"timestamp", "rawEvent", "input"}}
    return read | {"messages": event["input"]["messages"]} if with_messages and "input" in event else read


def _types(events: list[dict[str, Any]]) -> Counter[str]:
    return Counter(event["type"] for event in events)


@every_stream
@every_scenario
def test_clients_get_the_events_that_the_typescript_runtime_sends(
    scenario: str, stream: str, streams: dict[str, dict[str, Stream]]
) -> None:
    sent, recorded = streams[scenario][stream].events, _recording(scenario)[stream]["events"]
    difference = difference_of(scenario, stream)
    if difference is None:
        assert _told(stream, sent) == _told(stream, recorded)
    else:
        assert _told(stream, sent) != _told(stream, recorded), "nothing differs any more"
        assert set(_types(recorded) - _types(sent)) == set(difference.fewer)
        assert set(_types(sent) - _types(recorded)) == set(difference.more)


@every_stream
@every_scenario
def test_a_stream_has_the_recorded_media_type_and_ends(
    scenario: str, stream: str, streams: dict[str, dict[str, Stream]]
) -> None:
    sent, recorded = streams[scenario][stream], _recording(scenario)[stream]
    assert (sent.status, sent.complete) == (200, True)
    if recorded["complete"]:
        assert sent.content_type == recorded["content_type"]


@every_scenario
def test_a_recording_was_made_of_the_scenario_as_it_is(scenario: str) -> None:
    assert _recording(scenario)["body"] == SCENARIOS[scenario]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: f"{each.scenarios}-{each.streams[0]}")
def test_each_difference_that_is_listed_is_met(difference: Difference) -> None:
    met = [difference_of(scenario, stream) for scenario in SCENARIOS for stream in (RUN, CONNECT)]
    assert difference in met

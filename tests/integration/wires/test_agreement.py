"""What both wires show of the same agent."""

from __future__ import annotations

import json
from typing import Any

from copilotkit_runtime import CopilotRuntime
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.agui_client import PATH, connect, run, run_input, say, script
from tests.support.local_server import client_of
from tests.support.request_bodies import scripted
from tests.support.scripted_agent import ScriptedProvider

STATE = {
    "count": 1,
    "messages": [{"id": "m"}],
    "tools": [{"name": "paint"}],
    "context": [],
    "copilotkit": {"actions": [{"name": "paint"}]},
    "ag-ui": {"tools": []},
}
STEP = {"event": {"type": "STATE_SNAPSHOT", "snapshot": STATE}}


async def test_both_wires_leave_out_of_a_state_what_the_client_sent() -> None:
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        events = await run(client, "scripted", run_input(script(STEP)))
        answer = fold((await ask(client, PATH, scripted(STEP, agent="scripted"))).parts)
        loaded = await client.post(PATH, json=_load())
    assert [event["snapshot"] for event in events if event["type"] == "STATE_SNAPSHOT"] == [{"count": 1}]
    states = [json.loads(message["state"]) for message in answer["messages"] if "state" in message]
    assert states
    assert all(state == {"count": 1} for state in states)
    assert json.loads(loaded.json()["data"]["loadAgentState"]["state"]) == {"count": 1}


async def test_both_wires_keep_a_state_of_which_a_run_and_its_client_report_nothing() -> None:
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        await run(client, "scripted", run_input(script(STEP)))
        await run(client, "scripted", run_input(script(*say("again"), id_="u2"), run="r2"))
        connected = await connect(client, "scripted")
        loaded = await client.post(PATH, json=_load())
    assert [event["snapshot"] for event in connected if event["type"] == "STATE_SNAPSHOT"] == [{"count": 1}]
    assert json.loads(loaded.json()["data"]["loadAgentState"]["state"]) == {"count": 1}


def _load() -> dict[str, Any]:
    query = "query ($data: LoadAgentStateInput!) { loadAgentState(data: $data) { state } }"
    return {"query": query, "variables": {"data": {"threadId": "t", "agentName": "scripted"}}}

"""What agents of workers remember is read, and deleted, where they are."""

from __future__ import annotations

import json

import httpx
import pytest
from typing_extensions import override

from copilotkit_runtime.runtime.errors import AgentNotFoundError
from copilotkit_runtime.runtime.execution import directory
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.provider import AgentDescriptor
from copilotkit_runtime.runtime.stores.interface import AgentState
from tests.integration.execution.deployments import KINDS, PATIENCE, Deployment
from tests.support.agui_client import run, run_input, types_of, user
from tests.support.echo_agent import EchoProvider
from tests.support.polling import until

pytestmark = [pytest.mark.parametrize("url", KINDS, indirect=True), pytest.mark.usefixtures("brief_takes")]

_LOAD = "query($data: LoadAgentStateInput!) { loadAgentState(data: $data) { threadExists state messages } }"


class OneAgent(EchoProvider):
    """Has one agent with a memory, under the name that every provider of its kind has."""

    def __init__(self, agent: str, queue: str = "default") -> None:
        super().__init__()
        self.agent = AgentDescriptor(name=agent, queue=queue)
        self.deleted: list[str] = []

    @override
    async def list_agents(self) -> list[AgentDescriptor]:
        return [self.agent]

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        if agent_name != self.agent.name:
            raise AgentNotFoundError(agent_name, [self.agent.name])
        messages = [TextMessage(id="m", role="user", content=agent_name)]
        return AgentState(state={"remembered by": agent_name}, messages=messages)

    async def delete_thread(self, thread_id: str) -> None:
        self.deleted.append(thread_id)


async def state_of(client: httpx.AsyncClient, agent: str, thread: str) -> object:
    data = {"threadId": thread, "agentName": agent}
    answer = (await client.post("/api/copilotkit", json={"query": _LOAD, "variables": {"data": data}})).json()
    return json.loads(answer["data"]["loadAgentState"]["state"])


async def test_providers_of_one_name_in_workers_of_different_queues_each_keep_their_agents(
    deployment: Deployment, thread: str
) -> None:
    light, heavy = OneAgent("light"), OneAgent("heavy", queue="heavy")
    await deployment.worker(light)
    await deployment.worker(heavy, {"queues": ("heavy",)})
    client = await deployment.web()
    for agent in ("light", "heavy"):
        await run(client, agent, run_input(user("hello"), thread=thread, run=agent))
        assert await state_of(client, agent, thread) == {"remembered by": agent}
    assert (await client.delete(f"/api/copilotkit/threads/{thread}")).status_code == 200
    assert (light.deleted, heavy.deleted) == ([thread], [thread])


async def test_a_thread_is_not_deleted_while_the_workers_are_away_that_remember_it(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "START_SECONDS", 0.0)
    monkeypatch.setattr(directory, "FORGET_SECONDS", 1.0)
    provider = OneAgent("light")
    worker = await deployment.worker(provider)
    client = await deployment.web()
    assert types_of(await run(client, "light", run_input(user("hello"), thread=thread)))[-1] == "RUN_FINISHED"
    await worker.stop()
    path = f"/api/copilotkit/threads/{thread}"

    async def forgotten() -> bool:
        return (await client.get("/api/copilotkit/info")).json()["agents"] == {}

    await until(forgotten, PATIENCE)
    started_since = await deployment.web()
    for web in (client, started_since):
        refused = await web.delete(path)
        assert (refused.status_code, provider.deleted) == (503, [])
        assert int(refused.headers["retry-after"]) > 0
    await deployment.worker(provider)

    async def deleted() -> bool:
        return (await client.delete(path)).status_code == 200

    await until(deleted, PATIENCE)
    assert provider.deleted == [thread]

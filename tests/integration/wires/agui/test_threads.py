"""Threads over AG-UI: their owners list, read, rename, archive and delete them; for others they do not exist."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from tests.support.agui_client import PATH, connect, events_of, run, run_input, say, script
from tests.support.local_server import client_of
from tests.support.polling import until
from tests.support.scripted_agent import ScriptedProvider

AGENT = {"agentId": "scripted"}


@pytest.fixture(params=["memory://", "sqlite"])
async def client(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Ann's client of a runtime that Bob may use too."""
    store = f"sqlite:///{tmp_path}/threads.db" if request.param == "sqlite" else request.param
    config = RuntimeConfig(api_keys=("ann:a", "bob:b"), store=store)
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], config=config)) as client:
        client.headers["x-api-key"] = "a"
        yield client


async def make(client: httpx.AsyncClient, *threads: str) -> None:
    for thread in threads:
        steps = [*say("hello"), {"event": {"type": "STATE_SNAPSHOT", "snapshot": {"n": 1}}}]
        await run(client, "scripted", run_input(script(*steps), thread=thread))


async def listed(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    response = await client.get(f"{PATH}/threads", params={**AGENT, **query})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    return [thread["id"] for thread in (await listed(client, **query))["threads"]]


async def test_threads_are_listed_to_their_owner_newest_first(client: httpx.AsyncClient) -> None:
    await make(client, "one", "two")
    assert await ids(client) == ["two", "one"]
    assert await ids(client, agentId="default") == ["two", "one"]
    client.headers["x-api-key"] = "b"
    assert await ids(client) == []


@pytest.mark.parametrize("id_", ["clear", "subscribe", "two\nlines", "a line\n", "\n"])
async def test_a_thread_of_any_name_is_read_renamed_and_deleted(client: httpx.AsyncClient, id_: str) -> None:
    await make(client, id_)
    path = f"{PATH}/threads/{quote(id_, safe='')}"
    assert len((await client.get(f"{path}/messages")).json()["messages"]) == 2
    assert (await client.patch(path, json={"name": "Mine"})).json()["name"] == "Mine"
    assert (await client.request("DELETE", path)).status_code == 200
    assert await ids(client) == []


async def test_a_long_list_comes_in_pages(client: httpx.AsyncClient) -> None:
    await make(client, "one", "two", "three")
    first = await listed(client, limit=2)
    assert [thread["id"] for thread in first["threads"]] == ["three", "two"]
    assert await ids(client, limit=2, cursor=first["nextCursor"]) == ["one"]


async def test_a_thread_is_named_after_its_first_message(client: httpx.AsyncClient) -> None:
    await make(client, "one")
    [thread] = (await listed(client))["threads"]
    assert thread["name"].startswith('[{"event"')
    assert len(thread["name"]) <= 60
    assert (thread["agentId"], thread["archived"], thread["createdById"]) == ("scripted", False, "ann")


async def test_a_thread_is_renamed_archived_and_taken_back(client: httpx.AsyncClient) -> None:
    await make(client, "one")
    renamed = await client.patch(f"{PATH}/threads/one", json={**AGENT, "name": "Mine"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Mine")
    archived = await client.post(f"{PATH}/threads/one/archive", json=AGENT)
    assert archived.json() == {"threadId": "one", "archived": True}
    assert await ids(client) == []
    assert await ids(client, includeArchived="true") == ["one"]
    assert (await client.patch(f"{PATH}/threads/one", json={**AGENT, "archived": False})).json()["archived"] is False
    assert await ids(client) == ["one"]


async def test_a_thread_is_read(client: httpx.AsyncClient) -> None:
    await make(client, "one")
    messages = (await client.get(f"{PATH}/threads/one/messages")).json()["messages"]
    assert [(message["role"], message["id"]) for message in messages] == [("user", "u"), ("assistant", "a")]
    assert (await client.get(f"{PATH}/threads/one/state")).json() == {"state": {"n": 1}}
    events = (await client.get(f"{PATH}/threads/one/events")).json()["events"]
    assert events[-1]["type"] == "RUN_FINISHED"


async def test_a_deleted_thread_is_gone(client: httpx.AsyncClient) -> None:
    await make(client, "one")
    deleted = await client.request("DELETE", f"{PATH}/threads/one", json=AGENT)
    assert deleted.json() == {"threadId": "one", "deleted": True}
    assert await ids(client) == []
    assert await connect(client, "scripted", "one") == []


async def is_running(client: httpx.AsyncClient, thread: str) -> bool:
    found = await client.post(f"{PATH}/agent/scripted/stop/{thread}", json={"runId": "another"})
    return "not the active run" in found.text


async def test_a_run_in_a_thread_that_is_deleted_is_stopped_wherever_it_runs(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/threads.db"
    here, elsewhere = (CopilotRuntime(providers=[ScriptedProvider()], store=store) for _ in range(2))
    async with client_of(here) as client, client_of(elsewhere) as other:
        body = run_input(script(*say("so far")[:2], {"hang": True}), thread="one")
        async with client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as running:
            pieces, text = running.aiter_text(), ""
            while "so far" not in text:
                text += await anext(pieces)
            await until(lambda: is_running(other, "one"))
            deleted = await other.request("DELETE", f"{PATH}/threads/one", json=AGENT)
            text += "".join([piece async for piece in pieces])
        assert deleted.json() == {"threadId": "one", "deleted": True}
        assert events_of(text)[-1] == {"type": "RUN_FINISHED", "threadId": "one", "runId": "r"}
        for each in (client, other):
            assert await connect(each, "scripted", "one") == []
            assert (await each.get(f"{PATH}/threads")).json()["threads"] == []


@pytest.mark.parametrize("thread", ["one", "none"])
async def test_somebody_elses_thread_does_not_exist(client: httpx.AsyncClient, thread: str) -> None:
    await make(client, "one")
    client.headers["x-api-key"] = "b"
    place = f"{PATH}/threads/{thread}"
    assert (await client.get(f"{place}/messages")).json() == {"messages": []}
    assert (await client.get(f"{place}/events")).json() == {"events": []}
    assert (await client.get(f"{place}/state")).json() == {"state": None}
    for refused in (
        await client.patch(place, json={**AGENT, "name": "Mine now"}),
        await client.post(f"{place}/archive", json=AGENT),
        await client.request("DELETE", place, json=AGENT),
    ):
        assert refused.status_code == 404
        assert refused.json()["error"]


@pytest.mark.parametrize("body", [[], {"name": 1}, {"name": "x" * 201}])
async def test_a_name_that_cannot_be_kept_is_refused(client: httpx.AsyncClient, body: Any) -> None:
    await make(client, "one")
    response = await client.patch(f"{PATH}/threads/one", json=body)
    assert (response.status_code, "error" in response.json()) == (400, True)


async def test_an_envelope_reaches_the_threads(client: httpx.AsyncClient) -> None:
    await make(client, "one")
    params = {"path": "/threads?agentId=scripted&limit=5", "httpMethod": "GET"}
    response = await client.post(PATH, json={"method": "resource/request", "params": params})
    assert [thread["id"] for thread in response.json()["threads"]] == ["one"]
    params = {"path": "/threads/one", "httpMethod": "PATCH"}
    envelope = {"method": "resource/request", "params": params, "body": {**AGENT, "name": "Mine"}}
    assert (await client.post(PATH, json=envelope)).json()["name"] == "Mine"


async def test_nobody_lists_threads_where_nobody_is_authenticated() -> None:
    config = RuntimeConfig(list_threads=False)
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], config=config)) as client:
        assert (await client.get(f"{PATH}/info")).json()["threadEndpoints"]["list"] is False
        assert (await client.get(f"{PATH}/threads")).status_code == 404

"""What CrewAI keeps of threads in storages of its own: whose it is, and that it ends with its thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from copilotkit_runtime import ApiKeyAuth, CopilotRuntime, RuntimeConfig
from copilotkit_runtime.providers.crewai import CrewAIProvider
from copilotkit_runtime.providers.crewai.thread_memory import ThreadMemories
from copilotkit_runtime.providers.crewai.thread_storage import scope_of_thread
from copilotkit_runtime.providers.crewai.traces import Traces
from copilotkit_runtime.runtime.errors import ConfigurationError
from tests.support.agui_client import PATH, events_of, run_input, user
from tests.support.local_server import client_of

KEYS = {"ann": {"x-api-key": "key-of-ann"}, "bob": {"x-api-key": "key-of-bob"}}
AUTH = ApiKeyAuth({"ann": "key-of-ann", "bob": "key-of-bob"})


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where CrewAI keeps what has no place of its own."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    return tmp_path


def embedding(texts: list[str]) -> list[list[float]]:
    """All texts are alike, so that whatever may be recalled is."""
    return [[1.0, 0.0, 0.0, 0.0] for _ in texts]


def remembering(place: Path) -> Any:
    """A class of flows that remember what they are sent and say all that they recall; CrewAI is imported late."""
    from crewai import Flow, Memory
    from crewai.flow.flow import start

    class Remembering(Flow[dict[str, Any]]):
        def __init__(self, **given: Any) -> None:
            memory = Memory(storage=str(place / "memory"), embedder=embedding, root_scope="/flow/notes")
            super().__init__(memory=memory, **given)

        @start()
        def answer(self) -> str:
            said = self.state["messages"][-1]["content"]
            found = self.recall("anything", depth="shallow", limit=50)
            self.remember(said, scope="/notes", categories=["note"], importance=0.5)
            return "recalled: " + " | ".join(sorted(match.record.content for match in found))

    return Remembering


def persisting(place: Path) -> Any:
    """A class of flows that persist a list of all that they were sent."""
    from crewai import Flow
    from crewai.flow.flow import start
    from crewai.flow.persistence import SQLiteFlowPersistence, persist

    @persist(SQLiteFlowPersistence(str(place / "flows.db")))
    class Persisting(Flow[dict[str, Any]]):
        @start()
        def answer(self) -> str:
            self.state["told"] = [*self.state.get("told", ()), self.state["messages"][-1]["content"]]
            return "recalled: " + " | ".join(self.state["told"])

    return Persisting


def stateful(place: Path) -> Any:
    """A class of flows that keep what they are sent in their state alone."""
    del place
    from crewai import Flow
    from crewai.flow.flow import start

    class Stateful(Flow[dict[str, Any]]):
        @start()
        def answer(self) -> str:
            self.state["told"] = [*self.state.get("told", ()), self.state["messages"][-1]["content"]]
            return "recalled: " + " | ".join(self.state["told"])

    return Stateful


def remembering_inside(place: Path) -> Any:
    """A class of flows whose own code makes a memory, where CrewAI keeps memories that name no place."""
    del place
    from crewai import Flow, Memory
    from crewai.flow.flow import start

    class RememberingInside(Flow[dict[str, Any]]):
        @start()
        def answer(self) -> str:
            memory = Memory(embedder=embedding)
            found = memory.recall("anything", depth="shallow", limit=50)
            memory.remember(self.state["messages"][-1]["content"], scope="/n", categories=["note"], importance=0.5)
            return "recalled: " + " | ".join(sorted(match.record.content for match in found))

    return RememberingInside


def remembering_in_an_object(place: Path) -> Any:
    """A class of flows whose own code makes a memory with a storage that is given as an object."""
    from crewai import Flow, Memory
    from crewai.flow.flow import start
    from crewai.memory.storage.lancedb_storage import LanceDBStorage

    class RememberingInAnObject(Flow[dict[str, Any]]):
        @start()
        def answer(self) -> str:
            memory = Memory(storage=LanceDBStorage(path=str(place / "object"), table_name="own"), embedder=embedding)
            found = memory.recall("anything", depth="shallow", limit=50)
            memory.remember(self.state["messages"][-1]["content"], scope="/n", categories=["note"], importance=0.5)
            return "recalled: " + " | ".join(sorted(match.record.content for match in found))

    return RememberingInAnObject


FLOWS = [remembering, persisting, remembering_inside, remembering_in_an_object]


@asynccontextmanager
async def served(source: Any, store: str) -> AsyncIterator[tuple[CopilotRuntime, httpx.AsyncClient]]:
    runtime = CopilotRuntime(
        providers=[CrewAIProvider({"flow": source})],
        store=store,
        auth=AUTH,
        config=RuntimeConfig(installed_providers=False),
    )
    async with client_of(runtime) as client:
        yield runtime, client


async def say(client: httpx.AsyncClient, person: str, text: str, thread: str = "t") -> str:
    """What a person is answered on a thread; a status if it is none of theirs."""
    body = run_input(user(text, id_=text), thread=thread, run=f"run-{text}")
    response = await client.post(f"{PATH}/agent/flow/run", json=body, headers=KEYS[person])
    if response.status_code != 200:
        return str(response.status_code)
    return "".join(each.get("delta", "") for each in events_of(response.text) if each["type"].endswith("_CONTENT"))


@pytest.mark.parametrize("flow", [*FLOWS, stateful])
async def test_a_flow_that_was_given_as_an_object_carries_nothing_to_another_thread(flow: Any, storage: Path) -> None:
    async with served(flow(storage)(), f"sqlite:///{storage}/states.sqlite") as (_, client):
        await say(client, "ann", "secret of ann", "one")
        assert await say(client, "bob", "hello", "two") in ("recalled: hello", "recalled: ")


@pytest.mark.parametrize("flow", FLOWS)
async def test_what_a_flow_keeps_is_its_thread_s_alone(flow: Any, storage: Path) -> None:
    async with served(flow(storage), f"sqlite:///{storage}/states.sqlite") as (_, client):
        await say(client, "ann", "secret of ann", "one")
        assert "secret of ann" in await say(client, "ann", "again", "one")
        assert "secret" not in await say(client, "ann", "hello", "two")
        assert "secret" not in await say(client, "bob", "hello", "three")


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("is_object", [False, True])
async def test_a_deleted_thread_s_traces_are_gone_and_no_other_s(flow: Any, storage: Path, is_object: bool) -> None:
    kind = flow(storage)
    async with served(kind() if is_object else kind, f"sqlite:///{storage}/states.sqlite") as (runtime, client):
        await say(client, "ann", "secret of ann", "one")
        await say(client, "ann", "other of ann", "two")
        await say(client, "bob", "secret of bob", "three")
        assert await runtime.delete_thread("one")
        assert "other of ann" in await say(client, "ann", "again", "two")
        await runtime.delete_threads(owner="ann")
        assert "secret of bob" in await say(client, "bob", "again", "three")
        kept = [await runtime.list_providers()[0].keeps_thread(thread) for thread in ("one", "two", "three")]
        assert kept == [False, False, True]


@pytest.mark.parametrize("flow", [remembering_inside, remembering_in_an_object])
async def test_what_runs_remember_by_themselves_is_its_owner_s_alone(flow: Any, storage: Path) -> None:
    kind = flow(storage)
    async with served(kind, "memory://") as (_, client):
        await say(client, "ann", "secret of ann")
    async with served(kind, "memory://") as (_, client):
        assert "secret" not in await say(client, "bob", "hello")


@pytest.mark.parametrize("flow", [remembering, persisting, remembering_inside])
async def test_after_a_restart_that_lost_the_owners_a_thread_is_nobody_s(flow: Any, storage: Path) -> None:
    kind = flow(storage)
    async with served(kind, "memory://") as (_, client):
        await say(client, "ann", "secret of ann")
    async with served(kind, "memory://") as (_, client):
        answers = [await say(client, person, "hello") for person in ("bob", "ann")]
        assert "recalled" in await say(client, "bob", "hello", "unused")
    assert not any("secret" in answer or "recalled" in answer for answer in answers)


@pytest.mark.parametrize("root", [None, "/crew/writers"])
def test_memories_of_crews_and_their_agents_end_with_the_thread(root: str | None, storage: Path) -> None:
    from crewai import Memory

    def memory(name: str) -> Any:
        return Memory(storage=str(storage / name), embedder=embedding, root_scope=root)

    agent = SimpleNamespace(memory=memory("agent"))
    crew = SimpleNamespace(tasks=[], agents=[agent, SimpleNamespace(memory=None)], _memory=memory("crew").scope("/own"))
    own = (agent.memory, crew._memory)
    for thread in ("one", "two"):
        with ExitStack() as back:
            for holder, attribute in ((crew, "_memory"), (agent, "memory")):
                ThreadMemories(thread).lend(back, holder, attribute)
                lent = getattr(holder, attribute)
                lent.remember(f"secret of {thread}", scope="/a", categories=["c"], importance=0.5)
                found = [match.record.content for match in lent.recall("x", depth="shallow")]
                assert found == [f"secret of {thread}"]
        assert (agent.memory, crew._memory) == own
    Traces(crew).delete("one")
    assert [Traces(crew).hold(thread) for thread in ("one", "two", "three")] == [False, True, False]


async def test_a_memory_of_a_thread_reaches_no_other_thread_s_records(storage: Path) -> None:
    from crewai import Memory

    whole = Memory(storage=str(storage / "memory"), embedder=embedding)
    whole.remember("of everybody", scope="/all", categories=["c"], importance=0.5)
    ann, bob = ThreadMemories("ann").view(whole), ThreadMemories("bob").view(whole)
    secret = ann.remember("secret", scope="/a", categories=["c"], importance=0.5)
    for view in (bob, bob.scope("/a"), bob.slice(["/", "/a", scope_of_thread("ann")], read_only=False)):
        assert view.recall("x", depth="shallow", limit=50) == []
    own_path = scope_of_thread("ann")
    assert bob.list_records(scope=own_path) == bob.list_records(scope="/../" + own_path) == []
    assert (bob.list_scopes("/"), bob.list_categories(), bob.info("/").record_count) == ([], {}, 0)
    with pytest.raises(ValueError, match="not found"):
        bob.update(secret.id, content="changed")
    assert bob.forget(record_ids=[secret.id]) == bob.forget(categories=["c"]) == 0
    bob.reset_all()
    assert (ann.list_scopes("/"), ann.info("/").child_scopes) == (["/a"], ["/a"])
    assert [(record.scope, record.content) for record in ann.list_records()] == [("/a", "secret")]
    ann.update(secret.id, content="mended")
    assert ann.forget(scope="/b") == 0
    assert ann.forget(metadata_filter={"no": "such"}) == 0
    assert [record.content for record in ann.list_records()] == ["mended"]
    assert ann.forget(record_ids=[secret.id]) == 1
    assert [record.content for record in whole.list_records()] == ["of everybody"]


async def test_production_refuses_flows_that_outlive_the_owners_of_their_threads(storage: Path) -> None:
    runtime = CopilotRuntime(
        providers=[CrewAIProvider({"flow": persisting(storage)})],
        store="memory://",
        auth=AUTH,
        config=RuntimeConfig(env="production", installed_providers=False),
    )
    with pytest.raises(ConfigurationError, match="outlive the owners"):
        await runtime.start()


async def test_a_factory_that_fails_takes_no_other_agent_s_threads_away(storage: Path) -> None:
    def broken() -> Any:
        raise ValueError("no key")

    runtime = CopilotRuntime(
        providers=[CrewAIProvider({"flow": persisting(storage), "broken": broken})],
        store=f"sqlite:///{storage}/states.sqlite",
        auth=AUTH,
        config=RuntimeConfig(installed_providers=False),
    )
    async with client_of(runtime) as client:
        assert await say(client, "ann", "hello") == "recalled: hello"
        assert await runtime.delete_thread("t")

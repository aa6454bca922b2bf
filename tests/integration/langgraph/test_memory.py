"""LangGraph's ``store`` in graphs, and what ``langgraph.json`` says of it and of the rest."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore
from structlog.testing import capture_logs

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime.context import RunContext
from copilotkit_runtime.runtime.errors import ConfigurationError
from tests.integration.langgraph.scripted_model import Page, text


def remembering() -> StateGraph[Any, Any, Any, Any]:
    async def node(state: MessagesState, runtime: Runtime) -> dict[str, Any]:
        assert runtime.store is not None
        known = [item.value["v"] for item in await runtime.store.asearch(("said",))]
        said = state["messages"][-1].content
        await runtime.store.aput(("said",), str(said), {"v": said})
        return {"messages": [AIMessage(f"I know {sorted(known)}")]}

    return StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")


async def say(provider: LangGraphProvider, thread: str, said: str, who: str | None = None, agent: str = "agent") -> str:
    return text(await Page(provider, agent, thread).run(said, request=RunContext(identity=who)))


async def test_a_graph_remembers_over_threads_and_agents_what_one_owner_stored() -> None:
    provider = LangGraphProvider({"agent": remembering(), "other": remembering().compile(), "made": remembering})
    assert await say(provider, "1", "ducks", "ada") == "I know []"
    assert await say(provider, "2", "cars", "ada") == "I know ['ducks']"
    assert await say(provider, "3", "tea", "ada", "other") == "I know ['cars', 'ducks']"
    assert await say(provider, "4", "x", "ada", "made") == "I know ['cars', 'ducks', 'tea']"
    assert await say(provider, "5", "x", "eve") == "I know []"
    assert await say(provider, "6", "x") == "I know []"


async def test_memories_are_where_the_runtime_s_store_is(tmp_path: Path) -> None:
    for known in ("[]", "['ducks']"):
        provider = LangGraphProvider({"agent": remembering().compile()})
        runtime = CopilotRuntime(providers=[provider], store=f"sqlite:///{tmp_path}/store.sqlite")
        await runtime.start()
        try:
            assert await say(provider, known, "ducks", "ada") == f"I know {known}"
        finally:
            await runtime.stop()


async def test_a_store_that_a_graph_brings_is_its_own_affair() -> None:
    own = InMemoryStore()
    await say(LangGraphProvider({"agent": remembering().compile(store=own)}), "1", "ducks", "ada")
    assert own.get(("said",), "ducks") is not None


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "remembers.py").write_text(_GRAPH)
    yield tmp_path
    os.environ.pop("LANGGRAPH_API", None)
    for name in [name for name in sys.modules if name.startswith("remembers")]:
        del sys.modules[name]


_GRAPH = """
import os
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore

def embed(texts):
    return [[float("duck" in text), 1.0] for text in texts]

async def node(state, runtime: Runtime):
    await runtime.store.aput(("m",), str(len(state["messages"])), {"text": state["messages"][-1].content})
    found = sorted(await runtime.store.asearch(("m",), query="duck"), key=lambda item: item.key)
    return {"messages": [AIMessage(f"{len(state['messages'])} {found[0].value['text']}")]}

builder = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")
graph = builder.compile(checkpointer=MemorySaver(), store=InMemoryStore())
served_by = os.environ.get("LANGGRAPH_API")
store = InMemoryStore()

def make_store():
    return store
"""


def project(folder: Path, **more: Any) -> Path:
    file = {"dependencies": ["."], "graphs": {"agent": "./remembers.py:graph"}, **more}
    (folder / "langgraph.json").write_text(json.dumps(file))
    return folder


async def test_graphs_of_a_langgraph_json_keep_threads_and_memories_in_the_runtime_s_store(folder: Path) -> None:
    index = {"dims": 2, "embed": "./remembers.py:embed", "fields": ["text"]}
    project(folder, store={"index": index, "ttl": {"default_ttl": 60}})
    for said, answer in (("a duck", "1 a duck"), ("a car", "3 a duck")):
        provider = LangGraphProvider.from_file(folder)
        runtime = CopilotRuntime(providers=[provider], store=f"sqlite:///{folder}/store.sqlite")
        await runtime.start()
        try:
            page = Page(provider)
            loaded = await page.state()
            assert text(await page.run(*(loaded.messages if loaded else []), said)) == answer
        finally:
            await runtime.stop()


async def test_a_langgraph_json_may_bring_a_store_of_its_own(folder: Path) -> None:
    provider = LangGraphProvider.from_file(project(folder, store={"path": "./remembers.py:make_store"}))
    await Page(provider).run("a duck")
    module = next(module for name, module in sys.modules.items() if name.startswith("remembers"))
    assert len(module.store.list_namespaces()) == 1
    assert module.served_by == "true"


@pytest.mark.parametrize("store", ["odd", {"path": "./remembers.py:served_by"}, {"path": "./remembers.py:nothing"}])
def test_a_store_that_is_none_is_refused(folder: Path, store: Any) -> None:
    with pytest.raises(ConfigurationError):
        LangGraphProvider.from_file(project(folder, store=store))


def test_what_a_langgraph_json_sets_in_vain_is_logged(folder: Path) -> None:
    told = {"auth": {"path": "./a.py:auth"}, "http": {}, "checkpointer": {}, "ui": {}, "dockerfile_lines": []}
    with capture_logs() as logs:
        LangGraphProvider.from_file(project(folder, env="missing.env", python_version="3.1", **told))
    ignored = [entry["key"] for entry in logs if entry["event"] == "langgraph_json_key_ignored"]
    assert ignored == ["auth", "checkpointer", "http", "ui"]
    others = {entry["event"] for entry in logs} - {"langgraph_json_key_ignored"}
    assert others == {"langgraph_json_env_missing", "langgraph_json_python_version"}


def test_a_langgraph_json_without_surprises_logs_nothing(folder: Path) -> None:
    (folder / ".env").write_text("")
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    with capture_logs() as logs:
        LangGraphProvider.from_file(project(folder, env=".env", python_version=running, store={}))
    assert logs == []


@pytest.mark.parametrize(("url", "warned"), [("sqlite:///{}/s.sqlite", True), ("memory://", False)])
async def test_a_graph_in_code_that_forgets_beside_a_durable_store_is_warned_of(
    url: str, warned: bool, tmp_path: Path
) -> None:
    graphs = {"forgets": remembering().compile(checkpointer=InMemorySaver()), "keeps": remembering().compile()}
    runtime = CopilotRuntime(providers=[LangGraphProvider(graphs)], store=url.format(tmp_path))
    with capture_logs() as logs:
        await runtime.start()
    await runtime.stop()
    named = [entry["agent"] for entry in logs if entry["event"] == "langgraph_threads_in_memory"]
    assert named == (["forgets"] if warned else [])


async def test_a_graph_s_saver_in_memory_gives_way_where_that_is_set() -> None:
    own, kept = InMemorySaver(), InMemorySaver()
    graph = remembering().compile(checkpointer=own)
    await Page(graph, checkpointer=kept, replaces_memory=True).run("go")
    assert not own.storage
    assert kept.storage

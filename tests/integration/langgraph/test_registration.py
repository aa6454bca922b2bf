from __future__ import annotations

import json
import operator
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime
from pydantic import BaseModel
from typing_extensions import TypedDict

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime.context import ForwardedParameters, RunContext
from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.runtime.provider import AgentDescriptor
from tests.integration.langgraph.scripted_model import Page, states


class NoteState(MessagesState):
    note: Any


def noting(note: Any) -> StateGraph[Any, Any, Any, Any]:
    return StateGraph(NoteState).add_node("n", lambda _: {"note": note}).add_edge(START, "n")


async def note_of(page: Page, **given: Any) -> Any:
    return states(await page.run("hi", **given))[-1]["note"]


async def test_a_compiled_graph_is_an_agent_and_is_not_changed() -> None:
    graph = noting(1).compile()
    assert await note_of(Page(graph)) == 1
    assert graph.checkpointer is None


async def test_a_graph_that_is_not_compiled_yet_is_compiled() -> None:
    assert await note_of(Page(noting(1))) == 1


async def test_a_factory_builds_a_graph_for_each_run() -> None:
    built: list[int] = []

    def build() -> Any:
        built.append(1)
        return noting(len(built)).compile()

    page = Page(build)
    assert [await note_of(page), await note_of(page)] == [1, 2]


async def test_an_asynchronous_factory_takes_the_request_s_context() -> None:
    async def build(context: RunContext) -> Any:
        return noting(context.properties["user"]).compile()

    assert await note_of(Page(build), request=RunContext(properties={"user": "Ada"})) == "Ada"


async def test_a_factory_may_take_langgraph_s_configuration() -> None:
    def build(config: RunnableConfig) -> Any:
        return noting(config["configurable"]["thread_id"]).compile()

    assert await note_of(Page(build)) == "thread"


async def test_a_factory_may_hold_something_open_while_the_graph_runs() -> None:
    closed: list[bool] = []

    @asynccontextmanager
    async def build() -> AsyncIterator[Any]:
        yield noting(1).compile()
        closed.append(True)

    assert await note_of(Page(build)) == 1
    assert closed == [True]


async def test_a_factory_s_threads_are_kept_between_its_graphs() -> None:
    page = Page(lambda: noting(7).compile())
    await page.run("hi")
    loaded = await page.state()
    assert loaded is not None
    assert loaded.state == {"note": 7}


@pytest.mark.parametrize("source", [1, object(), {"a": 1}])
def test_what_is_neither_graph_nor_factory_is_refused_by_name(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="'broken' needs a compiled LangGraph graph"):
        LangGraphProvider({"broken": source})


async def test_a_factory_that_builds_no_graph_is_refused_when_it_runs() -> None:
    with pytest.raises(ConfigurationError, match="not an int"):
        await Page(lambda: 1).run("hi")


async def test_agents_are_listed_with_their_descriptions() -> None:
    provider = LangGraphProvider({"a": noting(1), "b": noting(2)}, descriptions={"a": "First"})
    assert await provider.list_agents() == [
        AgentDescriptor(name="a", description="First"),
        AgentDescriptor(name="b"),
    ]


def reporting(key: str) -> Any:
    def work(_: NoteState, config: RunnableConfig) -> dict[str, Any]:
        return {"note": config["configurable"].get(key)}

    return StateGraph(NoteState).add_node("n", work).add_edge(START, "n").compile()


async def test_the_client_s_configurable_reaches_the_graph() -> None:
    assert await note_of(Page(reporting("tone")), config={"configurable": {"tone": "kind"}}) == "kind"


FORGED = [
    "langgraph_auth_user",
    "langgraph_auth_user_id",
    "langgraph_auth_permissions",
    "Langgraph-Auth-User",
    "langgraph_request_id",
    "copilotkit_forwarded_headers",
    "x-user",
    "user_id",
    "assistant_id",
    "thread_id",
    "checkpoint_id",
    "checkpoint_ns",
    "__pregel_resuming",
    "copilotkit",
]


@pytest.mark.parametrize("key", FORGED)
async def test_the_client_cannot_set_what_the_run_is(key: str) -> None:
    assert await note_of(Page(reporting(key)), config={"configurable": {key: "stolen"}}) != "stolen"


async def test_the_client_s_recursion_limit_counts() -> None:
    from langgraph.errors import GraphRecursionError

    graph = StateGraph(NoteState).add_node("n", lambda _: {}).add_edge(START, "n").add_edge("n", "n").compile()
    with pytest.raises(GraphRecursionError, match="limit of 3"):
        await Page(graph).run("hi", config={"recursionLimit": 3})


async def test_allowed_headers_reach_the_graph() -> None:
    headers = {"x-tenant": "t1", "accept": "*/*"}
    shown = await note_of(Page(reporting("copilotkit_forwarded_headers")), request=RunContext(headers=headers))
    assert shown == {"x-tenant": "t1"}


async def test_the_headers_that_reach_the_graph_can_be_named() -> None:
    headers = {"x-tenant": "t1", "authorization": "Bearer"}
    page = Page(reporting("copilotkit_forwarded_headers"), context_headers={"authorization"})
    assert await note_of(page, request=RunContext(headers=headers)) == {"authorization": "Bearer"}


async def test_properties_and_forwarded_parameters_reach_the_graph() -> None:
    shown = await note_of(
        Page(reporting("copilotkit")),
        request=RunContext(properties={"plan": "pro"}),
        forwarded=ForwardedParameters(temperature=0),
    )
    assert shown["properties"] == {"plan": "pro"}
    assert shown["forwarded_parameters"]["temperature"] == 0


@dataclass
class DataclassContext:
    user: str = "nobody"


class ModelContext(BaseModel, extra="forbid"):
    user: str = "nobody"


class DictContext(TypedDict, total=False):
    user: str


@pytest.mark.parametrize("schema", [DataclassContext, ModelContext, DictContext])
async def test_of_the_properties_a_context_schema_gets_the_fields_it_declares(schema: type[Any]) -> None:
    def work(_: NoteState, runtime: Runtime[Any]) -> dict[str, Any]:
        context = runtime.context
        return {"note": context["user"] if isinstance(context, dict) else context.user}

    graph = StateGraph(NoteState, context_schema=schema).add_node("n", work).add_edge(START, "n").compile()
    request = RunContext(properties={"user": "Ada", "other": 1})
    assert await note_of(Page(graph), request=request) == "Ada"
    assert await note_of(Page(graph), request=request, config={"configurable": {"user": "Bob"}}) == "Bob"


class Hidden(TypedDict):
    question: str
    secret: str
    answer: str


class Question(TypedDict):
    question: str


class Answer(TypedDict):
    answer: str


async def test_input_and_output_schemas_decide_what_goes_in_and_what_is_shown() -> None:
    def work(state: Hidden) -> dict[str, Any]:
        return {"secret": "s", "answer": f"{state['question']}/{state.get('secret')}"}

    graph = StateGraph(Hidden, input_schema=Question, output_schema=Answer).add_node("n", work)
    page = Page(graph.add_edge(START, "n").compile())
    events = await page.run("hi", state={"question": "q", "secret": "from the page"})

    assert states(events) == [{"answer": "q/None"}]
    loaded = await page.state()
    assert loaded is not None
    assert loaded.state == {"answer": "q/None"}


class StrictState(BaseModel, extra="forbid"):
    messages: list[Any] = []
    count: int = 0


async def test_a_strict_state_model_is_given_only_what_it_declares() -> None:
    def work(state: StrictState) -> dict[str, Any]:
        return {"count": state.count + 1}

    graph = StateGraph(StrictState).add_node("n", work).add_edge(START, "n").compile()
    assert states(await Page(graph).run("hi", state={"count": 1, "other": 2}))[-1] == {"count": 2}


class ReducedState(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages] = []
    log: Annotated[list[str], operator.add] = []


async def test_a_reducer_of_a_pydantic_state_runs_for_what_the_client_changed() -> None:
    graph = StateGraph(ReducedState).add_node("n", lambda _: {}).add_edge(START, "n").compile()
    page = Page(graph)
    await page.run("hi", state={"log": ["a"]})
    assert states(await page.run("hi", "on", state={"log": ["b"]}))[-1] == {"log": ["a", "b"]}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("LG_TEST_SET", "outside")
    monkeypatch.delenv("LG_TEST_NAME", raising=False)
    package = tmp_path / "src" / "demo_pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text("import os\nWORD = os.environ['LG_TEST_NAME'] + os.environ['LG_TEST_SET']\n")
    (package / "agent.py").write_text(_AGENT.replace("IMPORT", "from .words import WORD"))
    (tmp_path / "lone.py").write_text(_AGENT.replace("IMPORT", "from demo_pkg.words import WORD"))
    (tmp_path / ".env").write_text("LG_TEST_NAME=from-file\nLG_TEST_SET=ignored\n")
    yield tmp_path
    os.environ.pop("LG_TEST_NAME", None)
    for name in [name for name in sys.modules if name.startswith(("demo_pkg", "lone_"))]:
        del sys.modules[name]


_AGENT = """
from langgraph.graph import START, MessagesState, StateGraph
IMPORT

class State(MessagesState):
    note: str

graph = StateGraph(State).add_node("n", lambda _: {"note": WORD}).add_edge(START, "n").compile()

def make_graph(config):
    return graph
"""


def write_file(folder: Path, graphs: Any, **more: Any) -> Path:
    file = folder / "langgraph.json"
    file.write_text(json.dumps({"dependencies": ["."], "graphs": graphs, "env": ".env", **more}))
    return file


async def test_a_langgraph_json_is_served_with_its_environment_and_dependencies(project: Path) -> None:
    described = {"path": "./lone.py:make_graph", "description": "Made"}
    file = write_file(
        project, {"pkg": "./src/demo_pkg/agent.py:graph", "mod": "demo_pkg.agent:graph", "made": described}
    )
    provider = LangGraphProvider.from_file(file)

    assert {agent.name: agent.description for agent in await provider.list_agents()} == {
        "pkg": "",
        "mod": "",
        "made": "Made",
    }
    for agent in ("pkg", "mod", "made"):
        assert await note_of(Page(provider, agent)) == "from-fileoutside"


async def test_its_folder_will_do_and_its_environment_may_be_an_object(project: Path) -> None:
    write_file(project, {"agent": "./lone.py:graph"}, env={"LG_TEST_NAME": "object-"})
    assert await note_of(Page(LangGraphProvider.from_file(project))) == "object-outside"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "Cannot read"),
        ("[]", "JSON object"),
        ("{}", "names no graphs"),
        ('{"graphs": {"a": "x.py"}}', "Graph 'a' must be given as"),
        ('{"graphs": {"a": "./missing.py:graph"}}', "missing.py does not exist"),
        ('{"graphs": {"a": "json:graph"}}', "defines no 'graph'"),
    ],
)
def test_a_broken_langgraph_json_is_reported_with_its_fault(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "langgraph.json").write_text(content)
    with pytest.raises(ConfigurationError, match=complaint):
        LangGraphProvider.from_file(tmp_path)


def test_a_missing_langgraph_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Cannot read"):
        LangGraphProvider.from_file(tmp_path / "langgraph.json")


def seeing() -> Any:
    def work(_: NoteState, config: RunnableConfig) -> dict[str, Any]:
        user = config["configurable"].get("langgraph_auth_user")
        told = {"limit": config.get("recursion_limit"), "id": config["configurable"].get("langgraph_auth_user_id")}
        return {"note": {**told, "user": dict(user) if user is not None else None, "by_name": user and user.identity}}

    return StateGraph(NoteState).add_node("n", work).add_edge(START, "n").compile()


async def test_a_graph_receives_the_caller_as_from_langgraph_s_own_server() -> None:
    request = RunContext(identity="bob", claims={"scope": "read write", "team": "blue"})
    forged = {"configurable": {"langgraph_auth_user": {"identity": "admin"}, "langgraph_auth_user_id": "admin"}}
    note = await note_of(Page(seeing()), request=request, config=forged)
    assert (note["id"], note["by_name"]) == ("bob", "bob")
    assert note["user"] == {
        "scope": "read write",
        "team": "blue",
        "identity": "bob",
        "is_authenticated": True,
        "display_name": "bob",
        "permissions": ["read", "write"],
    }


async def test_without_authentication_no_claim_of_the_client_counts() -> None:
    forged = {"configurable": {"langgraph_auth_user": {"identity": "admin"}, "langgraph_auth_user_id": "admin"}}
    note = await note_of(Page(seeing()), config=forged)
    assert (note["id"], note["user"]) == (None, None)


@pytest.mark.parametrize(("asked", "given"), [(7, 7), (10**9, 500), (1e308, 500)])
async def test_the_recursion_limit_of_a_client_has_a_ceiling(asked: float, given: int) -> None:
    assert (await note_of(Page(seeing()), config={"recursion_limit": asked}))["limit"] == given


@dataclass
class WhoSchema:
    langgraph_auth_user_id: str = "nobody"


async def test_a_declared_context_has_the_true_identity() -> None:
    def work(_: NoteState, runtime: Runtime[WhoSchema]) -> dict[str, Any]:
        return {"note": runtime.context.langgraph_auth_user_id}

    graph = StateGraph(NoteState, context_schema=WhoSchema).add_node("n", work).add_edge(START, "n").compile()
    properties = {"langgraph_auth_user_id": "admin"}
    asked = {"config": {"context": properties, "configurable": properties}}
    assert await note_of(Page(graph), request=RunContext(identity="bob", properties=properties), **asked) == "bob"
    assert await note_of(Page(graph), request=RunContext(properties=properties), **asked) == "nobody"

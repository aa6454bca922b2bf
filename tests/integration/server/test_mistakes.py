"""The words that a person reads who makes a mistake on the first day."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from langchain_core.language_models import FakeListChatModel
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    ApiKeyAuth,
    CopilotRuntime,
    Hooks,
    RunContext,
    RunInput,
    RuntimeConfig,
    TopicGuardrail,
    events,
)
from copilotkit_runtime.providers.agui import AGUIHttpAgent, AGUIProvider
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime.errors import CopilotKitError
from copilotkit_runtime.server.cli.target import load_runtime


def answer(state: MessagesState) -> dict[str, Any]:
    del state
    return {"messages": [("ai", "hi")]}


graph: Any = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer")


class Own(AgentProvider):
    name = "own"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="my_agent")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="1")


class Synchronous(Own):
    def execute_run(self, *_: Any) -> Iterator[events.Event]:  # type: ignore[override]
        yield events.TextMessageStart(message_id="1")


class Returning(Own):
    async def execute_run(self, *_: Any) -> str:  # type: ignore[override]
        return "hi"


class Listing(Own):
    def list_agents(self) -> list[AgentDescriptor]:  # type: ignore[override]
        return []


class Loading(Own):
    def load_state(self, *_: Any) -> None:  # type: ignore[override]
        return None


class Passing(Own):
    def list_agents(self) -> Awaitable[list[AgentDescriptor]]:  # type: ignore[override]
        return super().list_agents()


class Naming(Own):
    def __init__(self, *named: Any) -> None:
        self._named: Any = named

    async def list_agents(self) -> list[AgentDescriptor]:
        return self._named  # type: ignore[no-any-return]


class ListingNone(Own):
    async def list_agents(self) -> list[AgentDescriptor]:
        return None  # type: ignore[return-value]


class Forgetting(Own):
    async def execute_run(self, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:  # type: ignore[override]
        yield events.TextMessageStart(message_id="1")


class ForeignAgent:
    """As pydantic-ai's: its ``run`` takes a prompt."""

    __module__ = "pydantic_ai.agent"

    async def run(self, prompt: str) -> str:
        return prompt


anything: Any = Own()
untyped: Any = CopilotRuntime


def make() -> Own:
    return Own()


async def make_later() -> Own:
    return Own()


def unawaited(use: Callable[[Any], object]) -> None:
    """Use what an async function returns before it is awaited."""
    made = make_later()
    try:
        use(made)
    finally:
        made.close()


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "a graph without a name": (
        lambda: LangGraphProvider(graph),
        'LangGraphProvider takes agents by name, not a StateGraph. Write LangGraphProvider({"my_agent": graph}).',
    ),
    "a list of graphs": (lambda: LangGraphProvider([graph]), "by name, not a list"),  # type: ignore[arg-type]
    "a URL without a name": (
        lambda: AGUIProvider("http://127.0.0.1:1"),  # type: ignore[arg-type]
        'AGUIProvider takes agents by name, not a str. Write AGUIProvider({"my_agent": "https://…"}).',
    ),
    "one provider": (lambda: CopilotRuntime(providers=anything), "not one Own. Write providers=[provider]."),
    "a provider's class": (lambda: CopilotRuntime(providers=[Own]), "Write providers=[Own(…)]."),  # type: ignore[list-item]
    "a graph for a provider": (
        lambda: CopilotRuntime(providers=[graph]),
        'StateGraph is a LangGraph graph without a name. Write agents={"my_agent": …} instead.',
    ),
    "a graph for providers": (lambda: CopilotRuntime(providers=graph), 'Write agents={"my_agent": …} instead.'),
    "agents for providers": (
        lambda: CopilotRuntime(providers={"a": graph}),  # type: ignore[dict-item]
        'Write agents={"my_agent": …}.',
    ),
    "a graph for agents": (lambda: CopilotRuntime(agents=graph), 'Write agents={"my_agent": graph}.'),
    "a function for an agent": (
        lambda: CopilotRuntime(agents={"a": answer}),
        'Write providers=[LangGraphProvider({"a": answer})]',
    ),
    "a provider for an agent": (lambda: CopilotRuntime(agents={"a": anything}), "Write providers=[Own(…)]."),
    "no agent at all": (lambda: CopilotRuntime(agents={"a": 1}), "'a' is an int, not a LangGraph graph"),
    "a run that blocks": (
        lambda: CopilotRuntime(providers=[Synchronous()]),
        "Synchronous.execute_run is synchronous, and would block all other runs. Write `async def execute_run`",
    ),
    "a run that returns": (lambda: CopilotRuntime(providers=[Returning()]), "Returning.execute_run never yields."),
    "agents that are not awaited": (
        lambda: CopilotRuntime(providers=[Listing()]),
        "Listing.list_agents is synchronous, and the runtime awaits it. Write `async def list_agents`.",
    ),
    "a state that is not awaited": (lambda: CopilotRuntime(providers=[Loading()]), "Write `async def load_state`."),
    "a provider added late": (lambda: CopilotRuntime().add_provider(graph), 'Write agents={"my_agent": …} instead.'),
    "no providers": (lambda: CopilotRuntime(providers=None), "not None. Leave it out if you have none."),  # type: ignore[arg-type]
    "a function for a provider": (
        lambda: CopilotRuntime(providers=[make]),  # type: ignore[list-item]
        "If it makes one, write providers=[make()].",
    ),
    "an async function for a provider": (
        lambda: CopilotRuntime(providers=[make_later]),  # type: ignore[list-item]
        "not a function. If it makes one, write providers=[await make_later()].",
    ),
    "a coroutine for a provider": (lambda: unawaited(lambda made: CopilotRuntime(providers=[made])), "[await …]"),
    "a list of lists": (lambda: CopilotRuntime(providers=[[anything]]), "Write providers=[*first, second]."),  # type: ignore[list-item]
    "a list for agents": (lambda: CopilotRuntime(agents=[graph]), 'not a list. Write agents={"my_agent": graph}.'),  # type: ignore[arg-type]
    "a provider's class for an agent": (lambda: CopilotRuntime(agents={"a": Own}), "Write providers=[Own(…)]."),
    "a host for a URL": (lambda: CopilotRuntime(agents={"a": "localhost:8000"}), "begins with http:// or https://"),
    "a coroutine for an agent": (
        lambda: unawaited(lambda made: CopilotRuntime(agents={"a": made})),
        "'a' is a coroutine. Await it first",
    ),
    "settings in a dict": (
        lambda: CopilotRuntime(config={"env": "production"}),  # type: ignore[arg-type]
        'config takes a RuntimeConfig, such as RuntimeConfig(env="production"), not a dict.',
    ),
    "the settings' class": (lambda: CopilotRuntime(config=RuntimeConfig), "not the class RuntimeConfig."),  # type: ignore[arg-type]
    "a number for a store": (lambda: CopilotRuntime(store=5), "or a store, not an int."),  # type: ignore[arg-type]
    "a file for a store": (lambda: CopilotRuntime(store="states.sqlite"), "Write sqlite:///states.sqlite."),
    "a file from the root for a store": (lambda: CopilotRuntime(store="/a/b.db"), "Write sqlite:////a/b.db."),
    "a slip in a store's scheme": (
        lambda: CopilotRuntime(store="postgress://me:secret@host/db"),
        "not with postgress://. Did you mean postgres://?",
    ),
    "another package's scheme": (
        lambda: CopilotRuntime(store="postgresql+asyncpg://host/db"),
        "not with postgresql+asyncpg://. Did you mean postgresql://?",
    ),
    "a store of another kind": (lambda: CopilotRuntime(store="mysql://host/db"), "not with mysql://."),
    "a function for hooks": (lambda: CopilotRuntime(hooks=make), "Hooks(on_error=report), not a function."),  # type: ignore[arg-type]
    "a guardrail's class": (lambda: CopilotRuntime(guardrails=[TopicGuardrail]), "not the class TopicGuardrail."),  # type: ignore[list-item]
    "no guardrail": (lambda: CopilotRuntime(guardrails=5), "guardrails takes Guardrail objects, not an int."),  # type: ignore[arg-type]
    "an authenticator's class": (lambda: CopilotRuntime(auth=ApiKeyAuth), "not the class ApiKeyAuth."),
    "no authenticator": (lambda: CopilotRuntime(auth=5), "or a function of the request, not an int."),  # type: ignore[arg-type]
    "no transcription": (lambda: CopilotRuntime(transcribe=5), "not an int."),  # type: ignore[arg-type]
    "no application to mount on": (
        lambda: CopilotRuntime().mount(None),  # type: ignore[arg-type]
        "mount takes a Starlette or FastAPI application, not None.",
    ),
    "another application to mount on": (
        lambda: CopilotRuntime().mount(make),  # type: ignore[arg-type]
        'app = Starlette(); runtime.mount(app, "/api/copilotkit"); app.mount("/", other).',
    ),
    "a setting for an argument": (
        lambda: untyped(port=8001),
        "CopilotRuntime has no argument 'port'. It is a setting. Write config=RuntimeConfig(port=…).",
    ),
    "an argument misspelt": (lambda: untyped(agnts={}), "has no argument 'agnts'. Did you mean agents?"),
    "an argument that is none": (lambda: untyped(zebra=1), "CopilotRuntime has no argument 'zebra'."),
    "an adapter of the TypeScript runtime": (lambda: untyped(serviceAdapter=1), 'Write model="openai:gpt-4o"'),
    "endpoints of the TypeScript runtime": (
        lambda: untyped(remote_endpoints=[]),
        "Write providers=[RemoteEndpointProvider(url)].",
    ),
    "a run without the agent's name": (
        lambda: CopilotRuntime(providers=[Forgetting()]),
        "Write `async def execute_run(self, agent_name, run, context)`.",
    ),
    "a model for an agent": (
        lambda: CopilotRuntime(agents={"a": FakeListChatModel(responses=["hi"])}),
        "'a' is a FakeListChatModel, which answers as a model and not as an agent. Write model=… instead.",
    ),
    "an agent of another framework": (
        lambda: CopilotRuntime(agents={"a": ForeignAgent()}),
        "'a' is a ForeignAgent of pydantic_ai, which does not speak AG-UI by itself.",
    ),
    "LangGraph's own class": (lambda: LangGraphProvider({"a": StateGraph}), "not the class StateGraph."),
    "a number for a graph": (lambda: LangGraphProvider({"a": 1}), "not an int."),  # type: ignore[dict-item]
    "keys without identities": (lambda: ApiKeyAuth("my-key"), 'not a str. Write ApiKeyAuth({"me": "my-key"}).'),  # type: ignore[arg-type]
    "a hook that cannot be called": (
        lambda: Hooks(on_error="log"),  # type: ignore[arg-type]
        "Hooks: on_error takes a function of one argument, not a str.",
    ),
    "an empty model": (lambda: CopilotRuntime(model=""), "Write it as 'vendor:model', such as 'openai:gpt-4o'."),
    "a model with a slash": (
        lambda: CopilotRuntime(model="openai/gpt-4o"),
        "'openai/gpt-4o' names no vendor. Write it as 'openai:gpt-4o'.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_with_what_to_write(mistake: str) -> None:
    make, words = MISTAKES[mistake]
    with pytest.raises(CopilotKitError) as caught:
        make()
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        (Naming("a"), "Naming.list_agents returns a list with a str. Return"),
        (Naming({"name": "a"}), "Naming.list_agents returns a list with a dict. Return"),
        (ListingNone(), "ListingNone.list_agents returns None. Return"),
        (Naming(AgentDescriptor(name="a"), AgentDescriptor(name="a")), "returns two agents named 'a'."),
    ],
)
async def test_agents_that_are_listed_wrongly_are_reported_with_what_to_return(provider: Own, said: str) -> None:
    with pytest.raises(CopilotKitError) as caught:
        await CopilotRuntime(providers=[provider]).discover_agents()
    assert said in caught.value.message


async def test_agents_may_be_given_by_name() -> None:
    agents = {"graph": graph, "compiled": graph.compile(), "far": "http://127.0.0.1:1/"}
    runtime = CopilotRuntime(agents={**agents, "http": AGUIHttpAgent("http://127.0.0.1:1/")}, providers=[Own()])
    assert {agent.name for agent in await runtime.discover_agents()} == {*agents, "http", "my_agent"}


async def test_a_method_may_pass_a_coroutine_on() -> None:
    agents = await CopilotRuntime(providers=[Passing()]).discover_agents()
    assert [agent.name for agent in agents] == ["my_agent"]


GRAPH = """
from langgraph.graph import START, MessagesState, StateGraph
def answer(state: MessagesState) -> dict: return {"messages": [("ai", "hi")]}
graph = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer")
number = 1
def make_graph(): return graph
from copilotkit_runtime import AgentProvider
class Own(AgentProvider):
    name = "own"
    async def list_agents(self): return []
    async def execute_run(self, *_): yield
own = Own()
"""


async def test_a_graph_in_a_file_is_a_target(tmp_path: Path) -> None:
    file = tmp_path / "served_graph.py"
    file.write_text(GRAPH)
    assert [agent.name for agent in await load_runtime(f"{file}:graph").discover_agents()] == ["graph"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runtime", ""),
        ("number", " 'number' is an int."),
        (
            "make_graph",
            " 'make_graph' is a function. If it makes a runtime or an agent, write made = make_graph() there, and serve"
            " that.",
        ),
        ("own", " 'own' is an Own. Write runtime = CopilotRuntime(providers=[own]) there."),
    ],
)
def test_a_target_that_is_not_an_agent_is_reported_with_what_is_there(tmp_path: Path, name: str, said: str) -> None:
    file = tmp_path / "other_names.py"
    file.write_text(GRAPH)
    with pytest.raises(CopilotKitError) as caught:
        load_runtime(f"{file}:{name}")
    assert caught.value.message == f"{file} has no CopilotRuntime named '{name}'.{said} It has: {file}:graph."


def test_an_application_for_a_target_is_answered_with_how_to_serve_it(tmp_path: Path) -> None:
    (tmp_path / "an_application.py").write_text(f"from {FastAPI.__module__} import FastAPI\napp = FastAPI()\n")
    with pytest.raises(CopilotKitError, match=r"is a FastAPI application\..* uvicorn .*an_application:app\."):
        load_runtime(f"{tmp_path / 'an_application.py'}:app")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("./served", "'./served' is neither a file whose name ends with .py nor a module. Write ./served.py:runtime."),
        ("./nothing:runtime", "'./nothing' is neither a file whose name ends with .py nor a module."),
        (":runtime", "'' is neither a file whose name ends with .py nor a module."),
    ],
)
def test_a_path_without_its_ending_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, said: str
) -> None:
    (tmp_path / "served.py").write_text(GRAPH)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CopilotKitError) as caught:
        load_runtime(target)
    assert caught.value.message == said

"""What each extra must be able to do when it is installed alone: ``python smoke.py EXTRA``, or ``core`` for none.

It needs nothing but the installed package, so that it can run in an environment that holds nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
    messages,
)
from copilotkit_runtime.runtime.errors import MissingExtraError
from copilotkit_runtime.testing import Request, ScriptedService, head

QUERY = """mutation generateCopilotResponse($data: GenerateCopilotResponseInput!) {
  generateCopilotResponse(data: $data) {
    status { ... on BaseResponseStatus { code } }
    messages { __typename ... on TextMessageOutput { content } }
  }
}"""

FEATURES = {
    "agui": ("httpx", "copilotkit_runtime.providers.agui"),
    "crewai": ("crewai", "copilotkit_runtime.providers.crewai"),
    "langgraph": ("langgraph.pregel", "copilotkit_runtime.providers.langgraph"),
    "mcp": ("mcp", "copilotkit_runtime.providers.mcp.connection"),
    "remote": ("httpx", "copilotkit_runtime.providers.langserve"),
}
"""By extra: what must be missing for a module to name the extra."""


class Parrot(AgentProvider):
    """Repeats the last message."""

    name = "parrot"

    async def list_agents(self) -> list[AgentDescriptor]:
        """One agent."""
        return [AgentDescriptor(name="agent")]

    async def execute_run(self, _agent: str, run: RunInput, _context: RunContext) -> AsyncGenerator[events.Event]:
        """Answers in one piece."""
        yield events.TextMessageStart(message_id="a")
        yield events.TextMessageContent(message_id="a", delta=f"You said: {getattr(run.messages[-1], 'content', '')}")
        yield events.TextMessageEnd(message_id="a")


@asynccontextmanager
async def serving(runtime: CopilotRuntime) -> Any:
    """Serve a runtime; give its origin."""
    server = uvicorn.Server(uvicorn.Config(runtime.create_app(), port=0, log_level="error", lifespan="on"))
    task = asyncio.create_task(server.serve())
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    assert server.started, "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def conversation(runtime: CopilotRuntime, agent: str | None = "agent") -> str:
    """Have one conversation over HTTP; return what the answer's text messages say."""
    message = {"id": "m", "createdAt": "2026-01-01T00:00:00Z", "textMessage": {"role": "user", "content": "Hello"}}
    data: dict[str, Any] = {
        "threadId": "t",
        "metadata": {"requestType": "Chat"},
        "frontend": {"actions": []},
        "messages": [message],
    }
    if agent is not None:
        data["agentSession"] = {"agentName": agent}
    body = json.dumps({"query": QUERY, "variables": {"data": data}}).encode()
    async with serving(runtime) as origin:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(f"{origin}/api/copilotkit", body, headers)
        answer = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=60).read()))
    assert "data" in answer, answer
    response = answer["data"]["generateCopilotResponse"]
    assert response["status"]["code"] == "Success", answer
    return "".join("".join(message.get("content", ())) for message in response["messages"])


@contextmanager
def answering(body: str, content_type: str = "application/json") -> Iterator[ScriptedService]:
    """A service that answers every request alike."""

    async def script(_request: Request) -> AsyncGenerator[bytes]:
        yield head(content_type, length=len(body.encode())) + body.encode()

    yield ScriptedService(script)


async def core() -> None:
    """A conversation with an agent, and a state in SQLite."""
    with TemporaryDirectory() as folder:
        runtime = CopilotRuntime(providers=[Parrot()], store=f"sqlite:///{folder}/states.sqlite")
        assert await conversation(runtime) == "You said: Hello"


async def serve() -> None:
    """The server's parts in C, and worker processes."""
    import httptools  # noqa: F401
    import uvloop  # noqa: F401

    from copilotkit_runtime.server.cli.workers import check_version

    check_version()


async def langgraph() -> None:
    """A conversation with a graph, with its checkpoints in SQLite."""
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph

    from copilotkit_runtime.providers.langgraph import LangGraphProvider

    async def answer(_state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage("from the graph")]}

    builder: Any = StateGraph(MessagesState)
    graph = builder.add_node("answer", answer).add_edge(START, "answer").compile()
    with TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/states.sqlite"
        runtime = CopilotRuntime(providers=[LangGraphProvider({"agent": graph})], store=store)
        assert await conversation(runtime) == "from the graph"


async def models() -> None:
    """A conversation with a chat model of LangChain's."""
    from langchain_core.language_models import FakeListChatModel

    runtime = CopilotRuntime(model=FakeListChatModel(responses=["from the model"]))
    assert await conversation(runtime, agent=None) == "from the model"


async def openai() -> None:
    """A conversation with a model that speaks OpenAI's protocol."""
    piece: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": "from the model"}, "finish_reason": "stop"}]}
    piece.update({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"})
    with answering(f"data: {json.dumps(piece)}\n\ndata: [DONE]\n\n", "text/event-stream") as service:
        async with service:
            os.environ.update(OPENAI_API_KEY="k", OPENAI_BASE_URL=service.url)
            assert await conversation(CopilotRuntime(model="openai:m"), agent=None) == "from the model"


async def anthropic() -> None:
    """A conversation with a model that speaks Anthropic's protocol."""
    message: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
    }
    message |= {"stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    stream: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "from the model"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in stream)
    with answering(body, "text/event-stream") as service:
        async with service:
            os.environ.update(ANTHROPIC_API_KEY="k", ANTHROPIC_BASE_URL=service.url)
            assert await conversation(CopilotRuntime(model="anthropic:m"), agent=None) == "from the model"


async def named(spec: str, **environment: str) -> None:
    """A model of another vendor's can be set up."""
    from copilotkit_runtime.providers.models.options import ModelOptions
    from copilotkit_runtime.providers.models.vendors import Vendors

    os.environ.update(environment)
    await Vendors(ModelOptions()).chat(spec)


async def google() -> None:
    """A model of Google's can be set up."""
    await named("google_genai:gemini-2.5-flash", GOOGLE_API_KEY="k")


async def bedrock() -> None:
    """A model of Amazon Bedrock's can be set up."""
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    await named("bedrock_converse:anthropic.claude-3-5-sonnet-20241022-v2:0", **keys)


MCP_SERVER = """
import json, sys
tool = {"name": "add", "description": "Adds", "inputSchema": {"type": "object", "properties": {}}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    results = {
        "initialize": lambda: {
            "protocolVersion": asked["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "smoke", "version": "1"},
        },
        "tools/list": lambda: {"tools": [tool]},
        "tools/call": lambda: {"content": [{"type": "text", "text": "3"}]},
    }
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]()}), flush=True)
"""


async def mcp() -> None:
    """A server's tools are listed and called."""
    from copilotkit_runtime.providers.mcp import MCPServer
    from copilotkit_runtime.providers.mcp.connection import MCPConnection

    connection = MCPConnection(MCPServer(command=sys.executable, args=("-c", MCP_SERVER)))
    await connection.open()
    try:
        assert [tool["name"] for tool in await connection.tools()] == ["add"]
        assert (await connection.call("add", {}))["content"] == [{"type": "text", "text": "3"}]
    finally:
        await connection.close()


async def cloud() -> None:
    """Copilot Cloud's guardrails are asked."""
    from copilotkit_runtime.runtime.guardrails import InputCheck
    from copilotkit_runtime.runtime.guardrails.cloud import CloudGuardrail

    with answering(json.dumps({"status": "denied", "reason": "no"})) as service:
        async with service:
            guardrail = CloudGuardrail(service.url)
            verdict = await guardrail.check_input(InputCheck(text="Hello", history=(), context=RunContext()))
            await guardrail.stop()
    assert verdict.reason == "no"


async def crewai() -> None:
    """A conversation with a flow."""
    from crewai.flow.flow import Flow, start

    from copilotkit_runtime.providers.crewai import CrewAIProvider, copilotkit_emit_message

    class Talk(Flow):  # type: ignore[type-arg, misc]
        @start()  # type: ignore[misc, untyped-decorator]
        async def talk(self) -> None:
            await copilotkit_emit_message("from the flow")

    assert await conversation(CopilotRuntime(providers=[CrewAIProvider({"agent": Talk})])) == "from the flow"


async def agui() -> None:
    """A conversation with an agent behind a URL, and a picture for one in this process."""
    stream = [
        {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
        {"type": "TEXT_MESSAGE_START", "messageId": "a", "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "a", "delta": "from the agent"},
        {"type": "TEXT_MESSAGE_END", "messageId": "a"},
        {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"},
    ]
    from copilotkit_runtime.providers.agui import AGUIProvider

    with answering("".join(f"data: {json.dumps(one)}\n\n" for one in stream), "text/event-stream") as service:
        async with service:
            runtime = CopilotRuntime(providers=[AGUIProvider({"agent": service.url})])
            assert await conversation(runtime) == "from the agent"
    await shown_picture()


async def shown_picture() -> None:
    """An agent gets the models of ``ag_ui.core``, with what a user attaches, and sends them."""
    from ag_ui import core

    from copilotkit_runtime.providers.agui import AGUIProvider

    def agent(given: core.RunAgentInput) -> Iterator[core.BaseEvent]:
        shown = given.messages[0].content
        start, content = core.EventType.TEXT_MESSAGE_START, core.EventType.TEXT_MESSAGE_CONTENT
        yield core.TextMessageStartEvent(type=start, message_id="a", role="assistant")
        yield core.TextMessageContentEvent(type=content, message_id="a", delta=f"a picture: {'AAAA' in str(shown)}")
        yield core.TextMessageEndEvent(type=core.EventType.TEXT_MESSAGE_END, message_id="a")

    picture = messages.ImageMessage(role="user", format="png", bytes="AAAA")
    run = RunInput(thread_id="t", run_id="r", messages=[picture])
    sent = [event async for event in AGUIProvider({"agent": agent}).execute_run("agent", run, RunContext())]
    assert "a picture: True" in [getattr(event, "delta", None) for event in sent], sent


async def remote() -> None:
    """A remote endpoint's agents are found, and a LangServe chain is called."""
    from copilotkit_runtime.providers.langserve import LangServeChain
    from copilotkit_runtime.providers.remote import RemoteEndpointProvider

    info = {"sdkVersion": "1", "actions": [], "agents": [{"name": "agent", "description": "", "type": "langgraph"}]}
    with answering(json.dumps({**info, "output": "from the chain"})) as service:
        async with service:
            agents = await CopilotRuntime(providers=[RemoteEndpointProvider(service.url)]).discover_agents()
            assert [agent.name for agent in agents] == ["agent"]
            chain = LangServeChain("chain", service.url, parameters={"type": "object", "properties": {}})
            assert await chain.invoke({}, RunContext()) == "from the chain"
            await chain.aclose()


async def sqlite() -> None:
    """LangGraph's saver is there."""
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        await saver.setup()


async def redis() -> None:
    """A store and a counter of rates have a client."""
    from copilotkit_runtime.runtime.stores.urls import open_store
    from copilotkit_runtime.wires.http.rate_limits import open_buckets

    open_store("redis://127.0.0.1:1/0")
    await open_buckets("redis://127.0.0.1:1/0", "smoke").close()


async def postgres() -> None:
    """A store has a client with its library in C, and LangGraph's saver is there."""
    import psycopg
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver  # noqa: F401

    from copilotkit_runtime.runtime.stores.urls import open_store

    assert psycopg.pq.__impl__ == "binary"
    open_store("postgresql://nobody@127.0.0.1:1/nothing")


async def queue() -> None:
    """The engine is there; its servers have extras of their own."""
    from copilotkit_runtime.runtime.execution.saq_engine import SaqEngine

    engine = SaqEngine("redis://127.0.0.1:1/0", "smoke")
    await engine.stop()


async def auth() -> None:
    """A token is accepted, and a false one is not."""
    import jwt
    from starlette.requests import HTTPConnection

    from copilotkit_runtime.wires.http.auth import JwtAuth

    secret, claims = "s" * 32, {"sub": "ann", "exp": 4_000_000_000}
    tokens = [jwt.encode(claims, key, "HS256") for key in (secret, "t" * 32)]
    headers = [[(b"authorization", f"Bearer {token}".encode())] for token in tokens]
    requests = [HTTPConnection({"type": "http", "headers": each}) for each in headers]
    found = [await JwtAuth(secret=secret).authenticate(request) for request in requests]
    assert found[0] is not None
    assert (found[0].id, found[1]) == ("ann", None)


async def metrics() -> None:
    """A scrape after a conversation."""
    runtime = CopilotRuntime(providers=[Parrot()], config=RuntimeConfig(metrics=True))
    async with serving(runtime) as origin:
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{origin}/metrics", timeout=20).read())
    assert b"copilotkit_" in page


async def otel() -> None:
    """A conversation that is traced."""
    with answering("", "application/x-protobuf") as service:
        async with service:
            os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = service.url
            runtime = CopilotRuntime(providers=[Parrot()], config=RuntimeConfig(tracing=True))
            assert await conversation(runtime) == "You said: Hello"


def check_messages(extra: str) -> None:
    """Check that what is not installed names the extra that brings it."""
    for name, (package, module) in FEATURES.items():
        if _is_there(package):
            continue
        told = f"{module} can be imported without {package}, beside the extra {extra}"
        try:
            __import__(module)
        except MissingExtraError as error:
            told = error.message
        assert f"[{name}]" in told, told


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    chosen = sys.argv[1]
    asyncio.run(globals()[chosen]())
    check_messages(chosen)
    sys.stdout.write(f"{chosen}: works\n")

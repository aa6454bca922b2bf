"""What the guides' programs talk to: stand-ins for vendors and other people's services, real databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime.testing import Behaviour, Request, ScriptedService, head
from tests.documents.identity_provider import identity_provider
from tests.integration.agui.guests import HttpGuest
from tests.integration.crewai.openai_service import OpenAIService, Reply, says
from tests.integration.langgraph.langgraph_server import LangGraphServer
from tests.integration.mcp.conftest import serve as mcp_server
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.vendor import served as vendor_served
from tests.integration.models.wires import AnthropicWire
from tests.integration.remote.guests import RemoteGuest
from tests.integration.stores.servers import PostgresServer, RedisServer
from tests.support.local_server import served

JUDGE = "You judge whether a message may be sent"
Neighbour: TypeAlias = Callable[[Path], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def vendors() -> AsyncIterator[dict[str, str]]:
    """The environment of a person who has every vendor's key: the vendors are stand-ins."""
    anthropic = FakeVendor()
    anthropic.streams(*AnthropicWire().text("Hello ", "from Claude."))
    async with OpenAIService(_said) as openai, vendor_served(anthropic):
        yield {
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": openai.base_url,
            "GROQ_API_KEY": "k",
            "GROQ_BASE_URL": openai.base_url,
            "ANTHROPIC_API_KEY": "k",
            "ANTHROPIC_BASE_URL": anthropic.url,
        }


def _said(asked: dict[str, Any]) -> Reply:
    return says("ALLOW") if JUDGE in json.dumps(asked["messages"]) else says("Hello from the model.")


@asynccontextmanager
async def _agui_agent(_: Path) -> AsyncIterator[str]:
    guest = HttpGuest()
    async with guest.serve(Behaviour.ECHO):
        assert guest.service is not None
        yield guest.service.url


@asynccontextmanager
async def _remote_endpoint(_: Path) -> AsyncIterator[str]:
    guest = RemoteGuest("crewai")
    async with guest.serve(Behaviour.ECHO):
        assert guest.service is not None
        yield guest.service.url


@asynccontextmanager
async def _chain(_: Path) -> AsyncIterator[str]:
    async def answer(request: Request) -> AsyncIterator[bytes]:
        schema = request.path.endswith("/input_schema")
        body = json.dumps({"type": "string"} if schema else {"output": "Good day"}).encode()
        yield head("application/json", length=len(body)) + body

    async with ScriptedService(answer) as service:
        yield service.url


@asynccontextmanager
async def _collector(_: Path) -> AsyncIterator[str]:
    async def accept(_request: Request) -> AsyncIterator[bytes]:
        yield head("application/x-protobuf", length=0)

    async with ScriptedService(accept) as service:
        yield service.url


def answer(state: MessagesState) -> dict[str, Any]:
    """A graph's only node."""
    del state
    return {"messages": [AIMessage("Hello from the deployment.")]}


@asynccontextmanager
async def _deployment(_: Path) -> AsyncIterator[str]:
    graph: Any = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer")
    async with served(LangGraphServer(research=graph).app) as origin:
        yield origin


@asynccontextmanager
async def _redis(folder: Path) -> AsyncIterator[str]:
    server = RedisServer(folder)
    await asyncio.to_thread(server.start)
    try:
        yield server.url
    finally:
        server.kill()


@asynccontextmanager
async def _postgres(folder: Path) -> AsyncIterator[str]:
    server = PostgresServer(folder)
    await asyncio.to_thread(server.create)
    await asyncio.to_thread(server.start)
    try:
        yield server.url
    finally:
        server.kill()


NEIGHBOURS: dict[str, Neighbour] = {
    "https://agents.example.com/research": _agui_agent,
    "https://agents.example.com/mail": _agui_agent,
    "https://agents.example.com/copilotkit": _remote_endpoint,
    "https://chains.example.com/translate": _chain,
    "https://graphs.example.com": _deployment,
    "https://id.example.com": identity_provider,
    "https://tools.example.com/mcp": lambda _: mcp_server(),
    "https://old.example.com/sse": lambda _: mcp_server("sse"),
    "http://localhost:4318": _collector,
    "redis://localhost:6379/0": _redis,
    "postgresql://copilotkit@db/copilotkit": _postgres,
}
"""Who answers at an address in the guides."""


@asynccontextmanager
async def neighbours(text: str, folder: Path) -> AsyncIterator[str]:
    """Whoever ``text`` names is there; gives the text with the addresses where they are."""
    async with AsyncExitStack() as stack:
        for number, (address, neighbour) in enumerate(NEIGHBOURS.items()):
            if address in text:
                place = folder / f"neighbour-{number}"
                place.mkdir()
                text = text.replace(address, await stack.enter_async_context(neighbour(place)))
        yield text


@asynccontextmanager
async def neighbours_of(program: Path | None, folder: Path) -> AsyncIterator[str]:
    """Whoever a program names is there, and its file has the addresses where they are; gives its text."""
    async with neighbours(_text_of(program), folder) as there:
        if program is not None:
            _write(program, there)
        yield there


def _text_of(program: Path | None) -> str:
    return "" if program is None else program.read_text(encoding="utf-8")


def _write(program: Path, text: str) -> None:
    program.write_text(text, encoding="utf-8")

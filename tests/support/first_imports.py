"""The first run of a fresh process: ``python -m tests.support.first_imports KIND``.

It prints how the run ended, and the modules that were imported for it on the event loop, where every import holds up
all other runs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import urllib.request
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Any

import pytest

from copilotkit_runtime import AgentProvider, CopilotRuntime
from copilotkit_runtime.providers.agui import AGUIProvider
from tests.integration.models import vendor as vendor_module
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.wires import KEY, AnthropicWire, OpenAIWire
from tests.support.agui_client import PATH, events_of, run_input, user
from tests.support.local_server import served


class ImportWatch(MetaPathFinder):
    """Notes the modules that are looked for on the thread that makes it. It finds none."""

    def __init__(self) -> None:
        self.on = False
        self.found: list[str] = []
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        del path, target
        if self.on and threading.get_ident() == self._thread:
            self.found.append(fullname)


class OwnAgent:
    """An agent of AG-UI's in this process, whose author needs no model of the protocol's."""

    async def run(self, _asked: Any) -> Any:
        yield {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
        yield {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}


def openai_client(vendor: FakeVendor) -> Any:
    """A client of OpenAI's SDK, which answers."""
    vendor.streams(*OpenAIWire().text("hello"))
    return OpenAIWire().model(vendor.url)


def openai_name(vendor: FakeVendor) -> Any:
    """The name of a model of OpenAI's, which answers."""
    vendor.streams(*OpenAIWire().text("hello"))
    environment = pytest.MonkeyPatch()
    environment.setenv("OPENAI_API_KEY", KEY)
    environment.setenv("OPENAI_BASE_URL", f"{vendor.url}/v1")
    return "openai:gpt-4o"


def anthropic_client(vendor: FakeVendor) -> Any:
    """A client of Anthropic's SDK, which answers."""
    wire = AnthropicWire()
    vendor.streams(*wire.text("hello"))
    return wire.model(vendor.url)


def callable_of_openai(vendor: FakeVendor) -> Any:
    """A callable that returns a client with the first run."""
    client = openai_client(vendor)
    return lambda: client


def langchain_model(_vendor: FakeVendor | None = None) -> Any:
    """A chat model of LangChain's, which answers."""
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    return GenericFakeChatModel(messages=iter([AIMessage("hello")]))


def graph() -> AgentProvider:
    """A graph of LangGraph's whose node asks such a model."""
    from langgraph.graph import END, START, MessagesState, StateGraph

    from copilotkit_runtime.providers.langgraph import LangGraphProvider

    model = langchain_model()

    async def answer(state: Any) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    built = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").add_edge("answer", END)
    return LangGraphProvider({"default": built})


MODELS: dict[str, Callable[[FakeVendor], Any]] = {
    "openai client": openai_client,
    "openai name": openai_name,
    "anthropic client": anthropic_client,
    "callable": callable_of_openai,
    "langchain_core model": langchain_model,
}
KINDS = [*MODELS, "agui", "langgraph"]


def _post(url: str) -> list[dict[str, Any]]:
    body = json.dumps(run_input(user("hello"))).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return events_of(answer.read().decode())


async def _main(kind: str) -> None:
    watch = ImportWatch()
    sys.meta_path.insert(0, watch)
    async with vendor_module.served(FakeVendor()) as vendor:
        if kind in MODELS:
            runtime = CopilotRuntime(model=MODELS[kind](vendor))
        elif kind == "langgraph":
            runtime = CopilotRuntime(providers=[graph()])
        else:
            runtime = CopilotRuntime(providers=[AGUIProvider({"default": OwnAgent()})])
        async with served(runtime.create_app()) as origin:
            watch.on = True
            events = await asyncio.to_thread(_post, f"{origin}{PATH}/agent/default/run")
            watch.on = False
    sys.stdout.write(f"{events[-1]['type']} {' '.join(watch.found)}")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))

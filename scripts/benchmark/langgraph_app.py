"""A LangGraph agent that plays the benchmark's script, as ``runtime`` and behind ``ag_ui_langgraph`` as ``app``."""

from __future__ import annotations

import json
from typing import Any

from ag_ui_langgraph import LangGraphAgent, add_langgraph_fastapi_endpoint  # type: ignore[import-untyped]
from fastapi import FastAPI
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from scripts.benchmark.pattern import AGENT
from tests.integration.langgraph.scripted_model import ScriptedModel


def _pieces(messages: list[BaseMessage]) -> list[str]:
    """Return the pieces of text of the script that is sent, which the model streams, one at each turn of the loop."""
    return [step["event"]["delta"] for step in json.loads(messages[-1].text) if "delta" in step["event"]]


async def _chat(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await ScriptedModel(script=[_pieces]).ainvoke(state["messages"])]}


_graph = StateGraph(MessagesState).add_node("chat", _chat).add_edge(START, "chat")

runtime = CopilotRuntime(
    providers=[LangGraphProvider({AGENT: _graph.compile(checkpointer=InMemorySaver())})], store="memory://"
)
app = FastAPI()
add_langgraph_fastapi_endpoint(app, LangGraphAgent(name=AGENT, graph=_graph.compile(checkpointer=InMemorySaver())))

"""Two agents of different providers, on the store that ``COPILOTKIT_STORE`` names."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.support.scripted_agent import ScriptedProvider


class State(MessagesState, total=False):
    """``turns`` counts the finished ones."""

    turns: int


async def answer(state: State) -> dict[str, Any]:
    """Repeats what was sent; hangs if asked to."""
    said = state["messages"][-1].text
    if said == "hang":
        await asyncio.Event().wait()
    return {"messages": [AIMessage(f"You said: {said}")], "turns": state.get("turns", 0) + 1}


graph = StateGraph(State).add_node(answer).add_edge(START, "answer").compile()
runtime = CopilotRuntime(providers=[LangGraphProvider({"graph": graph}), ScriptedProvider()])

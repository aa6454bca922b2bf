"""A graph that repeats all that its thread holds, so that whoever reads it sees what is whose."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph


def hearing_graph() -> StateGraph[Any, Any, Any, Any]:
    """Return the graph, not yet compiled."""

    def work(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage("heard " + " | ".join(str(each.content) for each in state["messages"]))]}

    return StateGraph(MessagesState).add_node("work", work).add_edge(START, "work")

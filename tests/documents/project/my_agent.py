"""A graph, and one that is built for each run."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph


def answer(state: MessagesState) -> dict[str, Any]:
    """The only node."""
    return {"messages": [AIMessage("Hello from the graph.")]}


def build_mail_graph() -> Any:
    """Makes a graph."""
    return StateGraph(MessagesState).add_node(answer).add_edge(START, "answer").compile()


graph = build_mail_graph()

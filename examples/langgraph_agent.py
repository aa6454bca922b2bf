"""A LangGraph graph as a page's agent: it calls what the page offers."""

from typing import Any

from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider


class State(MessagesState, total=False):
    """The messages, and what the page gives: its actions and its context."""

    copilotkit: dict[str, Any]


async def answer(state: State) -> dict[str, Any]:
    """Call the model."""
    model = ChatOpenAI(model="gpt-4o-mini")
    actions = state.get("copilotkit", {}).get("actions")
    bound = model.bind_tools(actions) if actions else model
    return {"messages": [await bound.ainvoke(state["messages"])]}


graph = StateGraph(State).add_node(answer).add_edge(START, "answer").compile()

runtime = CopilotRuntime(providers=[LangGraphProvider({"my_agent": graph})])

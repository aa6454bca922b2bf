"""A LangGraph agent and plain chat, served by ``make serve``.

It needs no key: a local model answers by rule. With ``OPENAI_API_KEY`` (and ``OPENAI_BASE_URL``) set, OpenAI's
does.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Any

from demo_model import DemoModel
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider

_ASK = re.compile(r"\bask me\b", re.IGNORECASE)
STEPS = ("Read the request", "Answer it", "Tidy up")


class Step(TypedDict):
    """A step of the plan."""

    title: str
    done: bool


class PlannerState(TypedDict, total=False):
    """What the planner knows: the page shows ``plan``."""

    messages: Annotated[list[AnyMessage], add_messages]
    plan: list[Step]
    copilotkit: dict[str, Any]


def chat_model() -> BaseChatModel:
    """OpenAI's model if there is a key, else the local one."""
    if "OPENAI_API_KEY" in os.environ:
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"))
    return DemoModel()


def plan(state: PlannerState) -> PlannerState:
    """Lay out the steps, the first of them done."""
    titles = (f"{STEPS[0]}: {_request(state)[:40]}", *STEPS[1:])
    return {"plan": [{"title": title, "done": number == 0} for number, title in enumerate(titles)]}


def ask(state: PlannerState) -> PlannerState:
    """Interrupt for the person who writes "ask me", before anything is answered; the answer is a step of the plan."""
    if not _ASK.search(_request(state)):
        return {}
    answer = interrupt("Shall I go on with this plan?")
    if isinstance(answer, bool):
        answer = "yes" if answer else "no"
    return {"plan": [*state["plan"][:1], {"title": f"Ask: {answer}", "done": True}, *state["plan"][1:]]}


def _request(state: PlannerState) -> str:
    return next((m.text for m in reversed(state["messages"]) if isinstance(m, HumanMessage)), "")


async def answer(state: PlannerState) -> PlannerState:
    """Call the model, which may call what the page offers."""
    actions = state.get("copilotkit", {}).get("actions", [])
    model = chat_model().bind_tools(actions) if actions else chat_model()
    system = SystemMessage("You are a helpful planner. Use the page's tools when they fit.")
    return {"messages": [await model.ainvoke([system, *state["messages"]])]}


def finish(state: PlannerState) -> PlannerState:
    """Tick everything off."""
    return {"plan": [{**step, "done": True} for step in state["plan"]]}


def planner() -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the agent: plan, ask if that is wished, answer, finish."""
    graph = StateGraph(PlannerState)
    graph.add_node("plan", plan)
    graph.add_node("ask", ask)
    graph.add_node("answer", answer)
    graph.add_node("finish", finish)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "ask")
    graph.add_edge("ask", "answer")
    graph.add_edge("answer", "finish")
    return graph.compile()


runtime = CopilotRuntime(
    providers=[LangGraphProvider({"planner": planner()}, descriptions={"planner": "Plans, and answers."})],
    model=chat_model(),
)

"""Graphs that show their work, ask the person, and hand the conversation over to each other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from copilotkit.langgraph import copilotkit_emit_state, copilotkit_exit
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.e2e.agents import Call, RuleModel, say, words

STEPS = ("Search", "Read", "Write")
STEP_SECONDS = 0.8
"""How long a step takes besides what is said of it: a page on a busy machine is to show each."""


class State(MessagesState, total=False):
    """What the agents know: the page shows ``plan`` and ``known``."""

    plan: list[dict[str, Any]]
    known: str
    asked: bool


def graph(node: Any) -> Any:
    """A graph of one node."""
    builder = StateGraph(State)
    builder.add_node("work", node)
    builder.add_edge(START, "work")
    return builder.compile()


async def research(_state: State, config: RunnableConfig) -> dict[str, Any]:
    """Shows each step of its plan as it is done, all within one node."""
    said = []
    for done in range(len(STEPS)):
        await copilotkit_emit_state(config, {"plan": plan(done)})
        said += (await say(f"{STEPS[done]}: this takes a moment."))["messages"]
        await asyncio.sleep(STEP_SECONDS)
    return {"messages": said, "plan": plan(len(STEPS))}


def plan(done: int) -> list[dict[str, Any]]:
    """The steps, of which so many are done."""
    return [{"title": title, "done": index < done} for index, title in enumerate(STEPS)]


async def ask(_state: State) -> dict[str, Any]:
    """Asks twice, and sends what was answered."""
    colour = interrupt({"question": "Which colour?", "options": ["red", "green"]})
    size = interrupt({"question": f"How big, in {colour}?", "options": ["small", "large"]})
    return await say(f"You chose {size} and {colour}.")


async def book(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Asks where to, keeps the conversation until it knows, and lets go of it."""
    if not state.get("asked"):
        return {**await say("Where do you want to go?"), "asked": True}
    place = state["messages"][-1].text
    await copilotkit_exit(config)
    return {**await say(f"Booked a room in {place}."), "known": f"a room in {place}"}


async def pack(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Packs for the place that the other agent has booked."""
    booked = next(message.text for message in reversed(state["messages"]) if is_booking(message))
    place = booked.removeprefix("Booked a room in ").removesuffix(".")
    await copilotkit_exit(config)
    return {**await say(f"Packed a map of {place}."), "known": f"a map of {place}"}


def is_booking(message: BaseMessage) -> bool:
    """Whether this is what ``book`` says at its end."""
    return isinstance(message, AIMessage) and message.text.startswith("Booked")


def route(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Iterable[str] | Call:
    """Calls the agent that the person needs."""
    wanted = "packer" if "pack" in messages[-1].text else "booker"
    return Call(wanted, {}) if wanted in tools else words("There is nobody for that.")


runtime = CopilotRuntime(
    providers=[
        LangGraphProvider(
            {"asker": graph(ask), "booker": graph(book), "packer": graph(pack), "researcher": graph(research)},
            descriptions={"booker": "Books rooms.", "packer": "Packs bags."},
        )
    ],
    model=RuleModel(rule=route),
    agents_as_actions=["booker", "packer"],
)

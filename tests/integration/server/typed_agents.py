"""Agents whose states have every kind of type."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal, NotRequired

from langchain_core.messages import AnyMessage
from langgraph.func import entrypoint
from langgraph.graph import START, StateGraph, add_messages
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Node(BaseModel):
    """A node */ of a tree."""

    label: str
    children: list[Node] = Field(default_factory=list)


class Weather(TypedDict):
    """What it is like."""

    degrees: float
    wind: NotRequired[int]


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    copilotkit: dict[str, Any]
    mood: Mood
    tree: Node | None
    weather: dict[str, Weather]
    step: Literal["plan", "do", 3]
    place: tuple[float, float]
    mixed: list[int | str | None]
    anything: Any
    secret: str


class Shown(TypedDict, total=False):
    mood: Mood
    tree: Node | None
    weather: dict[str, Weather]
    step: Literal["plan", "do", 3]
    place: tuple[float, float]
    mixed: list[int | str | None]
    anything: Any


Odd = TypedDict("Odd", {"a-key": int, "class": bool})


def nothing(state: Any) -> dict[str, Any]:
    return {}


typed: Any = StateGraph(State, output_schema=Shown).add_node(nothing).add_edge(START, "nothing").compile()
odd: Any = StateGraph(Odd).add_node(nothing).add_edge(START, "nothing").compile()


@entrypoint()
async def functional(text: str) -> str:
    return text


class Own(AgentProvider):
    """Knows no schema."""

    name = "own"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="own")]

    async def execute_run(self, agent_name: str, run: Any, context: Any) -> Any:
        yield


runtime = CopilotRuntime(
    providers=[LangGraphProvider({"typed": typed, "odd one-2": odd, "functional": functional}), Own()]
)

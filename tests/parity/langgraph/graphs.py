"""Agents written for the ``copilotkit`` SDK, as ``langgraph dev`` and this runtime both serve them from one file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from copilotkit import CopilotKitState
from copilotkit.langgraph import copilotkit_customize_config, copilotkit_emit_state
from copilotkit.types import IntermediateStateConfig
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from pydantic import Field


class Recital(BaseChatModel):
    """Streams ``text`` word by word, or a call of ``tool``; the number of messages it was given makes its ids."""

    text: str = ""
    tool: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)

    @property
    def _llm_type(self) -> str:
        return "recital"

    def _parts(self, id_: str) -> Iterator[AIMessageChunk]:
        for word in self.text.split(" ") if self.text else ():
            yield AIMessageChunk(content=f"{word} ", id=id_)
        if self.tool:
            call = tool_call_chunk(name=self.tool, args="", id=f"call-of-{id_}", index=0)
            yield AIMessageChunk(content="", id=id_, tool_call_chunks=[call])
            told = json.dumps(self.arguments)
            for part in (told[: len(told) // 2], told[len(told) // 2 :]):
                yield AIMessageChunk(content="", id=id_, tool_call_chunks=[tool_call_chunk(args=part, index=0)])

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for part in self._parts(f"answer-{len(messages)}"):
            yield ChatGenerationChunk(message=part)


class Research(CopilotKitState):
    """What the researcher knows."""

    steps: list[str]
    report: str


def _graph(schema: Any, *nodes: Any) -> Any:
    return StateGraph(schema).add_sequence(list(nodes)).add_edge(START, nodes[0].__name__).compile()


async def tell(state: CopilotKitState) -> dict[str, Any]:
    """Sends how many messages it got."""
    said = [message.text for message in state["messages"] if message.type == "human"]
    text = f"You said {len(said)} things, last: {said[-1]}"
    return {"messages": [await Recital(text=text).ainvoke(state["messages"])]}


async def paint(state: CopilotKitState) -> dict[str, Any]:
    """Calls the client's tool, with a word first if it is asked to talk, then sends what came of it."""
    last = state["messages"][-1]
    if isinstance(last, ToolMessage):
        model = Recital(text=f"The page is {last.text}")
    else:
        [tool] = [action["name"] for action in state["copilotkit"]["actions"]]
        model = Recital(text="One moment" if "talk" in last.text else "", tool=tool, arguments={"color": "red"})
    return {"messages": [await model.ainvoke(state["messages"])]}


async def search(state: Research, config: RunnableConfig) -> dict[str, Any]:
    """Shows each step while it is done."""
    for count in (1, 2):
        await copilotkit_emit_state(config, {"steps": ["looked"] * count, "report": ""})
    text = await Recital(text="I looked twice").ainvoke(state["messages"], config)
    return {"messages": [text], "steps": ["looked", "looked"]}


async def write(state: Research, config: RunnableConfig) -> dict[str, Any]:
    """Writes its report through a tool whose argument shows while it streams."""
    rule: IntermediateStateConfig = {"state_key": "report", "tool": "write_report", "tool_argument": "text"}
    shown = copilotkit_customize_config(config, emit_intermediate_state=[rule])
    model = Recital(tool="write_report", arguments={"text": "All is well."})
    call = await model.ainvoke(state["messages"], shown)
    written = ToolMessage("written", id=f"written-by-{call.id}", tool_call_id=call.tool_calls[0]["id"])
    return {"messages": [call, written], "report": call.tool_calls[0]["args"]["text"]}


async def close(state: Research) -> dict[str, Any]:
    """Ends with a step of its own, and sends nothing."""
    return {"steps": [*state["steps"], "wrote"]}


async def ask(state: CopilotKitState) -> dict[str, Any]:
    """Asks twice, once with text and once with an object, and sends the answers."""
    name = interrupt("Who are you?")
    choice = interrupt({"question": "Which colour?", "options": ["red", "green"]})
    return {"messages": [AIMessage(f"{name} chose {json.dumps(choice)}", id="chosen-1")]}


teller = _graph(CopilotKitState, tell)
painter = _graph(CopilotKitState, paint)
researcher = _graph(Research, search, write, close)
asker = _graph(CopilotKitState, ask)

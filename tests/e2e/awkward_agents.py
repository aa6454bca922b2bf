"""Agents that do what people's agents and their models do, though no manual has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

from ag_ui_langgraph import LangGraphAgent  # type: ignore[import-untyped]
from copilotkit.langgraph import copilotkit_interrupt
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.agui import AGUIProvider
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.e2e.agents import Call, RuleModel, agent, answering, say, words


def paint(messages: Sequence[BaseMessage], _tools: Sequence[str]) -> list[str] | Call:
    """Paints the page in the colour that was named last, by a call whose id is the same at each turn."""
    last = messages[-1]
    if isinstance(last, ToolMessage):
        return words(f"Done: {last.text}")
    return Call("changeBackground", {"color": last.text.split()[-1]}, "call_0")


async def interview(_state: MessagesState) -> dict[str, Any]:
    """Asks a question in a message, which the person answers with one."""
    answer, _ = copilotkit_interrupt(message="Which company?")
    return await say(f"You work for {answer}.")


@tool
async def look_up(subject: str) -> str:
    """Look something up."""
    return f"All about {subject}."


@tool
async def fail(subject: str) -> str:
    """Fail."""
    raise RuntimeError(f"there is nothing about {subject}")


@tool
async def confirm(subject: str) -> str:
    """Ask the person."""
    return str(interrupt({"question": f"Really {subject}?", "options": ["yes", "no"]}))


async def strict(state: MessagesState) -> dict[str, Any]:
    """Answer as a vendor does, who refuses calls without a result; call two tools at once where one is named."""
    messages = state["messages"]
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    for message in messages:
        for call in getattr(message, "tool_calls", ()):
            if call["id"] not in answered:
                raise ValueError(f"the call {call['id']} has no result")
    wanted = messages[-1].text
    if wanted not in ("fail", "confirm"):
        return await say(f"All is well, {wanted}.")
    calls = [{"name": name, "args": {"subject": "cats"}, "id": str(uuid4())} for name in ("look_up", wanted)]
    return {"messages": [AIMessage("", tool_calls=calls)]}


def strict_agent() -> Any:
    """Return a graph of a strict model and its tools."""
    builder = StateGraph(MessagesState)
    builder.add_node("strict", strict)
    builder.add_node("tools", ToolNode([look_up, fail, confirm], handle_tool_errors=False))
    builder.add_edge(START, "strict")
    builder.add_conditional_edges("strict", tools_condition)
    builder.add_edge("tools", "strict")
    return builder.compile(checkpointer=InMemorySaver())


class RenamingModel(RuleModel):
    """Gives its message another id while it streams, as OpenAI's Responses API does."""

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        first, later = (f"{kind}_{uuid4().hex}" for kind in ("msg", "resp"))
        async for number, chunk in _numbered(super()._astream(messages, stop, run_manager, **options)):
            renamed = chunk.message.model_copy(update={"id": later if number else first})
            yield ChatGenerationChunk(message=AIMessageChunk(**renamed.model_dump()))


async def _numbered(chunks: AsyncIterator[ChatGenerationChunk]) -> AsyncIterator[tuple[int, ChatGenerationChunk]]:
    number = 0
    async for chunk in chunks:
        yield number, chunk
        number += 1


async def rename(state: MessagesState) -> dict[str, Any]:
    """Answer by a model that renames its message."""
    model = RenamingModel(rule=lambda messages, _tools: words(f"You said: {messages[-1].text}"))
    return {"messages": [await model.ainvoke(state["messages"])]}


async def echo(state: MessagesState) -> dict[str, Any]:
    """Repeat what was sent."""
    return await say(f"You said: {state['messages'][-1].text}")


runtime = CopilotRuntime(
    providers=[
        AGUIProvider({"adapter": LangGraphAgent(name="adapter", graph=agent(echo=echo))}),
        LangGraphProvider(
            {
                "repeater": agent(paint=answering(paint)),
                "interviewer": agent(interview=interview),
                "strict": strict_agent(),
                "renamer": agent(rename=rename),
            }
        ),
    ],
)

"""A LangGraph agent that can be stopped in the middle of what it sends, on the store that ``COPILOTKIT_STORE`` names.

It plays what it is asked, ``{"say": [...], "gate": "/path", "before": 3}``: its first node sends a sentence, its second
one the words of ``say``. Before the word of the number ``before`` it waits for as long as the file ``gate`` is there.
Each node that begins adds a line to the file ``gate`` + ``.nodes``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.support.scripted_agent import ScriptedProvider


class GatedModel(BaseChatModel):
    """Streams words, and waits before one of them while a file is there."""

    @property
    def _llm_type(self) -> str:
        return "gated"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        script = json.loads(messages[-1].text)
        for number, word in enumerate(script["say"]):
            if number == script.get("before"):
                await gone(Path(script["gate"]))
            yield ChatGenerationChunk(message=_chunk(word))


def _chunk(word: Any) -> AIMessageChunk:
    """A word, or a piece of a tool call: ``{"name": ..., "id": ..., "args": ...}``."""
    if isinstance(word, str):
        return AIMessageChunk(content=word)
    part = {"name": None, "id": None, "args": "", "index": 0, **word}
    return AIMessageChunk(content="", tool_call_chunks=[part])  # type: ignore[list-item]


async def gone(gate: Path) -> None:
    """Wait until a file is gone."""
    while await asyncio.to_thread(gate.exists):  # noqa: ASYNC110  # the file is another process's to remove
        await asyncio.sleep(0.02)


class State(MessagesState, total=False):
    """``finished`` are the nodes that ended."""

    finished: list[str]


async def greet(state: State) -> dict[str, Any]:
    """Say something that is whole before the second node begins."""
    script = _script(state["messages"])
    _note(script, "greet")
    words = json.dumps({"say": ["Let me ", "see. "]})
    reply = await GatedModel().ainvoke([{"role": "user", "content": words}])
    return {"messages": [reply], "finished": ["greet"]}


async def answer(state: State) -> dict[str, Any]:
    """Say the words of the script."""
    script = _script(state["messages"])
    _note(script, "answer")
    reply = await GatedModel().ainvoke([{"role": "user", "content": json.dumps(script)}])
    return {"messages": [reply], "finished": ["greet", "answer"]}


def _script(messages: Sequence[BaseMessage]) -> dict[str, Any]:
    script: dict[str, Any] = json.loads(next(m for m in reversed(messages) if m.type == "human").text)
    return script


def _note(script: dict[str, Any], node: str) -> None:
    if "gate" in script:
        with Path(f"{script['gate']}.nodes").open("a") as file:
            file.write(f"{node}\n")


graph = (
    StateGraph(State).add_node(greet).add_node(answer).add_edge(START, "greet").add_edge("greet", "answer").compile()
)
runtime = CopilotRuntime(providers=[LangGraphProvider({"graph": graph}), ScriptedProvider()])

"""A chat model that needs no key: it answers the last message by rule, in small pieces, as models do."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

SECONDS_PER_PIECE = 0.03
_BACKGROUND = re.compile(r"background.*?\b(?:to|into)\s+(#?\w+)", re.IGNORECASE | re.DOTALL)
_NOTE = re.compile(r"\bnote\b[\s:]*(?:that|down)?\s*(.+)", re.IGNORECASE | re.DOTALL)
_CHAPTER = "Once upon a time a runtime crossed the wire, byte by byte, and nobody in the browser noticed. "


class DemoModel(BaseChatModel):
    """Answers by rule; ``tools`` are the names of those it may call."""

    tools: tuple[str, ...] = ()

    @property
    def _llm_type(self) -> str:
        return "demo"

    def bind_tools(self, tools: Any, **_kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the same model with these tools."""
        names = tuple(convert_to_openai_tool(tool)["function"]["name"] for tool in tools)
        return self.model_copy(update={"tools": names})

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._answer(messages):
            await asyncio.sleep(SECONDS_PER_PIECE)
            if run_manager is not None:
                await run_manager.on_llm_new_token(str(chunk.text), chunk=chunk)
            yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_kwargs: Any,
    ) -> ChatResult:
        whole: Any = None
        for chunk in self._answer(messages):
            whole = chunk.message if whole is None else whole + chunk.message
        message = AIMessage(content=whole.content, tool_calls=whole.tool_calls, id=whole.id)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _answer(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        id_ = f"demo-{uuid4()}"
        last = messages[-1]
        wish = self._wish(last.text) if isinstance(last, HumanMessage) else None
        return _text(id_, _reply(last)) if wish is None else _tool_call(id_, *wish)

    def _wish(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """Return the tool call that a text asks for, if the page has the tool."""
        if (colour := _BACKGROUND.search(text)) is not None and "changeBackground" in self.tools:
            return "changeBackground", {"color": colour.group(1)}
        if (note := _NOTE.search(text)) is not None and "pinNote" in self.tools:
            return "pinNote", {"text": note.group(1)}
        return None


def _reply(last: BaseMessage) -> str:
    if isinstance(last, ToolMessage):
        return f"Done: {last.text}"
    if "long story" in last.text.lower():
        return _CHAPTER * 60
    return f"You said: {last.text}"


def _text(id_: str, text: str) -> Iterator[ChatGenerationChunk]:
    for piece in re.findall(r"\S+\s*", text):
        yield ChatGenerationChunk(message=AIMessageChunk(content=piece, id=id_))
    yield ChatGenerationChunk(message=AIMessageChunk(content="", id=id_, chunk_position="last"))


def _tool_call(id_: str, name: str, arguments: dict[str, Any]) -> Iterator[ChatGenerationChunk]:
    call_id = f"call-{uuid4()}"
    yield _tool_chunk(id_, name=name, call_id=call_id, arguments="")
    for piece in re.findall(r".{1,6}", json.dumps(arguments)):
        yield _tool_chunk(id_, arguments=piece)
    yield ChatGenerationChunk(message=AIMessageChunk(content="", id=id_, chunk_position="last"))


def _tool_chunk(
    id_: str, *, arguments: str, name: str | None = None, call_id: str | None = None
) -> ChatGenerationChunk:
    chunk = tool_call_chunk(name=name, args=arguments, id=call_id, index=0)
    return ChatGenerationChunk(message=AIMessageChunk(content="", id=id_, tool_call_chunks=[chunk]))

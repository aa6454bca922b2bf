"""A deterministic chat model, and a way to run a provider's agent and look at its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.events import (
    BaseEvent,
    Event,
    MessagesSnapshot,
    StateSnapshot,
    TextMessageContent,
)
from copilotkit_runtime.runtime.messages import Message, TextMessage, ToolResultMessage
from copilotkit_runtime.runtime.provider import AgentProvider
from copilotkit_runtime.runtime.runs.verifier import EventVerifier
from copilotkit_runtime.runtime.stores.interface import AgentState

Reply: TypeAlias = Sequence[str | AIMessageChunk]


def call_parts(name: str, id_: str, *arguments: str, index: int = 0) -> list[AIMessageChunk]:
    parts: list[dict[str, Any]] = [{"name": name, "id": id_, "args": "", "index": index}]
    parts += [{"name": None, "id": None, "args": part, "index": index} for part in arguments]
    return [AIMessageChunk(content="", tool_call_chunks=cast("Any", [part])) for part in parts]


class ScriptedModel(BaseChatModel):
    """Streams one reply of its script a call; a reply may be a function of what the model is asked."""

    script: list[Any]
    seen: list[list[BaseMessage]] = Field(default_factory=list)
    offered: list[list[Any]] = Field(default_factory=list)
    headers: dict[str, str] = Field(default_factory=dict)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=list(tools), **kwargs)

    def _reply(self, messages: list[BaseMessage], tools: list[Any]) -> Iterator[ChatGenerationChunk]:
        self.seen.append(messages)
        self.offered.append(tools)
        reply = self.script[min(len(self.seen), len(self.script)) - 1]
        for part in reply(messages) if callable(reply) else reply:
            message = AIMessageChunk(content=part) if isinstance(part, str) else part.model_copy()
            yield ChatGenerationChunk(message=message)

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._reply(messages, kwargs.get("tools", [])):
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._reply(messages, kwargs.get("tools", [])):
            await asyncio.sleep(0)
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class Page:
    """A page on one thread with one agent: it sends what it is given, and remembers nothing."""

    def __init__(self, source: Any, agent: str = "agent", thread_id: str = "thread", **options: Any) -> None:
        known = isinstance(source, AgentProvider)
        self.provider = source if known else LangGraphProvider({agent: source}, **options)
        self.agent = agent
        self.thread_id = thread_id

    async def run(self, *messages: Message | str, request: RunContext | None = None, **given: Any) -> list[Event]:
        said = [m if not isinstance(m, str) else user(m) for m in messages]
        run = RunInput(thread_id=self.thread_id, run_id="run", messages=said, **given)
        verifier, events = EventVerifier(), list[Event]()
        async for event in self.provider.execute_run(self.agent, run, request or RunContext()):
            verifier.check(event)
            events.append(event)
        return events

    async def state(self) -> AgentState | None:
        return await self.provider.load_state(self.thread_id, self.agent)


def user(text: str, id_: str | None = None) -> TextMessage:
    return TextMessage(id=id_ or f"id of {text}", role="user", content=text)


def result(call_id: str, name: str, answer: str) -> ToolResultMessage:
    return ToolResultMessage(id=f"result-{call_id}", tool_call_id=call_id, tool_name=name, result=answer)


Of = TypeVar("Of", bound=BaseEvent)


def of(kind: type[Of], events: Sequence[Event]) -> list[Of]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def text(events: Sequence[Event]) -> str:
    """All text that streamed."""
    return "".join(event.delta for event in of(TextMessageContent, events))


def states(events: Sequence[Event]) -> list[Any]:
    """The states that showed, one after the other."""
    return [event.snapshot for event in of(StateSnapshot, events)]


def thread(events: Sequence[Event]) -> list[Any]:
    """The roles and contents of the thread that the run left behind."""
    return [(m["role"], m["content"]) for m in of(MessagesSnapshot, events)[-1].messages]

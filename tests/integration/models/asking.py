"""How tests ask a model and look at what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from copilotkit_runtime.providers.models import ModelOptions, ModelProvider
from copilotkit_runtime.runtime.context import RunContext, RunInput, Tool
from copilotkit_runtime.runtime.events import Event, TextMessageContent, ToolCallArgs, ToolCallStart
from copilotkit_runtime.runtime.messages import Message, TextMessage

HELLO: list[Message] = [TextMessage(role="system", content="Be brief."), TextMessage(role="user", content="Hi")]
WEATHER = Tool(
    name="weather",
    description="Tells the weather.",
    parameters={"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
)


def run_of(messages: list[Message] | None = None, **fields: Any) -> RunInput:
    """A run of no agent."""
    return RunInput(thread_id="t", run_id="r", messages=HELLO if messages is None else messages, **fields)


async def ask(model: Any, run: RunInput | None = None, options: ModelOptions | None = None) -> list[Event]:
    """All that ``model`` answers."""
    async with asking(model, run, options) as events:
        return [event async for event in events]


@asynccontextmanager
async def asking(
    model: Any, run: RunInput | None = None, options: ModelOptions | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    """What ``model`` answers, as it comes. Closes what the test opened."""
    provider = ModelProvider(model, options)
    await provider.start()
    try:
        async with aclosing(provider.execute_run("", run or run_of(), RunContext())) as events:
            yield events
    finally:
        await provider.stop()
        await close(model)


async def close(model: Any) -> None:
    """Close a vendor's client."""
    client = model[0] if isinstance(model, tuple) else getattr(model, "root_async_client", None)
    if client is not None:
        await client.close()


def said(events: list[Event]) -> str:
    """The text of an answer."""
    return "".join(event.delta for event in events if isinstance(event, TextMessageContent))


def called(events: list[Event]) -> dict[str, tuple[str, str]]:
    """The tool calls of an answer: name and arguments by id."""
    starts = {event.tool_call_id: event.tool_call_name for event in events if isinstance(event, ToolCallStart)}
    return {call_id: (name, _arguments(events, call_id)) for call_id, name in starts.items()}


def _arguments(events: list[Event], call_id: str) -> str:
    pieces = (event for event in events if isinstance(event, ToolCallArgs) and event.tool_call_id == call_id)
    return "".join(event.delta for event in pieces)

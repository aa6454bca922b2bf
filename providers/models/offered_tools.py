"""The tools of a run as vendors take them: names are mapped there and back, schemas have a common form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable

import msgspec

from ...runtime.context import RunInput, Tool
from ...runtime.events import Event, ToolCallStart
from ...runtime.messages import Message, TextMessage, ToolCallMessage, ToolResultMessage
from .streams import closing
from .tool_schemas import tool_schema

# What OpenAI, Anthropic, Google and Bedrock all take. MCP allows dots, slashes and 128 characters.
_TAKEN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_NOT_TAKEN = re.compile(r"[^a-zA-Z0-9_-]+")
# The instructions for MCP tools list them by name, a line each.
_LISTED_TOOL = re.compile(r"(^- )([^:\n]{1,256}): ", re.MULTILINE)
_MAX_CHARACTERS = 64
_DIGEST_CHARACTERS = 8


class OfferedTools:
    """The tools of one run, and those that its history called.

    Args:
        run: The run.
    """

    def __init__(self, run: RunInput) -> None:
        called = (message.name for message in run.messages if isinstance(message, ToolCallMessage))
        self._to_vendor = _vendor_names([*(tool.name for tool in run.tools), *called])
        self._from_vendor = {sent: name for name, sent in self._to_vendor.items()}
        self._run = run

    def run(self) -> RunInput:
        """Return the run as the vendor is to see it."""
        run = self._run
        tools = [
            Tool(name=self._sent(tool.name), description=tool.description, parameters=tool_schema(tool.parameters))
            for tool in run.tools
        ]
        if not self._to_vendor:
            return msgspec.structs.replace(run, tools=tools)
        chosen = run.forwarded.tool_choice_function_name
        forwarded = msgspec.structs.replace(run.forwarded, tool_choice_function_name=chosen and self._sent(chosen))
        messages = [self._message(message) for message in run.messages]
        return msgspec.structs.replace(run, tools=tools, messages=messages, forwarded=forwarded)

    def events(self, answer: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """Return the answer's events with the tools' own names."""
        return self._renamed(answer) if self._from_vendor else answer

    async def _renamed(self, answer: AsyncIterator[Event]) -> AsyncGenerator[Event]:
        async with closing(answer) as events:
            async for event in events:
                if isinstance(event, ToolCallStart):
                    event.tool_call_name = self._from_vendor.get(event.tool_call_name, event.tool_call_name)
                yield event

    def _sent(self, name: str) -> str:
        return self._to_vendor.get(name, name)

    def _message(self, message: Message) -> Message:
        match message:
            case ToolCallMessage():
                return msgspec.structs.replace(message, name=self._sent(message.name))
            case ToolResultMessage():
                return msgspec.structs.replace(message, tool_name=self._sent(message.tool_name))
            case TextMessage(role="system"):
                return msgspec.structs.replace(message, content=self._guidance(message.content))
            case _:
                return message

    def _guidance(self, text: str) -> str:
        return _LISTED_TOOL.sub(lambda found: f"{found[1]}{self._sent(found[2])}: ", text)


def _vendor_names(names: Iterable[str]) -> dict[str, str]:
    """Return the names that vendors would refuse, with others for them that differ from all that are in use."""
    known = dict.fromkeys(names)
    used = {name for name in known if _TAKEN.fullmatch(name)}
    sent: dict[str, str] = {}
    for name in known:
        if name not in used:
            sent[name] = _free(name, used)
            used.add(sent[name])
    return sent


def _free(name: str, used: set[str]) -> str:
    cleaned = _NOT_TAKEN.sub("_", name)
    cleaned = cleaned if cleaned[:1].isalpha() or cleaned[:1] == "_" else f"_{cleaned}"
    if len(cleaned) <= _MAX_CHARACTERS and cleaned not in used:
        return cleaned
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{cleaned[: _MAX_CHARACTERS - _DIGEST_CHARACTERS - 1]}_{digest}"

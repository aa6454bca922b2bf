"""The tools of a run as vendors take them: names are mapped there and back, schemas have a common form."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec

from ...runtime.context import RunInput, Tool
from ...runtime.events import Event, ToolCallArgs, ToolCallEnd, ToolCallStart
from ...runtime.messages import Message, TextMessage, ToolCallMessage, ToolResultMessage
from .argument_names import ArgumentNames, argument_names
from .streams import closing
from .tool_schemas import tool_schema
from .vendor_names import vendor_names

# What OpenAI, Anthropic, Google and Bedrock all take. MCP allows dots, slashes and 128 characters.
_TAKEN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
# The instructions for MCP tools list them by name, a line each.
_LISTED_TOOL = re.compile(r"(^- )([^:\n]{1,256}): ", re.MULTILINE)


class OfferedTools:
    """The tools of one run, and those that its history called.

    Args:
        run: The run.
    """

    def __init__(self, run: RunInput) -> None:
        called = (message.name for message in run.messages if isinstance(message, ToolCallMessage))
        self._to_vendor = vendor_names([*(tool.name for tool in run.tools), *called], _TAKEN)
        self._from_vendor = {sent: name for name, sent in self._to_vendor.items()}
        self._schemas = {tool.name: tool_schema(tool.parameters) for tool in run.tools}
        self._arguments = argument_names(self._schemas.items())
        self._run = run

    def run(self) -> RunInput:
        """Return the run as the vendor is to see it."""
        run = self._run
        tools = [
            Tool(name=self._sent(tool.name), description=tool.description, parameters=self._schema(tool.name))
            for tool in run.tools
        ]
        if not self._to_vendor and not self._arguments:
            return msgspec.structs.replace(run, tools=tools)
        chosen = run.forwarded.tool_choice_function_name
        forwarded = msgspec.structs.replace(run.forwarded, tool_choice_function_name=chosen and self._sent(chosen))
        messages = [self._message(message) for message in run.messages]
        return msgspec.structs.replace(run, tools=tools, messages=messages, forwarded=forwarded)

    def events(self, answer: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """Return the answer's events with the tools' own names, and their arguments'."""
        return self._renamed(answer) if self._from_vendor or self._arguments else answer

    async def _renamed(self, answer: AsyncIterator[Event]) -> AsyncGenerator[Event]:
        calls: dict[str, _RenamedCall] = {}
        async with closing(answer) as events:
            async for event in events:
                if isinstance(event, ToolCallStart):
                    event.tool_call_name = self._from_vendor.get(event.tool_call_name, event.tool_call_name)
                    if event.tool_call_name in self._arguments:
                        calls[event.tool_call_id] = _RenamedCall(self._arguments[event.tool_call_name])
                elif isinstance(event, ToolCallArgs) and event.tool_call_id in calls:
                    calls[event.tool_call_id].pieces.append(event.delta)
                    continue
                elif isinstance(event, ToolCallEnd) and event.tool_call_id in calls:
                    yield ToolCallArgs(tool_call_id=event.tool_call_id, delta=calls.pop(event.tool_call_id).text())
                yield event

    def _schema(self, tool: str) -> dict[str, Any]:
        names, schema = self._arguments.get(tool), self._schemas[tool]
        return schema if names is None else names.schema(schema)

    def _sent(self, name: str) -> str:
        return self._to_vendor.get(name, name)

    def _message(self, message: Message) -> Message:
        match message:
            case ToolCallMessage():
                names = self._arguments.get(message.name)
                arguments = message.arguments if names is None else names.sent(message.arguments)
                return msgspec.structs.replace(message, name=self._sent(message.name), arguments=arguments)
            case ToolResultMessage():
                return msgspec.structs.replace(message, tool_name=self._sent(message.tool_name))
            case TextMessage(role="system"):
                return msgspec.structs.replace(message, content=self._guidance(message.content))
            case _:
                return message

    def _guidance(self, text: str) -> str:
        return _LISTED_TOOL.sub(lambda found: f"{found[1]}{self._sent(found[2])}: ", text)


class _RenamedCall:
    """A call whose arguments are complete before their names can be the tool's."""

    def __init__(self, names: ArgumentNames) -> None:
        self.pieces: list[str] = []
        self._names = names

    def text(self) -> str:
        return self._names.received("".join(self.pieces))

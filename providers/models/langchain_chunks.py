"""What a LangChain model streams, as events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from langchain_core.messages import BaseMessage

from ...runtime.events import Event
from ..message_assembler import MessageAssembler


class ChunkReader:
    """Reads the chunks of one answer.

    Args:
        answer: What is being written.
    """

    def __init__(self, answer: MessageAssembler) -> None:
        self._answer = answer

    def read(self, chunk: BaseMessage) -> Iterable[Event]:
        """What ``chunk`` adds to the answer."""
        self._answer.name(chunk.id)
        return [*self._content(chunk.content), *self._reasoning_aside(chunk), *self._calls(chunk)]

    def _content(self, content: str | list[str | dict[str, Any]]) -> Iterable[Event]:
        if isinstance(content, str):
            return self._answer.text(content)
        return [event for block in content for event in self._block(block)]

    def _block(self, block: str | dict[str, Any]) -> Iterable[Event]:
        if isinstance(block, str):
            return self._answer.text(block)
        match block.get("type"):
            case "text":
                return self._answer.text(block.get("text") or "")
            case "thinking" | "reasoning" | "reasoning_content":
                return self._answer.reasoning(_thought(block))
            case _:
                return ()

    def _reasoning_aside(self, chunk: BaseMessage) -> Iterable[Event]:
        thought = chunk.additional_kwargs.get("reasoning_content")
        return self._answer.reasoning(thought) if isinstance(thought, str) else ()

    def _calls(self, chunk: BaseMessage) -> Iterable[Event]:
        pieces = getattr(chunk, "tool_call_chunks", None)
        if pieces:
            return [event for piece in pieces for event in self._piece(piece)]
        whole = getattr(chunk, "tool_calls", None) or ()
        return [event for call in whole for event in self._whole(call)]

    def _piece(self, piece: Mapping[str, Any]) -> Iterable[Event]:
        return self._answer.call_piece(piece.get("index"), piece.get("id"), piece.get("name"), piece.get("args"))

    def _whole(self, call: Mapping[str, Any]) -> Iterable[Event]:
        key = call.get("id") or object()
        arguments = msgspec.json.encode(call.get("args") or {}).decode()
        return [
            *self._answer.call(key, str(call["name"]), call.get("id")),
            *self._answer.arguments(key, arguments),
            *self._answer.end_call(key),
        ]


def _thought(block: Mapping[str, Any]) -> str:
    inner = block.get("reasoning_content")
    if isinstance(inner, Mapping):
        return _thought(inner)
    for field in ("thinking", "reasoning", "text"):
        if isinstance(value := block.get(field), str):
            return value
    summary = block.get("summary")
    parts = summary if isinstance(summary, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))

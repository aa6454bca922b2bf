"""Streams of LangChain's models, as events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import structlog
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata, add_usage

from ...runtime.events import Event
from ..message_assembler import MessageAssembler
from ..token_usage import langchain_usage
from .answer_end import check_end

log = structlog.get_logger(__name__)

_CALLS = ("tool_calls", "function_call")
_SIGNED = ("thinking", "redacted_thinking", "reasoning", "reasoning_content")


class ChunkReader:
    """Reads the chunks of one answer.

    Args:
        answer: What is being written.
    """

    def __init__(self, answer: MessageAssembler) -> None:
        self._answer = answer
        self._reason: str | None = None
        self._aside: AIMessageChunk | None = None
        self._usage: UsageMetadata | None = None
        self._model: str | None = None

    def read(self, chunk: BaseMessage) -> Iterable[Event]:
        """Return what ``chunk`` adds to the answer."""
        self._answer.name(chunk.id)
        if chunk.response_metadata:
            self._finish(chunk.response_metadata)
        if (used := getattr(chunk, "usage_metadata", None)) is not None:
            self._usage = add_usage(self._usage, used)
        if chunk.additional_kwargs or not isinstance(chunk.content, str):
            self._keep(chunk)
        return [*self._content(chunk.content), *self._reasoning_aside(chunk), *self._calls(chunk)]

    def end(self) -> Iterable[Event]:
        """Complete the answer.

        Raises:
            NoAnswerError: The vendor withheld it.
        """
        yield from self._answer.end()
        usage = langchain_usage(self._usage, self._model)
        if usage is not None:
            yield usage
        if self._reason is not None:
            check_end(self._reason, empty=self._answer.empty)

    def details(self) -> dict[str, dict[str, Any]]:
        """Return what has to come back with the calls (``CallDetails.keep``): signatures, and signed reasoning."""
        calls = self._answer.call_details()
        if self._aside is None or not calls:
            return {}
        content = self._aside.content if isinstance(self._aside.content, list) else []
        message = {"content": content, "additional_kwargs": self._aside.additional_kwargs}
        try:
            kept = msgspec.json.decode(msgspec.json.encode(message))
        except (TypeError, UnicodeEncodeError):
            log.warning("call_details_not_kept", reason="they are not JSON")
            return {}
        return {next(iter(calls)): {"message": kept}}

    def _finish(self, metadata: Mapping[str, Any]) -> None:
        self._model = metadata.get("model_name") or metadata.get("model") or self._model
        given = (metadata.get(name) for name in ("finish_reason", "stop_reason", "stopReason", "done_reason"))
        self._reason = next((str(reason) for reason in given if reason), self._reason)

    # LangChain knows how pieces of its blocks are joined. Texts are left out: joining them costs with their length.
    def _keep(self, chunk: BaseMessage) -> None:
        blocks = [block for block in chunk.content if _is_signed(block)] if isinstance(chunk.content, list) else []
        aside = {name: value for name, value in chunk.additional_kwargs.items() if name not in _CALLS}
        if blocks or aside:
            piece = AIMessageChunk(content=blocks, additional_kwargs=aside)
            self._aside = piece if self._aside is None else self._aside + piece

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


def _is_signed(block: object) -> bool:
    return isinstance(block, Mapping) and block.get("type") in _SIGNED


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

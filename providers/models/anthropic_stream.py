"""Streams of Anthropic's Messages API, as events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ...runtime.call_ids import CallIds
from ...runtime.events import Event
from ...runtime.messages import new_id
from ..message_assembler import MessageAssembler
from ..text_pieces import whole
from ..token_usage import anthropic_usage
from .answer_end import check_end
from .anthropic_parts import Block, Delta, Part, read_parts
from .lenient_json import object_or_empty, text, text_or_none
from .thinking import ThinkingFilter
from .vendor_errors import BrokenStreamError

_LONGEST_DONE = 20


class StreamReader:
    """Reads the data of one server-sent answer; ``done`` is true once there is no more.

    Args:
        answer: What is being written.
        fallback: The text to send when the model answers nothing at all.
    """

    def __init__(self, answer: MessageAssembler, fallback: str | None = None) -> None:
        self.done = False
        self._answer = answer
        self._fallback = fallback
        self._filter = ThinkingFilter()
        self._reason: str | None = None
        self._explanation: str | None = None
        self._inputs: dict[int, str] = {}
        self._thoughts: list[_Thought] = []
        self._model: str | None = None
        self._usage: dict[str, Any] = {}

    def read(self, data: bytes) -> Iterable[Event]:
        """Return what ``data`` adds to the answer.

        Raises:
            VendorError: The vendor reports a failure in the stream.
            BrokenStreamError: It is not of the protocol.
        """
        if len(data) < _LONGEST_DONE and data.strip() == b"[DONE]":
            self.done = True
            return ()
        return [event for part in read_parts(data) for event in self._part(part)]

    def end(self) -> Iterable[Event]:
        """Complete the answer.

        Raises:
            BrokenStreamError: The stream broke off.
            NoAnswerError: The answer is empty.
        """
        if not self.done and self._reason is None:
            raise BrokenStreamError("The stream ended before the answer was complete.")
        yield from self._close_blocks()
        yield from self._answer.end()
        usage = anthropic_usage(self._usage, self._model)
        if usage is not None:
            yield usage
        if self._answer.empty and self._fallback is not None and self._reason in (None, "end_turn"):
            yield from self._fall_back(self._fallback)
            return
        check_end(self._reason, empty=self._answer.empty, explanation=self._explanation)

    def details(self) -> dict[str, dict[str, Any]]:
        """Return what has to come back with the calls, by their ids: the signed thinking in front of each."""
        return {id_: {"call": details} for id_, details in self._answer.call_details().items() if details}

    def _part(self, part: Part) -> Iterable[Event]:
        match part.type:
            case "content_block_delta" if part.delta is not None:
                return self._delta(part.index, part.delta)
            case "content_block_start" if part.content_block is not None:
                return self._start(part.index, part.content_block)
            case "content_block_stop":
                return self._stop(part.index)
            case "message_start" if part.message is not None:
                self._answer.name(part.message.id)
                self._model = text_or_none(part.message.model)
                self._usage |= object_or_empty(part.message.usage)
            case "message_delta" if part.delta is not None:
                self._finish(part.delta)
                self._usage |= object_or_empty(part.usage)
            case "message_stop":
                self.done = True
        return ()

    def _finish(self, delta: Delta) -> None:
        self._reason = delta.stop_reason or self._reason
        self._explanation = text(object_or_empty(delta.stop_details).get("explanation")) or self._explanation

    def _start(self, index: int, block: Block) -> Iterable[Event]:
        match block.type:
            case "tool_use":
                self._inputs[index] = msgspec.json.encode(block.input).decode() if block.input else ""
                thoughts, self._thoughts = self._thoughts, []
                details = {"thinking": [thought.block() for thought in thoughts]} if thoughts else None
                return self._answer.call(index, block.name, block.id, details)
            case "text":
                self._filter = ThinkingFilter()
                return self._answer.text(self._filter.feed(block.text))
            case "thinking" | "redacted_thinking":
                self._thoughts.append(_Thought(block))
                return self._answer.reasoning(block.thinking)
        return ()

    def _delta(self, index: int, delta: Delta) -> Iterable[Event]:
        match delta.type:
            case "text_delta":
                return self._answer.text(self._filter.feed(delta.text))
            case "input_json_delta":
                if delta.partial_json.strip():
                    self._inputs.pop(index, None)
                return self._answer.arguments(index, delta.partial_json)
            case "thinking_delta":
                self._think(delta)
                return self._answer.reasoning(delta.thinking)
            case "signature_delta":
                self._think(delta)
        return ()

    def _think(self, delta: Delta) -> None:
        if self._thoughts:
            self._thoughts[-1].add(delta)

    # The whole input in the block's start counts where no deltas followed.
    def _stop(self, index: int) -> Iterable[Event]:
        whole = self._inputs.pop(index, "")
        return [
            *self._answer.text(self._filter.end()),
            *self._answer.arguments(index, whole),
            *self._answer.end_call(index),
        ]

    def _close_blocks(self) -> Iterable[Event]:
        return [event for index in list(self._inputs) for event in self._stop(index)]

    def _fall_back(self, fallback: str) -> Iterable[Event]:
        answer = MessageAssembler(new_id(), ids=CallIds())
        return [*answer.text(fallback), *answer.end()]


class _Thought:
    """A block of thinking, which Anthropic signs and wants back unchanged with the call that follows."""

    def __init__(self, block: Block) -> None:
        self._type = block.type
        self._texts = [block.thinking]
        self._signature = block.signature
        self._data = block.data

    def add(self, delta: Delta) -> None:
        self._texts.append(delta.thinking)
        self._signature += delta.signature

    def block(self) -> dict[str, str]:
        if self._type == "redacted_thinking":
            return {"type": self._type, "data": self._data}
        return {"type": self._type, "thinking": whole("".join(self._texts)), "signature": self._signature}

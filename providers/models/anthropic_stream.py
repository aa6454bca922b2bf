"""What Anthropic's Messages API streams, as events."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...runtime.events import Event
from ...runtime.messages import new_id
from .failures import BrokenStreamError, VendorError
from .message_assembler import MessageAssembler
from .thinking import ThinkingFilter

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class _Message(msgspec.Struct, gc=False):
    id: str = ""


class _Block(msgspec.Struct, gc=False):
    type: str
    id: str = ""
    name: str = ""
    text: str = ""


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""


class _Error(msgspec.Struct, gc=False):
    type: str = ""
    message: str = ""


class _Part(msgspec.Struct, gc=False):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Part).decode


class StreamReader:
    """Reads the data of one server-sent answer; ``done`` tells that there is no more.

    Args:
        fallback: What to say when the model answers nothing at all.
    """

    def __init__(self, fallback: str | None = None) -> None:
        self.done = False
        self._answer = MessageAssembler()
        self._fallback = fallback
        self._filter = ThinkingFilter()

    def read(self, data: bytes) -> Iterable[Event]:
        """What ``data`` adds to the answer.

        Raises:
            VendorError: The vendor reports a failure in the stream.
            BrokenStreamError: It is not of the protocol.
        """
        try:
            part = _decode(data)
        except msgspec.DecodeError as error:
            raise BrokenStreamError(f"A part of the stream is malformed: {error}") from error
        return self._part(part)

    def end(self) -> Iterable[Event]:
        """Completes the answer.

        Raises:
            BrokenStreamError: The stream broke off.
        """
        if not self.done:
            raise BrokenStreamError("The stream ended before the answer was complete.")
        return self._answer.end()

    def _part(self, part: _Part) -> Iterable[Event]:
        match part.type:
            case "content_block_delta" if part.delta is not None:
                return self._delta(part.index, part.delta)
            case "content_block_start" if part.content_block is not None:
                return self._start(part.index, part.content_block)
            case "content_block_stop":
                return self._stop(part.index)
            case "message_start" if part.message is not None:
                self._answer.name(part.message.id)
            case "message_stop":
                self.done = True
                return self._close()
            case "error":
                error = part.error or _Error()
                message = error.message or error.type or "The vendor reported an error."
                raise VendorError(message, _STATUSES.get(error.type))
        return ()

    def _start(self, index: int, block: _Block) -> Iterable[Event]:
        if block.type == "tool_use":
            return self._answer.call(index, block.name, block.id)
        if block.type == "text":
            self._filter = ThinkingFilter()
            return self._answer.text(self._filter.feed(block.text))
        return ()

    def _delta(self, index: int, delta: _Delta) -> Iterable[Event]:
        match delta.type:
            case "text_delta":
                return self._answer.text(self._filter.feed(delta.text))
            case "input_json_delta":
                return self._answer.arguments(index, delta.partial_json)
            case "thinking_delta":
                return self._answer.reasoning(delta.thinking)
        return ()

    def _stop(self, index: int) -> Iterable[Event]:
        return [*self._answer.text(self._filter.end()), *self._answer.end_call(index)]

    def _close(self) -> Iterable[Event]:
        if not self._answer.empty or self._fallback is None:
            return self._answer.end()
        answer = MessageAssembler(new_id())
        return [*answer.text(self._fallback), *answer.end()]

"""What OpenAI's protocol streams, as events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ...runtime.events import Event
from .failures import BrokenStreamError, VendorError
from .message_assembler import MessageAssembler


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Any = None


class _Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | list[Any] | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None
    index: int = 0


class _Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    choices: list[_Choice] | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class StreamReader:
    """Reads the data of one server-sent answer; ``done`` tells that there is no more."""

    def __init__(self) -> None:
        self.done = False
        self._answer = MessageAssembler()
        self._finished = False

    def read(self, data: bytes) -> Iterable[Event]:
        """What ``data`` adds to the answer.

        Raises:
            VendorError: The vendor reports a failure in the stream.
            BrokenStreamError: It is not of the protocol.
        """
        if data == b"[DONE]":
            self.done = True
            return self.end()
        try:
            chunk = _decode(data)
        except msgspec.DecodeError as error:
            raise BrokenStreamError(f"A chunk of the stream is malformed: {error}") from error
        return self._chunk(chunk)

    def end(self) -> Iterable[Event]:
        """Completes the answer.

        Raises:
            BrokenStreamError: The stream broke off.
        """
        if not self.done and not self._finished:
            raise BrokenStreamError("The stream ended before the answer was complete.")
        return self._answer.end()

    def _chunk(self, chunk: _Chunk) -> Iterable[Event]:
        if chunk.error:
            raise _failure(chunk.error)
        self._answer.name(chunk.id)
        if not chunk.choices or chunk.choices[0].index:
            return ()
        choice = chunk.choices[0]
        events = () if choice.delta is None else self._delta(choice.delta)
        if choice.finish_reason is None:
            return events
        self._finished = True
        return [*events, *self._answer.end()]

    def _delta(self, delta: _Delta) -> Iterable[Event]:
        thought = delta.reasoning_content or delta.reasoning or ""
        if type(delta.content) is str and not (delta.tool_calls or thought or delta.refusal):
            return self._answer.text(delta.content)
        events = [*self._answer.reasoning(thought), *self._answer.text(_text(delta))]
        for call in delta.tool_calls or ():
            events += self._call(call)
        return events

    def _call(self, call: _Call) -> Iterable[Event]:
        function = call.function or _Function()
        arguments = function.arguments
        if arguments is not None and not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        return self._answer.call_piece(call.index, call.id, function.name, arguments)


def _text(delta: _Delta) -> str:
    if isinstance(delta.content, list):
        return "".join(str(part.get("text", "")) for part in delta.content if isinstance(part, dict))
    return delta.content or delta.refusal or ""


def _failure(error: Any) -> VendorError:
    if not isinstance(error, dict):
        return VendorError(str(error))
    message = error.get("message") or error.get("type") or "The vendor reported an error."
    codes = (error.get("code"), error.get("status"), error.get("status_code"))
    status = next((code for code in codes if isinstance(code, int) and 400 <= code <= 599), None)
    return VendorError(str(message), status)

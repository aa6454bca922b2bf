"""Streams of OpenAI's protocol, as events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...runtime.events import Event, RunUsage
from ..message_assembler import MessageAssembler
from ..text_pieces import whole
from ..token_usage import openai_usage
from .answer_end import check_end
from .lenient_json import text_or_none
from .openai_chunks import Call, Delta, Function, read_chunk
from .vendor_errors import BrokenStreamError

_LONGEST_DONE = 20
_NO_REASON = ("", "null", "none")


class StreamReader:
    """Reads the data of one server-sent answer.

    A message ends with the stream, or where a call begins: vendors put reasons to finish on chunks that are not the
    last, and only the end of the stream shows that no more of a text or of a call's arguments will come.

    Args:
        answer: What is being written.
    """

    def __init__(self, answer: MessageAssembler) -> None:
        self.done = False
        self._answer = answer
        self._thoughts: list[str] | None = None
        self._details: dict[str, Any] = {}
        self._reason: str | None = None
        self._usage: RunUsage | None = None

    def read(self, data: bytes) -> Iterable[Event]:
        """Return what ``data`` adds to the answer.

        Raises:
            VendorError: The vendor reports a failure in the stream.
            BrokenStreamError: It is not of the protocol.
        """
        if len(data) < _LONGEST_DONE and data.strip() == b"[DONE]":
            self.done = True
            return ()
        chunk = read_chunk(data)
        self._answer.name(chunk.id)
        if chunk.usage:  # some vendors report it with every chunk, as far as it goes
            self._usage = openai_usage(chunk.usage, text_or_none(chunk.model)) or self._usage
        if not chunk.choices or chunk.choices[0].index:
            return ()
        choice = chunk.choices[0]
        if choice.finish_reason is not None:
            self._finish(choice.finish_reason)
        return () if choice.delta is None else self._delta(choice.delta)

    def end(self) -> Iterable[Event]:
        """Complete the answer.

        Raises:
            BrokenStreamError: The stream broke off.
            NoAnswerError: The answer is empty.
        """
        if not self.done and self._reason is None:
            raise BrokenStreamError("The stream ended before the answer was complete.")
        yield from self._answer.end()
        if self._usage is not None:
            yield self._usage
        check_end(self._reason, empty=self._answer.empty)

    def details(self) -> dict[str, dict[str, Any]]:
        """Return what has to come back with the calls, by their ids: the message's part is with the first one."""
        by_call = self._answer.call_details()
        message = dict(self._details)
        if self._thoughts is not None:
            message["reasoning_content"] = whole("".join(self._thoughts))
        found: dict[str, dict[str, Any]] = {id_: {"call": details} for id_, details in by_call.items() if details}
        if message and by_call:
            found.setdefault(next(iter(by_call)), {})["message"] = message
        return found

    def _finish(self, reason: str) -> None:
        if reason.lower() not in _NO_REASON:
            self._reason = reason

    def _delta(self, delta: Delta) -> Iterable[Event]:
        thought = delta.reasoning_content or delta.reasoning or ""
        if delta.content and not (delta.tool_calls or thought or delta.refusal or delta.function_call):
            return self._answer.text(delta.content)
        self._keep(delta)
        events = [*self._answer.reasoning(thought), *self._answer.text(delta.content or delta.refusal or "")]
        for call in delta.tool_calls or ():
            events += self._call(call)
        if delta.function_call is not None:
            events += self._call(Call(index=0, function=delta.function_call))
        return events

    # What DeepSeek, OpenRouter and Google want back with the calls of an answer.
    def _keep(self, delta: Delta) -> None:
        if delta.reasoning_content is not None:
            self._thoughts = self._thoughts or []
            self._thoughts.append(delta.reasoning_content)
        if delta.reasoning_details:
            self._details.setdefault("reasoning_details", []).extend(delta.reasoning_details)
        if delta.extra_content:
            self._details["extra_content"] = delta.extra_content

    def _call(self, call: Call) -> Iterable[Event]:
        function = call.function or Function()
        details = {"extra_content": call.extra_content} if call.extra_content else None
        return self._answer.call_piece(call.index, call.id, function.name, function.arguments, details)

"""A model's streamed answer, shown while it is read, and returned whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...runtime import events
from ...runtime.errors import MisuseError
from ..event_groups import begin_reasoning, end_reasoning
from .authoring import emit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class AttributeDict(dict[str, Any]):
    """A JSON object whose members can be read as attributes too, as those of the SDKs' own models can."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


async def copilotkit_stream(response: Any) -> Any:
    """Show a model's answer token by token.

    Args:
        response: What ``litellm.completion``, ``litellm.acompletion`` or the OpenAI SDK returned for
            ``stream=True``. An answer that was not streamed is returned as it is.

    Returns:
        The whole answer in the shape of a chat completion: ``answer.choices[0].message``.

    Raises:
        MisuseError: If ``response`` is neither.
    """
    if hasattr(response, "choices"):
        return response
    reader = _Reader()
    async for chunk in _chunks(response):
        reader.read(chunk)
    reader.close()
    return reader.completion()


async def _chunks(response: Any) -> AsyncIterator[Any]:
    if hasattr(response, "__aiter__"):
        async for chunk in response:
            yield chunk
    elif hasattr(response, "__iter__"):
        for chunk in response:
            yield chunk
    else:
        raise MisuseError(f"copilotkit_stream needs a model's answer, not {type(response).__name__}.")


class _Reader:
    def __init__(self) -> None:
        self._message_id = ""
        self._text: list[str] = []
        self._calls: dict[Any, AttributeDict] = {}
        self._reasoning: str | None = None
        self._finish: str | None = None
        self._head: dict[str, Any] = {}

    def read(self, chunk: Any) -> None:
        self._message_id = self._message_id or getattr(chunk, "id", None) or str(uuid4())
        self._head = {key: getattr(chunk, key, None) for key in ("created", "model", "system_fingerprint")}
        for choice in (chunk.choices or ())[:1]:
            self._read_delta(choice.delta)
            self._finish = getattr(choice, "finish_reason", None) or self._finish

    def close(self) -> None:
        self._end_reasoning()
        if self._text:
            emit(events.TextMessageEnd(message_id=self._message_id))
        for call in self._calls.values():
            emit(events.ToolCallEnd(tool_call_id=call["id"]))

    def completion(self) -> AttributeDict:
        message = AttributeDict(id=self._message_id, role="assistant", content="".join(self._text))
        message["tool_calls"] = list(self._calls.values()) or None
        choice = AttributeDict(index=0, finish_reason=self._finish, message=message)
        return AttributeDict(id=self._message_id, object="chat.completion", choices=[choice], **self._head)

    def _read_delta(self, delta: Any) -> None:
        self._read_reasoning(getattr(delta, "reasoning_content", None))
        if delta.content:
            self._read_text(delta.content)
        for part in delta.tool_calls or ():
            self._end_reasoning()
            self._read_call(part)

    def _read_text(self, text: str) -> None:
        self._end_reasoning()
        if not self._text:
            emit(events.TextMessageStart(message_id=self._message_id))
        self._text.append(text)
        emit(events.TextMessageContent(message_id=self._message_id, delta=text))

    def _read_call(self, part: Any) -> None:
        index = getattr(part, "index", None)
        call = self._calls.get(self._key_of(part, index))
        if call is None:
            call = self._open_call(part, index)
        arguments = part.function.arguments
        if arguments:
            call["function"]["arguments"] += arguments
            emit(events.ToolCallArgs(tool_call_id=call["id"], delta=arguments))

    def _key_of(self, part: Any, index: Any) -> Any:
        if index is not None:
            return index
        return part.id or next(reversed(self._calls), None)

    def _open_call(self, part: Any, index: Any) -> AttributeDict:
        call_id = part.id or str(uuid4())
        function = AttributeDict(name=part.function.name or "", arguments="")
        call = AttributeDict(id=call_id, type="function", function=function)
        self._calls[call_id if index is None else index] = call
        parent = self._message_id
        emit(events.ToolCallStart(tool_call_id=call_id, tool_call_name=function["name"], parent_message_id=parent))
        return call

    def _read_reasoning(self, text: str | None) -> None:
        if not text:
            return
        if self._reasoning is None:
            self._reasoning = str(uuid4())
            emit(*begin_reasoning(self._reasoning))
        emit(events.ReasoningMessageContent(message_id=self._reasoning, delta=text))

    def _end_reasoning(self) -> None:
        if self._reasoning is not None:
            emit(*end_reasoning(self._reasoning))
            self._reasoning = None

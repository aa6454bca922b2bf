"""The chunks of OpenAI's protocol, from OpenAI and from compatible vendors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .lenient_json import number_or_none, object_or_empty, objects, read_json, text, text_or_none
from .reported_errors import error_in, reported
from .vendor_errors import BrokenStreamError


class Function(msgspec.Struct, gc=False):
    """The called tool, or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct, gc=False):
    """A tool call, or a piece of one. ``extra_content`` is Google's, and has to be sent back."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    extra_content: Any = None


class Delta(msgspec.Struct, gc=False):
    """What a chunk adds to the answer. ``function_call`` is a call's form of the time when there was but one."""

    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Any] | None = None
    extra_content: Any = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None


class Choice(msgspec.Struct, gc=False):
    """One of the answers; the first is the one that counts."""

    delta: Delta | None = None
    finish_reason: str | None = None
    index: int | None = 0
    error: Any = None
    message: Any = None


class Chunk(msgspec.Struct, gc=False):
    """A part of the stream."""

    id: str | None = None
    choices: list[Choice] | None = None
    error: Any = None
    model: Any = None
    usage: Any = None


_decode = msgspec.json.Decoder(Chunk).decode


def read_chunk(data: bytes) -> Chunk:
    """Return the chunk that ``data`` holds.

    Raises:
        VendorError: It reports a failure instead.
        BrokenStreamError: It is not of the protocol.
    """
    try:
        chunk = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _lenient(data)
    if chunk.error is None and chunk.choices:
        choice = chunk.choices[0]
        if choice.error is None and choice.message is None:
            return chunk
    return _lenient(data)


def _lenient(data: bytes) -> Chunk:
    body = read_json(data)
    failure = error_in(body)
    if failure is not None:
        raise failure
    if not isinstance(body, Mapping):
        raise BrokenStreamError("A chunk of the stream is not an object.")
    return Chunk(
        id=text_or_none(body.get("id")),
        choices=[_choice(one) for one in objects(body.get("choices"))],
        model=body.get("model"),
        usage=body.get("usage") or object_or_empty(body.get("x_groq")).get("usage"),
    )


def _choice(choice: Mapping[str, Any]) -> Choice:
    if choice.get("error"):
        raise reported(choice)
    return Choice(
        delta=_delta(object_or_empty(choice.get("delta") or choice.get("message"))),
        finish_reason=text_or_none(choice.get("finish_reason")),
        index=number_or_none(choice.get("index")) or 0,
    )


def _delta(delta: Mapping[str, Any]) -> Delta:
    details = delta.get("reasoning_details")
    return Delta(
        content=text(delta.get("content")),
        refusal=text(delta.get("refusal")) or None,
        reasoning=_text_of(delta, "reasoning"),
        reasoning_content=_text_of(delta, "reasoning_content"),
        reasoning_details=details if isinstance(details, list) else None,
        extra_content=delta.get("extra_content"),
        tool_calls=[_call(call) for call in objects(delta.get("tool_calls"))],
        function_call=next(map(_function, objects(delta.get("function_call"))), None),
    )


def _text_of(delta: Mapping[str, Any], key: str) -> str | None:
    return None if delta.get(key) is None else text(delta[key])


def _call(call: Mapping[str, Any]) -> Call:
    return Call(
        index=number_or_none(call.get("index")),
        id=text_or_none(call.get("id")),
        function=_function(object_or_empty(call.get("function"))),
        extra_content=call.get("extra_content"),
    )


def _function(function: Mapping[str, Any]) -> Function:
    return Function(name=text_or_none(function.get("name")), arguments=text_or_none(function.get("arguments")))

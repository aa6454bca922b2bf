"""The parts of Anthropic's streams, as Anthropic sends them and as gateways do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .lenient_json import number_or_none, object_or_empty, read_json, text, text_or_none
from .reported_errors import error_in
from .vendor_errors import BrokenStreamError


class Message(msgspec.Struct, gc=False):
    """The answer's head."""

    id: str = ""
    model: Any = None
    usage: Any = None


class Block(msgspec.Struct, gc=False):
    """The start of a block. Gateways put into it what should follow in deltas."""

    type: str = ""
    id: str = ""
    name: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    input: dict[str, Any] = {}


class Delta(msgspec.Struct, gc=False):
    """What is added to a block, or to the message."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_details: Any = None


class Part(msgspec.Struct, gc=False):
    """One part of the stream."""

    type: str
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    error: Any = None
    usage: Any = None


_decode = msgspec.json.Decoder(Part).decode


def read_part(data: bytes) -> Part:
    """Return the part that ``data`` holds.

    Raises:
        VendorError: It reports a failure instead.
        BrokenStreamError: It is not of the protocol.
    """
    try:
        part = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _lenient(data)
    return _lenient(data) if part.error or part.type == "error" else part


def read_parts(data: bytes) -> list[Part]:
    """Return the parts of a whole message, which gateways send although a stream was asked for.

    Raises:
        VendorError: It reports a failure instead.
        BrokenStreamError: It is not of the protocol.
    """
    part = read_part(data)
    if part.type != "message":
        return [part]
    body = object_or_empty(read_json(data))
    parts = [Part(type="message_start", message=_message(body))]
    content = body.get("content")
    for index, block in enumerate(content if isinstance(content, list) else ()):
        parts.append(Part(type="content_block_start", index=index, content_block=_block(object_or_empty(block))))
        parts.append(Part(type="content_block_stop", index=index))
    parts.append(Part(type="message_delta", delta=_delta(body)))
    return [*parts, Part(type="message_stop")]


def _lenient(data: bytes) -> Part:
    body = read_json(data)
    failure = error_in(body)
    if failure is not None:
        raise failure
    if not isinstance(body, Mapping):
        raise BrokenStreamError("A part of the stream is not an object.")
    message, block, delta = (object_or_empty(body.get(key)) for key in ("message", "content_block", "delta"))
    return Part(
        type=text(body.get("type")),
        index=number_or_none(body.get("index")) or 0,
        message=_message(message),
        content_block=_block(block),
        delta=_delta(delta),
        usage=body.get("usage"),
    )


def _message(message: Mapping[str, Any]) -> Message:
    return Message(id=text(message.get("id")), model=message.get("model"), usage=message.get("usage"))


def _block(block: Mapping[str, Any]) -> Block:
    fields = {key: text(block.get(key)) for key in ("type", "id", "name", "text", "thinking", "signature", "data")}
    return Block(**fields, input=_input(block.get("input")))


def _input(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return {}
    return dict(value) if isinstance(value, Mapping) else {}


def _delta(delta: Mapping[str, Any]) -> Delta:
    partial = delta.get("partial_json")
    return Delta(
        type=text(delta.get("type")),
        text=text(delta.get("text")),
        thinking=text(delta.get("thinking")),
        signature=text(delta.get("signature")),
        partial_json=text_or_none(partial) or "",
        stop_reason=text_or_none(delta.get("stop_reason")),
        stop_details=delta.get("stop_details"),
    )

"""A request's body: read once, within its bounds, for whichever wire it is for."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from ...runtime.config import RuntimeConfig
from ...runtime.errors import InputTooLargeError
from ...runtime.json_text import decode_client_json
from ...runtime.patience import within
from .refusal import Refusal, refusal

BODY_SECONDS = 60.0
"""How long a client may take to send its body."""

_MEDIA_KEYS = ("bytes", "data", "value", "url")
"""Where the wires have the data of images: in messages of the contract, and in parts of AG-UI's."""
_TEXT_KEYS = ("content", "text", "result", "arguments")
"""Where they have the texts of messages, of which what is too long is cut or refused later."""

_MOST_BYTES = 6
"""Of one character in JSON text: that many, if it is written as its number."""

_TOO_LARGE_HINT = (
    "The conversation and its attachments are sent whole with each message, and are larger than this server takes."
    " Begin a new conversation, or attach less."
)

BEGINNING_BYTES = 4096
"""How much of a body shows which wire it is for."""

_MOST_DIGITS = 18
"""Python refuses to read numbers of some thousand digits."""

JSON_TYPES = ("application/json", "application/graphql+json")
FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")
_AS_IT_IS = ("", "identity")


class BodyLimits(msgspec.Struct, kw_only=True, frozen=True):
    """How many bytes a body may have.

    ``plain``: without its images and other media, and what is too long of the texts of its messages; ``excused``: of
    these; ``text``: how long the text of a message may be.
    """

    plain: int
    excused: int
    text: int

    @classmethod
    def of(cls, config: RuntimeConfig) -> BodyLimits:
        """Return the limits that are configured."""
        return cls(plain=config.max_body_bytes, excused=config.max_image_bytes, text=config.max_message_bytes)

    @property
    def whole(self) -> int:
        """Return how many bytes are read at all."""
        return self.plain + self.excused


class Body(msgspec.Struct, kw_only=True):
    """What a request brought.

    ``data`` is the decoded JSON, of a body that is JSON; ``fault`` is why it could not be decoded.
    """

    content_type: str
    raw: bytes = b""
    data: Any = None
    fault: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether the client declares the body to be JSON, be it in capitals, or twice as with headers of its own."""
        return self.content_type.partition(",")[0].strip().lower() in JSON_TYPES

    def release(self) -> None:
        """Let go of what was read: an answer may be streamed for minutes."""
        self.raw, self.data = b"", None


class BodyRefusal(Refusal):
    """A refused body.

    Args:
        refusal: Why it is refused.
        beginning: The first of what was read of it, which shows the wire that it was for.
    """

    def __init__(self, refusal: Refusal, beginning: bytes) -> None:
        super().__init__(
            refusal.message,
            refusal.status,
            code=refusal.code,
            error=refusal.error,
            headers=refusal.headers,
            hint=refusal.hint,
        )
        self.beginning = beginning


class UnreadBody(Refusal):
    """A refused body of a type that no wire reads: its beginning is still to come."""

    def __init__(self) -> None:
        super().__init__("The body must be application/json.", 415, code="INVALID_REQUEST")


def content_type_of(request: Request) -> str:
    """Return the media type of a request's body, as it was sent, without its parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip()


async def read_json(request: Request, limits: BodyLimits) -> Body:
    """Read a request's body and decode it if it is JSON; of other types, nothing is read.

    Raises:
        BodyRefusal: It is too large, or does not come in time.
    """
    body = Body(content_type=content_type_of(request))
    if request.method != "POST" or not body.is_json:
        return body
    read = bytearray()
    try:
        await _read_into(read, request, limits.whole)
        return _decoded(body, bytes(read), limits)
    except Refusal as refused:
        raise BodyRefusal(refused, bytes(read[:BEGINNING_BYTES])) from refused


def _decoded(body: Body, raw: bytes, limits: BodyLimits) -> Body:
    try:
        data = decode_client_json(raw)
    except InputTooLargeError as error:
        raise refusal(error, 413) from error
    except msgspec.DecodeError as error:
        check_size(len(raw), None, limits)
        return msgspec.structs.replace(body, raw=raw, fault=str(error))
    check_size(len(raw), data, limits)
    return msgspec.structs.replace(body, raw=raw, data=data)


async def read_body(request: Request, limit: int) -> bytes:
    """Read a request's body.

    Raises:
        Refusal: It is larger than ``limit`` bytes, or does not come in time.
    """
    body = bytearray()
    await _read_into(body, request, limit)
    return bytes(body)


async def _read_into(body: bytearray, request: Request, limit: int) -> None:
    if request.headers.get("content-encoding", "").strip().lower() not in _AS_IT_IS:
        raise _compressed()
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > _MOST_DIGITS or int(announced) > limit):
        raise _too_large()
    try:
        await within(BODY_SECONDS, _read_chunks(body, request, limit))
    except ClientDisconnect as error:  # nobody's error, and nobody is there to read the answer
        raise Refusal("The client left before its request was complete.", 400, code="INVALID_REQUEST") from error
    except TimeoutError as error:
        raise Refusal("The request body did not arrive in time.", 408, code="REQUEST_TIMEOUT") from error


async def _read_chunks(body: bytearray, request: Request, limit: int) -> None:
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large()


def check_size(size: int, data: Any, limits: BodyLimits) -> None:
    """Check that a decoded body of ``size`` bytes is no larger than it may be without what is excused.

    Raises:
        Refusal: It is.
    """
    if size > limits.plain and size - _excused_bytes(data, limits.text) > limits.plain:
        raise _too_large()


def _excused_bytes(data: Any, longest: int) -> int:
    """Return how many bytes of a JSON value are media, or what texts have beyond the ``longest`` that is kept."""
    count, waiting = 0, [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            count += sum(len(value[key]) for key in _MEDIA_KEYS if isinstance(value.get(key), str))
            count += sum(_excess(value[key], longest) for key in _TEXT_KEYS if isinstance(value.get(key), str))
            waiting.extend(item for item in value.values() if isinstance(item, dict | list))
        elif isinstance(value, list):
            waiting.extend(item for item in value if isinstance(item, dict | list))
    return count


def _excess(text: str, longest: int) -> int:
    return max(len(msgspec.json.encode(text)) - longest, 0) if len(text) > longest // _MOST_BYTES else 0


def _compressed() -> Refusal:
    message = "The body must not be compressed: send it without Content-Encoding."
    return Refusal(message, 415, code="INVALID_REQUEST", headers={"Accept-Encoding": "identity"})


def _too_large() -> Refusal:
    return Refusal("Request body too large", 413, code="REQUEST_ENTITY_TOO_LARGE", hint=_TOO_LARGE_HINT)

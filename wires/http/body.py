"""A request's body: read once, within its bounds, for whichever wire it is for."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request

from ...runtime.json_text import decode_json
from .refusal import Refusal

BODY_SECONDS = 60.0
"""How long a client may take to send its body."""

_JSON_TYPES = ("application/json", "application/graphql+json")


class Body(msgspec.Struct, kw_only=True, frozen=True):
    """What a request brought.

    ``data`` is the decoded JSON, of a body that is JSON; ``fault`` is why it could not be decoded.
    """

    content_type: str
    raw: bytes = b""
    data: Any = None
    fault: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether the client says that the body is JSON."""
        return self.content_type in _JSON_TYPES


def content_type_of(request: Request) -> str:
    """Return the media type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip()


async def read_json(request: Request, limit: int) -> Body:
    """Read a request's body and decode it if it is JSON; of other types, nothing is read.

    Raises:
        Refusal: It is larger than ``limit`` bytes, or does not come in time.
    """
    body = Body(content_type=content_type_of(request))
    if request.method != "POST" or not body.is_json:
        return body
    raw = await read_body(request, limit)
    try:
        return msgspec.structs.replace(body, raw=raw, data=decode_json(raw))
    except (msgspec.DecodeError, RecursionError) as error:
        return msgspec.structs.replace(body, raw=raw, fault=str(error))


async def read_body(request: Request, limit: int) -> bytes:
    """Read a request's body.

    Raises:
        Refusal: It is larger than ``limit`` bytes, or does not come in time.
    """
    body = bytearray()
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large()
    except TimeoutError as error:
        raise Refusal("The request body did not arrive in time.", 408, code="REQUEST_TIMEOUT") from error
    return bytes(body)


def _too_large() -> Refusal:
    return Refusal("Request body too large", 413, code="REQUEST_ENTITY_TOO_LARGE")

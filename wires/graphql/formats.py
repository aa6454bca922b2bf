"""The formats in which an answer is written, and the choice between them (docs/contract.md, sections 1.5 and 2.1)."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

import msgspec

from ...runtime.json_text import scrub_all
from ..http.framing import Framing

UTF8 = "charset=utf-8"


class Format(Enum):
    """A format that clients can ask for."""

    GRAPHQL_RESPONSE = "application/graphql-response+json"
    JSON = "application/json"
    MULTIPART = "multipart/mixed"
    EVENT_STREAM = "text/event-stream"

    @property
    def incremental(self) -> bool:
        """Whether it can carry an answer in parts."""
        return self in (Format.MULTIPART, Format.EVENT_STREAM)

    @property
    def content_type(self) -> str:
        """The value of Content-Type."""
        if self is Format.MULTIPART:
            return 'multipart/mixed; boundary="-"'
        return self.value if self is Format.EVENT_STREAM else f"{self.value}; {UTF8}"


_WHOLE = (Format.GRAPHQL_RESPONSE, Format.JSON, Format.MULTIPART, Format.EVENT_STREAM)
_PARTS = (Format.MULTIPART, Format.EVENT_STREAM)


def acceptable(*, incremental: bool) -> str:
    """Return what could have been asked for: the ``accept`` header of a 406."""
    offered = (
        (Format.EVENT_STREAM, Format.MULTIPART)
        if incremental
        else (Format.EVENT_STREAM, Format.MULTIPART, Format.GRAPHQL_RESPONSE, Format.JSON)
    )
    return ", ".join(f"{offer.value}; {UTF8}" for offer in offered)


def negotiate(accept: str | None, *, incremental: bool) -> Format | None:
    """Return the best format for an answer, or None. Quality values are not weighed, as the original does not."""
    short = accept is None or len(accept) <= _REMEMBERED_CHARACTERS
    return (_remembered if short else _negotiated)(accept, incremental)


def _negotiated(accept: str | None, incremental: bool) -> Format | None:
    media_types = _media_types(accept)
    if _everything(media_types):
        return Format.MULTIPART if incremental else Format.JSON
    candidates = _PARTS if incremental else _WHOLE
    return next((candidate for candidate in candidates if _asks_for(media_types, candidate)), None)


# Clients of one kind send the same header with each request.
_REMEMBERED_CHARACTERS = 256
_remembered = lru_cache(maxsize=64)(_negotiated)


def _everything(media_types: list[str]) -> bool:
    return "*/*" in media_types and not any(media_type in {f.value for f in Format} for media_type in media_types)


def _asks_for(media_types: list[str], candidate: Format) -> bool:
    family = candidate.value.partition("/")[0]
    return any(media_type in (candidate.value, f"{family}/*", "*/*") for media_type in media_types)


def _media_types(accept: str | None) -> list[str]:
    if not accept:
        return ["*/*"]
    entries = ([part.strip().lower() for part in entry.split(";")] for entry in accept.split(","))
    return [media_type for media_type, *parameters in entries if media_type and _utf8(parameters)]


def _utf8(parameters: list[str]) -> bool:
    charsets = [p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")]
    return all(charset in ("utf-8", "utf8") for charset in charsets)


_encoder = msgspec.json.Encoder()


def encode(payload: dict[str, Any]) -> bytes:
    """Return a payload as compact JSON in UTF-8. Halves of surrogate pairs, which have no UTF-8, become U+FFFD."""
    try:
        return _encoder.encode(payload)
    except UnicodeEncodeError:
        return _encoder.encode(scrub_all(payload))


def _multipart_part(body: bytes) -> bytes:
    # The boundary stands behind the part: the client hands a part on only when it sees the boundary.
    return b"\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b\r\n---" % (
        len(body),
        body,
    )


def _server_sent_event(body: bytes) -> bytes:
    return b"event: next\ndata: %b\n\n" % body


FRAMINGS = {
    Format.MULTIPART: Framing(b"\r\n---", _multipart_part, b"--\r\n"),
    Format.EVENT_STREAM: Framing(b":\n\n", _server_sent_event, b"event: complete\ndata:\n\n", ping=b":\n\n"),
}


def whole_body(format_: Format, payload: dict[str, Any]) -> bytes:
    """Return an answer in one piece, in any format."""
    framing = FRAMINGS.get(format_)
    body = encode(payload)
    return body if framing is None else framing.opening + framing.part(body) + framing.closing

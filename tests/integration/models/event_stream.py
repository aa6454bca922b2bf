"""Amazon's event streams: messages with headers and checksums, in binary."""

from __future__ import annotations

import json
import struct
from binascii import crc32
from typing import Any

STRING = 7


def event_frame(kind: str, **payload: Any) -> bytes:
    """An event of a response."""
    return frame({":message-type": "event", ":event-type": kind}, payload)


def exception_frame(kind: str, message: str) -> bytes:
    """A failure that comes after the response has begun."""
    return frame({":message-type": "exception", ":exception-type": kind}, {"message": message})


def frame(headers: dict[str, str], payload: dict[str, Any]) -> bytes:
    """One message: lengths and their checksum, headers, payload, and a checksum of it all."""
    head = b"".join(_header(*item) for item in {**headers, ":content-type": "application/json"}.items())
    body = json.dumps(payload, ensure_ascii=False).encode()
    lengths = struct.pack("!II", len(head) + len(body) + 16, len(head))
    message = lengths + struct.pack("!I", crc32(lengths)) + head + body
    return message + struct.pack("!I", crc32(message))


def _header(name: str, value: str) -> bytes:
    return struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", STRING, len(value)) + value.encode()

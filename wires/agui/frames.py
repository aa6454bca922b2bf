"""Server-sent events as clients of this wire split them: ``data:``, one space, JSON, two line feeds."""

from __future__ import annotations

from typing import Any

import msgspec

from ...runtime.json_text import scrub_all

STREAM_HEADERS = [
    ("content-type", "text/event-stream"),
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
]
KEEP_ALIVE = b": keep-alive\n\n"

_encode = msgspec.json.Encoder().encode


def frame(event: Any) -> bytes:
    """Encode one event. Halves of surrogate pairs, which have no UTF-8, become U+FFFD."""
    try:
        return b"data: %b\n\n" % _encode(event)
    except UnicodeEncodeError:
        return b"data: %b\n\n" % _encode(scrub_all(msgspec.to_builtins(event)))

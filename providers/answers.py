"""Answers of other services: bounded, and read as they are sent.

A small piece of a compressed answer may stand for gigabytes, and a compressed stream would be held back until there is
enough to compress.
"""

from __future__ import annotations

from collections.abc import Mapping

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""How long an answer that is read whole may be, and each event or line of a stream."""
UNCOMPRESSED = {"accept-encoding": "identity"}
"""The header of a request whose answer is to come as it is."""


def compression_of(headers: Mapping[str, str]) -> str | None:
    """Return how an answer is compressed, by its headers, or None if it is not."""
    encoding = headers.get("content-encoding", "").strip().lower()
    return None if encoding in {"", "identity"} else encoding

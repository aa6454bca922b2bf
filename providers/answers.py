"""Answers of other services as they are sent: a small piece of a compressed one may stand for gigabytes.

A compressed stream would also be held back until there is enough to compress.
"""

from __future__ import annotations

from collections.abc import Mapping

UNCOMPRESSED = {"accept-encoding": "identity"}
"""The header of a request whose answer is to come as it is."""


def compression_of(headers: Mapping[str, str]) -> str | None:
    """Return how an answer is compressed, by its headers, or None if it is not."""
    encoding = headers.get("content-encoding", "").strip().lower()
    return None if encoding in {"", "identity"} else encoding

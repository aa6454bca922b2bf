"""Newline-delimited JSON, read incrementally."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...runtime.errors import ProtocolError
from ..answers import MAX_ANSWER_BYTES
from ..transport import decode_body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator


async def read_lines(pieces: AsyncIterator[bytes], max_line_bytes: int = MAX_ANSWER_BYTES) -> AsyncGenerator[Any]:
    """Yield what each line holds, from a body cut anywhere. The last line needs no newline.

    Raises:
        ProtocolError: If a line is not JSON, or longer than ``max_line_bytes``.
    """
    partial = bytearray()
    async for piece in pieces:
        *lines, rest = piece.split(b"\n")
        for line in lines:
            whole = bytes(partial) + line
            partial.clear()
            if whole.strip():
                yield decode_body(whole)
        partial += rest
        if len(partial) > max_line_bytes:
            raise ProtocolError(f"The remote service sent a line of more than {max_line_bytes} bytes.")
    last = bytes(partial)
    if last.strip():
        yield decode_body(last)

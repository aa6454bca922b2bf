"""The event stream format of the HTML standard, read incrementally (html.spec.whatwg.org, section 9.2.6).

Shared by all that read server-sent events. ``docs/decisions/0019-event-stream-reader.md``: why it is not ``httpx-sse``.
"""

from __future__ import annotations

from collections.abc import Callable

from ..runtime.errors import ProtocolError
from .answers import MAX_ANSWER_BYTES

_DATA = b"data:"
_END = b"\n\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventStreamReader:
    """Turns pieces of an event stream, cut anywhere, into the ``data`` of its events, as UTF-8.

    Fields other than ``data`` are passed over, as are comments. Unlike a browser, ``close`` gives out an event that the
    stream ended in, because servers forget the last blank line.

    Args:
        max_event_bytes: How long one event may become before the stream is given up.
        whole: Whether an event's first line of data is known to be all of it, so that the event need not wait for its
            blank line: there are servers that send none.
    """

    def __init__(self, max_event_bytes: int = MAX_ANSWER_BYTES, whole: Callable[[bytes], bool] | None = None) -> None:
        self._max = max_event_bytes
        self._whole = whole
        self._begun = False
        self._after_cr = False
        self._partial_line = bytearray()
        self._data: list[bytes] = []
        self._data_size = 0

    @property
    def between_events(self) -> bool:
        """Whether nothing of an event has been read yet."""
        return not self._partial_line and not self._data

    def feed(self, piece: bytes) -> list[bytes]:
        """Read on; return the data of the events that are now complete.

        Raises:
            ProtocolError: An event is too long.
        """
        if not self._begun:
            piece = self._without_mark(piece)
        elif self._is_one_event(piece):
            return [piece[len(_DATA) : -len(_END)].removeprefix(b" ")]
        piece = self._with_plain_line_ends(piece)
        if b"\n" not in piece:
            self._keep_partial(piece)
            return []
        self._partial_line += piece
        *lines, rest = bytes(self._partial_line).split(b"\n")
        self._partial_line.clear()
        found = (self._read_line(line, after) for line, after in zip(lines, (*lines[1:], None), strict=True))
        complete = [data for data in found if data is not None]
        self._keep_partial(rest)
        return complete

    def feed_text(self, text: str) -> list[bytes]:
        """Read on in a piece that was decoded already."""
        return self.feed(text.encode("utf-8", "surrogatepass"))

    def close(self) -> list[bytes]:
        """End the stream; return the data of an event that was not ended by a blank line."""
        return self.feed(b"\n\n")

    # By far the most frequent piece, and the one that is on every token's path.
    def _is_one_event(self, piece: bytes) -> bool:
        return (
            piece.startswith(_DATA)
            and piece.endswith(_END)
            and piece.find(b"\n") == len(piece) - len(_END)
            and b"\r" not in piece
            and not (self._partial_line or self._data or self._after_cr or len(piece) > self._max)
        )

    # The mark may itself be cut apart.
    def _without_mark(self, piece: bytes) -> bytes:
        start = bytes(self._partial_line) + piece
        self._partial_line.clear()
        if len(start) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(start):
            self._partial_line += start
            return b""
        self._begun = True
        return start.removeprefix(_BYTE_ORDER_MARK)

    def _with_plain_line_ends(self, piece: bytes) -> bytes:
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in piece:
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return piece

    def _read_line(self, line: bytes, after: bytes | None) -> bytes | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        if field != b"data":
            return None
        value = value.removeprefix(b" ")
        self._data.append(value)
        self._data_size += len(value) + 1
        self._check_size()
        if after == b"" or self._whole is None or len(self._data) > 1 or not self._whole(value):
            return None
        return self._dispatch()

    def _dispatch(self) -> bytes | None:
        if not self._data:
            return None
        data = b"\n".join(self._data)
        self._data.clear()
        self._data_size = 0
        return data

    def _keep_partial(self, piece: bytes) -> None:
        self._partial_line += piece
        self._check_size()

    def _check_size(self) -> None:
        if len(self._partial_line) + self._data_size > self._max:
            raise ProtocolError(f"The service sent an event of more than {self._max} bytes.")

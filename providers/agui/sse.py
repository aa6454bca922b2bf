"""The event stream format of the HTML standard, read incrementally (html.spec.whatwg.org, section 9.2.6)."""

from __future__ import annotations

import codecs

from ...runtime.errors import ProtocolError

DEFAULT_MAX_EVENT_CHARACTERS = 16 * 1024 * 1024


class SSEReader:
    """Turns pieces of an event stream, cut anywhere, into the ``data`` of its events.

    Fields other than ``data`` mean nothing to AG-UI and are passed over, as are comments. Unlike a browser,
    ``close`` gives out an event that the stream ended in, because servers forget the last blank line.

    Args:
        max_event_characters: How long one event may become before the stream is given up.
    """

    def __init__(self, max_event_characters: int = DEFAULT_MAX_EVENT_CHARACTERS) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._max = max_event_characters
        self._after_cr = False
        self._partial_line: list[str] = []
        self._data: list[str] = []
        self._size = 0

    @property
    def between_events(self) -> bool:
        """Whether nothing of an event has been read yet."""
        return not self._partial_line and not self._data

    def feed(self, piece: bytes) -> list[str]:
        """Reads on; returns the data of the events that are now complete."""
        return self.feed_text(self._decoder.decode(piece))

    def feed_text(self, text: str) -> list[str]:
        """The same for a piece that is text already."""
        text = self._with_plain_line_ends(text)
        if "\n" not in text:
            self._keep_partial(text)
            return []
        self._partial_line.append(text)
        *lines, rest = "".join(self._partial_line).split("\n")
        self._partial_line.clear()
        self._size = sum(map(len, self._data))
        complete = [data for line in lines if (data := self._read_line(line)) is not None]
        self._keep_partial(rest)
        return complete

    def close(self) -> list[str]:
        """Ends the stream; returns the data of an event that was not ended by a blank line."""
        return self.feed_text(self._decoder.decode(b"", final=True) + "\n\n")

    def _with_plain_line_ends(self, text: str) -> str:
        if self._after_cr and text:
            text = text.removeprefix("\n")
            self._after_cr = False
        if "\r" in text:
            self._after_cr = text.endswith("\r")
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text

    def _read_line(self, line: str) -> str | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
            self._grow(len(value))
        return None

    def _dispatch(self) -> str | None:
        if not self._data:
            return None
        data = "\n".join(self._data)
        self._data.clear()
        self._size = 0
        return data

    def _keep_partial(self, text: str) -> None:
        if text:
            self._partial_line.append(text)
            self._grow(len(text))

    def _grow(self, by: int) -> None:
        self._size += by
        if self._size > self._max:
            raise ProtocolError(f"The agent service sent an event of more than {self._max} characters.")

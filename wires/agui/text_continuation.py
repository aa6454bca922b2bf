"""The continuation of one text: what nearly all tokens become.

While nothing but further pieces of one text comes, the next event's shape is known ahead of time: it differs from the
last one's by the piece alone. So a token needs neither the gate, which looks at what else it may have to write, nor an
event that is encoded whole. Any other event takes the general way, after which the text that goes on is looked up
anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ...runtime.events import Event, TextMessageContent
from ...runtime.runs.plain_text import pieces_of
from .streamed_texts import HASHED_PIECES, StreamedText

_FRAME = b'data: {"type":"TEXT_MESSAGE_CONTENT","messageId":%b,"delta":'
_END = b"}\n\n"

_encode = msgspec.json.Encoder().encode


class TextContinuation:
    """Writes the events of a text that goes on.

    Args:
        message_id: The text's message.
        shown: Its id for the client.
        text: What the client has got of it.
    """

    __slots__ = ("_frame", "_message_id", "_text")

    def __init__(self, message_id: str, shown: str, text: StreamedText) -> None:
        self._message_id = message_id
        self._text = text
        self._frame = _FRAME % _encode(shown)

    def push(self, write: Callable[[bytes], bool], event: Event) -> bool:
        """Write the frame of ``event``, if that is a further piece and ``write`` can write now."""
        if type(event) is not TextMessageContent or event.message_id != self._message_id:
            return False
        piece = event.delta
        if not piece:
            return True
        try:
            frame = b"%b%b%b" % (self._frame, _encode(piece), _END)
        except UnicodeEncodeError:
            return False  # the general way writes what has no UTF-8
        if not write(frame):
            return False
        # Written out, and not a call of add(): each token passes here.
        pieces = self._text.pieces
        pieces.append(piece)
        if len(pieces) >= HASHED_PIECES:
            self._text.hash_pieces()
        return True

    def frames(self, batch: Sequence[Event]) -> bytes | None:
        """Return the frames of ``batch``; None if it is more than a continuation of the text."""
        pieces = pieces_of(self._message_id, batch)
        if pieces is None:
            return None
        frame = self._frame
        try:
            frames = b"".join([b"%b%b%b" % (frame, _encode(piece), _END) for piece in pieces])
        except UnicodeEncodeError:
            return None  # the general way writes what has no UTF-8
        self._text.add(pieces)
        return frames

"""The continuation of one text: the part of an answer that nearly all tokens become.

While nothing but further pieces of one text comes, the shape of the next part is known ahead of time: the pieces, in
one list, at the text's path, which differs from the last part's by its number alone. So a token needs neither the
projection nor the renderer, which look at what else it may have changed. It is appended to its message, and formatted
into a part. Any other event takes the general way, after which the text that goes on is looked up anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from graphql import GraphQLString

from ...runtime.events import Event, TextMessageContent
from ...runtime.runs.plain_text import pieces_of
from ..http.streaming import PartSink
from .incremental import IncrementalRenderer, StreamedLeaves
from .response import Channel

DROPPED_PIECES = 256
"""How many written pieces are let go of at a time: each is a string of its own, ten times as large as its letters."""

_HEAD = b'{"incremental":[{"items":'
_END = b'}],"hasNext":true}'

_encode = msgspec.json.Encoder().encode


class TextContinuation:
    """Writes the parts of a text that goes on.

    Args:
        message_id: The text's message.
        leaves: The text's pieces in the answer, all of which have been written so far.
        read_again: Whether what has been written may have to be written in another place of the answer, too.
    """

    __slots__ = ("_drops", "_end", "_items", "_leaves", "_message_id", "_path")

    def __init__(self, message_id: str, leaves: StreamedLeaves, *, read_again: bool) -> None:
        self._message_id = message_id
        self._leaves = leaves
        self._items = leaves.channel.items
        self._drops = not read_again
        self._path = b',"path":%b,' % _encode(leaves.path)[:-1]
        self._end = b"]" + _END if leaves.label is None else b'],"label":%b%b' % (_encode(leaves.label), _END)

    def push(self, sink: PartSink, event: Event) -> bool:
        """Write the part that shows ``event``, if that is a further piece and ``sink`` can write now."""
        if type(event) is not TextMessageContent or event.message_id != self._message_id:
            return False
        piece = event.delta
        if not piece:
            return True
        try:
            text = _encode(piece)
        except UnicodeEncodeError:
            return False  # the general way writes what has no UTF-8
        # Written out, and not a call of _formatted(): each token passes here.
        leaves, items = self._leaves, self._items
        index = leaves.written
        if not sink.write(sink.part_of(b"%b[%b]%b%d%b" % (_HEAD, text, self._path, index, self._end))):
            return False
        items.append(piece)
        leaves.written = index + 1
        if self._drops and len(items) >= DROPPED_PIECES:
            leaves.channel.drop(len(items))
        return True

    def part(self, batch: Sequence[Event]) -> bytes | None:
        """Return the part that shows ``batch``, in JSON; None if it is more than a continuation of the text.

        A part without bytes is one that need not be written.
        """
        pieces = pieces_of(self._message_id, batch)
        if pieces is None:
            return None
        return self._formatted(pieces) if pieces else b""

    def _formatted(self, pieces: list[str]) -> bytes | None:
        try:
            text = _encode(pieces)
        except UnicodeEncodeError:
            return None  # the general way writes what has no UTF-8
        leaves = self._leaves
        index = leaves.written
        self._items += pieces
        leaves.written = index + len(pieces)
        if self._drops and len(self._items) >= DROPPED_PIECES:
            leaves.channel.drop(len(self._items))
        return b"%b%b%b%d%b" % (_HEAD, text, self._path, index, self._end)


def continued_text(renderer: IncrementalRenderer, text: Channel[str], last: Event) -> TextContinuation | None:
    """Return what writes the text that ``last`` continued, if its next pieces will change nothing else."""
    leaves = renderer.leaves_of(text)
    if leaves is None or type(last) is not TextMessageContent or leaves.serialize is not GraphQLString.serialize:
        return None
    return TextContinuation(last.message_id, leaves, read_again=renderer.rereads)

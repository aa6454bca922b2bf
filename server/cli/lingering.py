"""Connections that end with an answer while the client is still sending its request.

Closing such a connection at once resets it: the client loses the answer that explains what was wrong. So the connection
is closed in one direction only, and what still arrives is discarded until the client closes it too, within limits.

The head of an answer is written in one piece with the beginning of its body. Each writing costs a call of the system,
and a client a reading, which is more than all else that a head costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

IDLE_SECONDS = 5.0
"""How long a client may send nothing more."""

TOTAL_SECONDS = 30.0
"""How long a client may send what nobody reads."""


class Arriving(Protocol):
    """A request that is being read."""

    unread: bool
    """Whether part of it is still to come."""


class LingeringTransport(asyncio.Transport):
    """A connection's transport that closes late where part of a request is still to come.

    Args:
        transport: The connection's own transport.
        arriving: What has come of the request that is being read.
    """

    __slots__ = ("_arriving", "_head", "_idle", "_limit", "_loop", "_transport", "write_at_once")

    def __init__(self, transport: asyncio.Transport, arriving: Arriving) -> None:
        super().__init__()
        self._transport = transport
        self.write_at_once: Callable[[bytes], None] = transport.write
        """Writes to a connection that does not linger; on one that does, it may raise RuntimeError."""
        self._head: bytes | None = None
        """The head of an answer whose body is awaited; none of it yet, if it is empty."""
        self._arriving = arriving
        self._loop = asyncio.get_running_loop()
        self._idle: asyncio.TimerHandle | None = None
        self._limit: asyncio.TimerHandle | None = None

    @property
    def lingers(self) -> bool:
        """Whether the connection is closed but for what the client still sends."""
        return self._idle is not None

    def hold_head(self) -> None:
        """Let what is written next, the head of an answer, wait for its body, for two turns of the event loop at most.

        A run's task begins in the first of them, and in the second one its first events are written.
        """
        if self._head is None:
            self._head = b""
            self.write_at_once = self.write

    def flush(self) -> None:
        """Write a head that waits, and hold none."""
        head = self._head
        self.forget_head()
        if head:
            self._transport.write(head)

    def forget_head(self) -> None:
        """Hold no head, and let go of the one that waits."""
        self._head = None
        self.write_at_once = self._transport.write

    def discard(self) -> None:
        """Accept that the client has sent more, which is not read."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = self._loop.call_later(IDLE_SECONDS, self.close_now)

    def limit_unread(self) -> None:
        """Close the connection if the rest of an answered request has not come in time."""
        self.forget_unread()
        self._limit = self._loop.call_later(TOTAL_SECONDS, self.close_now)

    def forget_unread(self) -> None:
        """Note that the rest of an answered request has come."""
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def close_now(self) -> None:
        """Close the connection in both directions."""
        self.flush()
        self.forget_unread()
        if self._idle is not None:
            self._idle.cancel()
        self._transport.close()

    def close(self) -> None:
        """Close the connection: at once, unless part of a request is still to come."""
        if self.is_closing() or not self._arriving.unread:
            self.close_now()
            return
        self.flush()
        self._idle = self._loop.call_later(IDLE_SECONDS, self.close_now)
        self.limit_unread()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Return whether nothing more can be written."""
        return self.lingers or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Write to the connection."""
        head = self._head
        if self._idle is not None or not data:
            return
        if head is None:
            self._transport.write(data)
        elif head:
            self.forget_head()
            self._transport.write(head + data)
        else:
            self._head = bytes(data)
            self._loop.call_soon(self._loop.call_soon, self.flush)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the transport's information about the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read nothing for now."""
        if not self.lingers:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def abort(self) -> None:
        """Close the connection without sending what is still to be sent."""
        self.forget_head()
        self.forget_unread()
        self._transport.abort()

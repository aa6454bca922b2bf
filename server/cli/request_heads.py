"""Bounds on the head of a request, which arrives before anybody knows who sends it, and on what nobody reads.

uvicorn's fast protocol reads heads of any size, and copies a header again with each piece of it; and it waits for the
rest of one for ever. A body in chunks may have headers behind it, and words beside each chunk, of any size as well. Its
other protocol, h11, has a bound on the size by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import structlog
import uvicorn

from ...runtime.deadlines import Deadlines
from ...wires.http.connection import EXTENSION, Connection
from ..shutdown import ENDING
from .flow_control import FlowControl, LazyEvent, Pipeline
from .lingering import LingeringTransport

log = structlog.get_logger(__name__)

MAX_HEADERS = 200
"""Headers of one request."""

FRAMING = 16
"""How many bytes of framing each byte of a body may have: a chunk of one byte has five."""

FIRST_REQUEST_SECONDS = 1.0
"""How long a server that ends waits for the first request of a connection that it has accepted."""

_END = b"\r\n\r\n"
_STATUS = {408: b"408 Request Timeout", 431: b"431 Request Header Fields Too Large"}

if TYPE_CHECKING:
    from collections import deque

    from starlette.types import Send
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.flow_control import FlowControl as UvicornFlowControl
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
else:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
    except ImportError:  # without httptools, uvicorn takes h11
        HttpToolsProtocol = None


class ServerConfig(uvicorn.Config):
    """uvicorn's settings, with the limits of a request's head.

    Args:
        application: The application, or what makes it.
        max_header_bytes: The largest head.
        request_head_seconds: How long a client may take to send one.
        options: uvicorn's own settings.
    """

    def __init__(self, application: Any, *, max_header_bytes: int, request_head_seconds: float, **options: Any) -> None:
        http = "auto" if HttpToolsProtocol is None else BoundedHttpProtocol
        super().__init__(application, http=http, h11_max_incomplete_event_size=max_header_bytes, **options)
        self.max_header_bytes = max_header_bytes
        self.heads = Deadlines(request_head_seconds)
        """The connections that send the head of a request."""


class _Arriving:
    """What has come of the request that is being read, and who works for the client.

    An object of its own: with the attributes of uvicorn's, the protocol would have thirty and more, for which CPython
    makes a dict of its own for each connection.
    """

    __slots__ = ("answered", "end_of_last", "framing", "head_bytes", "in_head", "is_last", "reports", "unread")

    def __init__(self) -> None:
        self.answered: RequestResponseCycle | None = None
        """The request that is being answered: not the one that is being read, if the client does not wait."""
        self.reports: dict[Connection, Callable[[], None]] = {}
        """Whom the end of the connection is reported to."""
        self.unread = False
        """Whether part of a request is still to come."""
        self.in_head = True
        self.is_last = False
        """Whether the server ends, so that no request follows this one."""
        self.head_bytes = 0
        self.end_of_last = b""
        self.framing = 0
        """How many bytes have come since the head that are not the body's, beyond those that it may have."""


if HttpToolsProtocol is not None:
    from .upgrades import DecliningParser

    class ServerConnection(Connection):
        """The connection of one of uvicorn's requests.

        Args:
            cycle: The request.
            reports: Whom the protocol reports the end of its connection to.
        """

        __slots__ = ("_cycle", "_reports", "_transport")

        def __init__(self, cycle: RequestResponseCycle, reports: dict[Connection, Callable[[], None]]) -> None:
            super().__init__(cast("Send", cycle.send))
            self._cycle = cycle
            self._transport = cast("LingeringTransport", cycle.transport)
            self._reports = reports

        @property
        def lost(self) -> bool:
            """Whether the connection has ended."""
            return self._cycle.disconnected

        def on_lost(self, report: Callable[[], None] | None) -> None:
            """Call ``report`` when the connection ends; None for nobody."""
            if report is None:
                self._reports.pop(self, None)
            else:
                self._reports[self] = report

        def end(self) -> None:
            """End the connection once what is written is sent; at once if the client does not read it."""
            if self._cycle.flow.write_paused:
                self._transport.abort()
            else:
                self._transport.close_now()

        def write(self, body: bytes) -> bool:
            """Write a chunk of the answer, if that has begun, in chunks, and the client reads it; return whether."""
            cycle = self._cycle
            if cycle.flow.write_paused or cycle.disconnected or cycle.response_complete:
                return False
            if cycle.chunked_encoding is not True:
                return False
            try:
                # Without a look at whether the connection lingers, for each token passes here: one that does is half
                # closed.
                self._transport.write_at_once(b"%x\r\n%b\r\n" % (len(body), body))
            except RuntimeError:
                log.debug("connection_closed_while_writing")
            self.wrote = True
            return True

    class BoundedHttpProtocol(HttpToolsProtocol):
        """uvicorn's protocol, which refuses heads that are too large or do not come in time.

        Whoever is answered before the whole request has come gets the answer, and may send the rest for a while.
        """

        config: ServerConfig
        cycle: RequestResponseCycle | None  # type: ignore[assignment]
        transport: LingeringTransport

        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            # Here, and not when they are first needed: the instances of a class share the names of 29 attributes at
            # most, and of fewer with each instance made before. One with more has a dict of its own, of 1.5 KiB.
            self.url = b""
            self._arriving = _Arriving()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            """Begin to wait for the first head."""
            arriving = self._arriving
            self.parser = DecliningParser(self)
            with suppress(AttributeError):  # as uvicorn's own; httptools before 0.6.3 is lenient
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            super().connection_made(LingeringTransport(cast("asyncio.Transport", transport), arriving))
            self.flow = cast("UvicornFlowControl", FlowControl(self.transport))
            self.pipeline = cast("deque[tuple[RequestResponseCycle, ASGI3Application]]", Pipeline())
            self._await_head()
            if ENDING.is_set():  # it was on its way while the server shut all others down
                self.shutdown()

        def connection_lost(self, exc: Exception | None) -> None:
            """Stop waiting, and report the end to those who still work for the client."""
            self.config.heads.remove(self)
            self.transport.forget_head()
            super().connection_lost(exc)
            self._lose_answered()
            for report in list(self._arriving.reports.values()):
                report()

        def data_received(self, data: bytes) -> None:
            """Parse what has come, unless the head is too large with it."""
            if self.transport.lingers:
                self.transport.discard()
                return
            arriving = self._arriving
            arriving.unread = arriving.unread or arriving.in_head
            if arriving.in_head and self._exceeds(data):
                self._refuse(431)
                return
            arriving.framing += 0 if arriving.in_head else len(data)
            super().data_received(data)
            if arriving.framing > self.config.max_header_bytes:
                self._refuse(431)

        def on_body(self, body: bytes) -> None:
            """Take a piece of the body."""
            arriving = self._arriving
            arriving.framing = max(0, arriving.framing - (1 + FRAMING) * len(body))
            super().on_body(body)

        def eof_received(self) -> None:
            """Close the connection, as nothing more will come of it."""
            if self.transport.lingers:
                self.transport.close_now()
            super().eof_received()

        def on_message_begin(self) -> None:
            """Begin a head."""
            super().on_message_begin()
            self._arriving.unread = True
            if not self._arriving.in_head:
                self._await_head()

        def on_header(self, name: bytes, value: bytes) -> None:
            """Take one header.

            Raises:
                ValueError: There are too many, which uvicorn answers with 400.
            """
            if len(self.headers) >= MAX_HEADERS:
                raise ValueError("too many headers")
            super().on_header(name, value)

        @property
        def declines_upgrade(self) -> bool:
            """Whether the request whose head has come offers a protocol that this server does not take."""
            if not self.parser.should_upgrade() or self.parser.get_method() == b"CONNECT":
                return False
            return not self._should_upgrade()

        def on_headers_complete(self) -> None:
            """End the head: what follows has limits of its own."""
            if self.declines_upgrade:
                return  # it comes once more
            self.config.heads.remove(self)
            arriving = self._arriving
            arriving.in_head, arriving.head_bytes, arriving.end_of_last, arriving.framing = False, 0, b"", 0
            super().on_headers_complete()
            cycle = self.cycle
            if cycle is not None and cycle.scope is self.scope:
                if arriving.answered is None:
                    arriving.answered = cycle
                if arriving.is_last:
                    # uvicorn closes the connection because of it; without, some versions close it unannounced.
                    cycle.default_headers = [*cycle.default_headers, (b"connection", b"close")]
                cycle.message_event = cast("asyncio.Event", LazyEvent())
                self.transport.hold_head()
                connection = ServerConnection(cycle, arriving.reports)
                self.scope["extensions"] = {EXTENSION: connection}  # type: ignore[dict-item]

        def on_message_complete(self) -> None:
            """End the request: whatever comes is another one."""
            if self.declines_upgrade:
                return
            self._arriving.unread, self._arriving.framing = False, 0
            self.transport.forget_unread()
            super().on_message_complete()

        def on_response_complete(self) -> None:
            """Answer the next request, if it has come, and limit for how long the rest of this one may."""
            following = self.pipeline[-1][0] if self.pipeline else None
            self._forget_connection()
            self.transport.flush()
            super().on_response_complete()
            self._arriving.answered = following
            if self._arriving.unread and not self.transport.is_closing():
                self.transport.limit_unread()

        def shutdown(self) -> None:
            """End the connection; at the end of the server nobody is waited for who sends what is not read.

            One that was accepted just now may have its first request on the way, which would be lost.
            """
            self._arriving.unread = False
            if self.transport.lingers:
                self.transport.close_now()
            if self.cycle is not None:
                super().shutdown()
                return
            self._arriving.is_last = True
            self.loop.call_later(FIRST_REQUEST_SECONDS, self._end_silent)

        def _end_silent(self) -> None:
            if self.cycle is None:
                self.transport.close()

        def end_overdue(self) -> None:
            """Refuse a head that has not come in time. Nobody need send one before the last request is answered."""
            if self._arriving.answered is not None:
                self.config.heads.add(self)
                return
            self._refuse(408)

        def _exceeds(self, data: bytes) -> bool:
            self._arriving.head_bytes += len(data)
            limit = self.config.max_header_bytes
            if self._arriving.head_bytes <= limit:
                self._arriving.end_of_last = data[-3:]
                return False
            # The body may come with the end of the head, in one piece.
            end = (self._arriving.end_of_last + data).find(_END)
            before = self._arriving.head_bytes - len(data) - len(self._arriving.end_of_last)
            return end < 0 or before + end > limit

        def _lose_answered(self) -> None:
            """Report the end to the request that is being answered: uvicorn does to the last one that has come."""
            cycle = self._arriving.answered
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
                self._forget_connection()

        def _forget_connection(self) -> None:
            """Let go of an ended request's connection, which knows the request: a ring, for the garbage collector."""
            if self._arriving.answered is not None:
                self._arriving.answered.scope.pop("extensions", None)

        def _may_be_refused(self) -> bool:
            """Return whether what is read is next to be answered: no answer may be written into another one."""
            answered = self._arriving.answered
            if answered is None:
                return True
            return answered is self.cycle and not self._arriving.in_head and not answered.response_started

        def _await_head(self) -> None:
            self._arriving.in_head = True
            self.config.heads.add(self)

        def _refuse(self, status: int) -> None:
            self.config.heads.remove(self)
            if not self.transport.is_closing():
                if not self._may_be_refused():
                    self.transport.abort()
                    return
                self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % _STATUS[status])
                self.transport.close()

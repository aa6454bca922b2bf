"""What this runtime's own server offers of a request's connection, beyond ASGI: its end, and writing at once.

ASGI lets an application learn of the end of a connection by receiving, which takes a task; and it lets it write by
awaiting, which takes a task of its own for whoever writes what another task has made. Under this runtime's own server
a stream does without both: the end is reported, and a piece of text is written where it is appended to its run's log.
Under other servers, and behind middleware, which may look at what is sent, both take their tasks.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Receive, Scope, Send

from ...runtime.cancellation import Interruption, end_tasks
from .exchange import Exchange

EXTENSION = "copilotkit.connection"


class Connection(ABC):
    """One request's connection.

    Args:
        send: The server's own function that sends a request's answer.
    """

    __slots__ = ("direct", "send", "wrote")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.direct = False
        """Whether nothing between the application and the server looks at the body that is sent."""
        self.wrote = False
        """Whether ``write`` has written since somebody last looked, and set it to False."""

    @property
    @abstractmethod
    def lost(self) -> bool:
        """Whether the connection has ended."""

    @abstractmethod
    def on_lost(self, report: Callable[[], None] | None) -> None:
        """Call ``report`` when the connection ends; None for nobody."""

    @abstractmethod
    def end(self) -> None:
        """End the connection, whatever of the answer is still to come; that is reported, too."""

    @abstractmethod
    def write(self, body: bytes) -> bool:
        """Write a part of the body if that can be done at once; return whether it was."""


def connection_of(scope: Scope) -> Connection | None:
    """Return a request's connection, if the server offers it."""
    connection = (scope.get("extensions") or {}).get(EXTENSION)
    return connection if isinstance(connection, Connection) else None


def unless_disconnected(exchange: Exchange, work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, bool]:
    """Return what awaits ``work``, cancels it if the client leaves first, and says whether it was completed."""
    connection = connection_of(exchange.request.scope)
    if connection is None:
        return _unless_received(exchange.receive, work)
    return _unless_reported(connection, work)


async def _unless_reported(connection: Connection, work: Coroutine[Any, Any, None]) -> bool:
    if connection.lost:
        work.close()
        return False
    interruption = Interruption()
    connection.on_lost(interruption.begin)
    try:
        await work
    except asyncio.CancelledError:
        if not interruption.end():
            raise
        return False
    finally:
        connection.on_lost(None)
        interruption.end()
    return True


async def _unless_received(receive: Receive, work: Coroutine[Any, Any, None]) -> bool:
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        await working
        return True
    finally:
        await end_tasks(working, leaving)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

"""Clients that leave while their request is worked on: the work is cancelled.

A server of ASGI lets an application wait for the end of a connection, by receiving, which takes a task. This runtime's
own server reports it instead, under ``LOST_CONNECTION`` of the scope's extensions, so that a stream has no task more
than it needs. Under other servers, a task waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Receive

from ...runtime.cancellation import Interruption, end_tasks
from .exchange import Exchange

LOST_CONNECTION = "copilotkit.lost_connection"


class LostConnection:
    """Reports the end of a connection."""

    __slots__ = ("_reports", "lost")

    def __init__(self) -> None:
        self.lost = False
        """Whether the connection has ended."""
        self._reports: list[Callable[[], None]] = []

    def add(self, report: Callable[[], None]) -> None:
        """Call ``report`` when the connection ends."""
        self._reports.append(report)

    def remove(self, report: Callable[[], None]) -> None:
        """Report it no more."""
        self._reports.remove(report)

    def set(self) -> None:
        """Note that the connection has ended."""
        self.lost = True
        for report in list(self._reports):
            report()


async def unless_disconnected(exchange: Exchange, work: Coroutine[Any, Any, None]) -> bool:
    """Await ``work``; cancel it if the client leaves first, and return whether it was completed."""
    connection = (exchange.request.scope.get("extensions") or {}).get(LOST_CONNECTION)
    if isinstance(connection, LostConnection):
        return await _unless_reported(connection, work)
    return await _unless_received(exchange.receive, work)


async def _unless_reported(connection: LostConnection, work: Coroutine[Any, Any, None]) -> bool:
    if connection.lost:
        work.close()
        return False
    interruption = Interruption()
    connection.add(interruption.begin)
    try:
        await work
    except asyncio.CancelledError:
        if not interruption.end():
            raise
        return False
    finally:
        connection.remove(interruption.begin)
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

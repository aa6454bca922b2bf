"""Tickets of thread locks in a table of a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from typing_extensions import override

from .locks import Standing, Ticket, TicketDesk
from .machine_clock import living, machine_seconds
from .sqlite_database import Database

_DROP_TICKETS = """
    DELETE FROM copilotkit_tickets WHERE thread_id = ? AND agent_name = ? AND expires NOT BETWEEN ? AND ?
"""
SWEEP_TICKETS = "DELETE FROM copilotkit_tickets WHERE expires NOT BETWEEN ? AND ?"
_TAKE_TICKET = """
    INSERT INTO copilotkit_tickets (thread_id, agent_name, token, expires) VALUES (?, ?, ?, ?)
    ON CONFLICT (token) DO UPDATE SET expires = excluded.expires
"""
_QUEUE = "SELECT token, stop FROM copilotkit_tickets WHERE thread_id = ? AND agent_name = ? ORDER BY seq"
_RENEW = "UPDATE copilotkit_tickets SET expires = ? WHERE token = ? RETURNING token, stop"
_STOP = """
    UPDATE copilotkit_tickets SET stop = 1 WHERE thread_id = ? AND agent_name = ?
    AND seq < coalesce((SELECT seq FROM copilotkit_tickets WHERE token = ?), 9223372036854775807)
"""


class SqliteTickets(TicketDesk):
    """Tickets in a table. All processes are on one machine, so that its clock serves them all (``machine_clock``)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def enter(self, ticket: Ticket, lease: float) -> Standing:
        def work(connection: sqlite3.Connection) -> Standing:
            connection.execute(_DROP_TICKETS, (*ticket[:2], *living(lease)))
            connection.execute(_TAKE_TICKET, (*ticket, machine_seconds() + lease))
            queue = connection.execute(_QUEUE, ticket[:2]).fetchall()
            return Standing(queue[0][0] == ticket.token, bool(dict(queue)[ticket.token]))

        return await self._database.write(work)

    @override
    async def renew(self, tickets: Sequence[Ticket], lease: float) -> dict[str, bool]:
        def work(connection: sqlite3.Connection) -> dict[str, bool]:
            stops: dict[str, bool] = {}
            for ticket in tickets:
                rows = connection.execute(_RENEW, (machine_seconds() + lease, ticket.token))
                stops.update({token: bool(stop) for token, stop in rows})
            return stops

        return await self._database.write(work)

    @override
    async def leave(self, ticket: Ticket) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM copilotkit_tickets WHERE token = ?", (ticket.token,))

        await self._database.write(work)

    @override
    async def request_stop(self, thread_id: str, agent_name: str, before: str | None) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_STOP, (thread_id, agent_name, before))

        await self._database.write(work)

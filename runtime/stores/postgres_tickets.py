"""Tickets of thread locks in a table on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from typing_extensions import override

from .locks import Standing, Ticket, TicketDesk
from .postgres_database import Database, single_row

_SERIALISE = "SELECT pg_advisory_xact_lock(hashtextextended(%(thread_id)s || chr(31) || %(agent_name)s, 0))"
_DROP_TICKETS = """
    DELETE FROM copilotkit_tickets
    WHERE thread_id = %(thread_id)s AND agent_name = %(agent_name)s AND expires_at < clock_timestamp()
"""
SWEEP_TICKETS = "DELETE FROM copilotkit_tickets WHERE expires_at < clock_timestamp()"
_TAKE_TICKET = """
    INSERT INTO copilotkit_tickets (thread_id, agent_name, token, expires_at)
    VALUES (%(thread_id)s, %(agent_name)s, %(token)s, clock_timestamp() + %(lease)s)
    ON CONFLICT (token) DO UPDATE SET expires_at = excluded.expires_at
    RETURNING stop, NOT EXISTS (
        SELECT FROM copilotkit_tickets AS older
        WHERE older.thread_id = %(thread_id)s AND older.agent_name = %(agent_name)s
            AND older.seq < copilotkit_tickets.seq
    )
"""
_RENEW = """
    UPDATE copilotkit_tickets SET expires_at = clock_timestamp() + %(lease)s
    WHERE token = ANY(%(tokens)s)
    RETURNING token, stop
"""
_LEAVE = "DELETE FROM copilotkit_tickets WHERE token = %(token)s"
_STOP = """
    UPDATE copilotkit_tickets SET stop = true
    WHERE thread_id = %(thread_id)s AND agent_name = %(agent_name)s
        AND seq < coalesce((SELECT seq FROM copilotkit_tickets WHERE token = %(before)s), 9223372036854775807)
"""


class PostgresTickets(TicketDesk):
    """Tickets in a table. An advisory lock makes the order of the numbers the order of the commits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def enter(self, ticket: Ticket, lease: float) -> Standing:
        values = {**ticket._asdict(), "lease": timedelta(seconds=lease)}
        async with self._database.transaction() as cursor:
            for statement in (_SERIALISE, _DROP_TICKETS, _TAKE_TICKET):
                await cursor.execute(statement, values)
            stop, first = await single_row(cursor)
        return Standing(first, stop)

    @override
    async def renew(self, tickets: Sequence[Ticket], lease: float) -> dict[str, bool]:
        values = {"tokens": [ticket.token for ticket in tickets], "lease": timedelta(seconds=lease)}
        async with self._database.statement() as cursor:
            await cursor.execute(_RENEW, values)
            return dict(await cursor.fetchall())

    @override
    async def leave(self, ticket: Ticket) -> None:
        async with self._database.statement() as cursor:
            await cursor.execute(_LEAVE, ticket._asdict())

    @override
    async def request_stop(self, thread_id: str, agent_name: str, before: str | None) -> None:
        values = {"thread_id": thread_id, "agent_name": agent_name, "before": before}
        async with self._database.statement() as cursor:
            await cursor.execute(_STOP, values)

"""News of runs on a PostgreSQL server: one channel for all runs of a schema."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import LiteralString

from psycopg import AsyncConnection, sql
from typing_extensions import override

from .errors import StoreUnavailableError
from .postgres_database import Database, translated
from .run_news import OVER, NewsLine, RunNews, parse_news
from .run_records import RunKey

CHANNEL: LiteralString = "'copilotkit_runs_' || md5(current_schema())"
"""The channel's name, as an expression."""
NOTIFY: LiteralString = f"SELECT count(pg_notify({CHANNEL}, note)) FROM unnest(%(notes)s::text[]) AS note"  # noqa: S608
"""Sends notes when the transaction is committed."""
STOPS: LiteralString = "'copilotkit_stops_' || md5(current_schema())"
"""The name of the channel on which runs are called to stop, as an expression."""
NOTE_RUNS = 128
"""Of how many runs one note is: it may take 8,000 bytes."""
NAMED_RUNS = 4096
"""Of how many runs the names are remembered: each batch names one."""


@lru_cache(maxsize=NAMED_RUNS)
def run_name(key: RunKey) -> str:
    """Return what a run is called in notes: short, and without what clients chose."""
    return blake2b(f"{key.thread_id}\x1f{key.number}".encode(), digest_size=8).hexdigest()


def notes(lasts: Sequence[tuple[RunKey, int]], *, over: bool = False) -> list[str]:
    """Return the notes to send about runs.

    Args:
        lasts: The runs, and the number of the last event of each that is stored.
        over: Whether they have ended or are gone.
    """
    entries = [f"{run_name(key)}:{last}{OVER if over else ''}" for key, last in lasts]
    return [" ".join(entries[start : start + NOTE_RUNS]) for start in range(0, len(entries), NOTE_RUNS)]


class PostgresNews(NewsLine):
    """Listens on a connection of its own, beside those of the pool.

    Args:
        database: Where to connect to, and by whose connections a probe is sent: a proxy that lends a connection for
            one statement only takes ``LISTEN`` and sends no news.
    """

    channel: LiteralString = CHANNEL
    """What it listens to, as an expression."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: AsyncConnection | None = None

    @override
    def name(self, key: RunKey) -> str:
        return run_name(key)

    @override
    async def connect(self) -> None:
        async with translated():
            self._connection = connection = await self._database.connect()
            cursor = await connection.execute(f"SELECT {self.channel}")
            row = await cursor.fetchone()
            if row is None or row[0] is None:
                raise StoreUnavailableError
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(row[0])))

    @override
    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @override
    async def probe(self) -> None:
        async with self._database.statement() as cursor:
            await cursor.execute(f"SELECT pg_notify({self.channel}, '')")

    @override
    async def receive(self, seconds: float) -> Sequence[RunNews] | None:
        if self._connection is None:
            raise StoreUnavailableError
        async with translated():
            received = [note.payload async for note in self._connection.notifies(timeout=seconds, stop_after=1)]
        return [news for note in received for entry in note.split() for news in self._read(entry)] if received else None

    @override
    async def follow(self, names: Collection[str]) -> None:
        """Do nothing: news of all runs arrive."""

    @override
    async def unfollow(self, names: Collection[str]) -> None:
        """Do nothing: news of all runs arrive."""

    def _read(self, entry: str) -> list[RunNews]:
        name, _, text = entry.partition(":")
        return parse_news(name, text)


class PostgresStops(PostgresNews):
    """Listens for the names of runs that are asked to stop."""

    channel = STOPS

    @override
    def _read(self, entry: str) -> list[RunNews]:
        return [RunNews(entry, None, False)]

"""The SQLite file of the embedded store: its connection, its thread and its tables.

The file is in WAL mode: readers do not wait for a writer, and what was committed survives the death of the
process (https://www.sqlite.org/wal.html). One thread owns the connection, so that nothing blocks the loop.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from ..errors import StoreError
from .errors import StoreFullError, StoreNotOpenError, StoreUnavailableError
from .thread_keys import thread_key

T = TypeVar("T")

_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
"""What other processes' work on the file causes: the codes, and in the bits above them their kinds."""

_MIGRATIONS = (
    """
    CREATE TABLE copilotkit_threads (
        thread_id TEXT PRIMARY KEY,
        owner TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    );
    CREATE INDEX copilotkit_threads_by_time ON copilotkit_threads (updated, thread_id);
    CREATE INDEX copilotkit_threads_by_owner ON copilotkit_threads (owner, updated, thread_id);
    CREATE TABLE copilotkit_states (
        thread_id TEXT NOT NULL REFERENCES copilotkit_threads ON DELETE CASCADE,
        agent_name TEXT NOT NULL,
        version INTEGER NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (thread_id, agent_name)
    );
    CREATE TABLE copilotkit_tickets (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        thread_id TEXT NOT NULL,
        agent_name TEXT NOT NULL,
        token TEXT NOT NULL UNIQUE,
        expires REAL NOT NULL,
        stop INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX copilotkit_tickets_by_lock ON copilotkit_tickets (thread_id, agent_name, seq);
    """,
    # Of several spellings of one thread, only the oldest has a key: the others are nobody's.
    """
    ALTER TABLE copilotkit_threads ADD COLUMN key TEXT;
    ALTER TABLE copilotkit_threads ADD COLUMN name TEXT;
    ALTER TABLE copilotkit_threads ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE copilotkit_threads ADD COLUMN agents TEXT NOT NULL DEFAULT '[]';
    UPDATE copilotkit_threads SET key = thread_key(thread_id);
    CREATE INDEX copilotkit_threads_spelled ON copilotkit_threads (key, created, thread_id);
    UPDATE copilotkit_threads SET key = NULL WHERE EXISTS (
        SELECT 1 FROM copilotkit_threads AS older WHERE older.key = copilotkit_threads.key
            AND (older.created, older.thread_id) < (copilotkit_threads.created, copilotkit_threads.thread_id)
    );
    DROP INDEX copilotkit_threads_spelled;
    CREATE UNIQUE INDEX copilotkit_threads_by_key ON copilotkit_threads (key);
    """,
)
_VACUUM_SECONDS = 600.0
_OPEN_SECONDS = 1.0
"""For how long a file is opened again that cannot be opened."""
_OPEN_PAUSE_SECONDS = 0.02


@contextmanager
def translated() -> Iterator[None]:
    """Turn what sqlite3 raises into the errors of stores."""
    try:
        yield
    except TimeoutError as error:
        raise StoreUnavailableError from error
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise StoreFullError from error
        if code in _PASSING:
            raise StoreUnavailableError from error
        raise StoreError("The state store's file cannot be used.") from error


def create_private(path: Path) -> None:
    """Create a file, and its folder, that its owner alone may read; SQLite gives the files beside it the same mode.

    A file that is there keeps its mode.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.touch(mode=0o600, exist_ok=False)


class Database:
    """A connection to the file and the thread that owns it.

    Args:
        path: The file; it and its folder are created if need be.
        timeout: How long a statement may wait for another process's write, in seconds.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._worker: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Start the thread, open the file and bring its tables up to date."""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sqlite-store")
        try:
            await self._work(self._connect)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the file and end the thread."""
        if self._worker is not None:
            await self._work(self._disconnect)
            self._worker.shutdown()
            self._worker = None

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` on the connection's thread, on one snapshot of the file."""
        return await self._work(lambda: self._transact(work, "BEGIN"))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` on the connection's thread; all it writes is written at once, or nothing is."""
        return await self._work(lambda: self._transact(work, "BEGIN IMMEDIATE"))

    async def check(self) -> None:
        """Find out whether the file can be written to; while another process writes to it, it is taken to be so.

        Raises:
            StoreError: It cannot, as on a full disk.
        """
        await self._work(self._check)

    async def vacuum(self) -> None:
        """Write the file anew without the room of what was deleted. Other processes wait for it."""
        await self._work(self._vacuum, _VACUUM_SECONDS)

    def _check(self) -> None:
        if self._connection is None:
            raise StoreNotOpenError()
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            with _transaction(self._connection, "BEGIN IMMEDIATE"):
                (version,) = self._connection.execute("PRAGMA user_version").fetchone()
                self._connection.execute(f"PRAGMA user_version = {version}")  # a row that stays the same is not written
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {int(self._timeout * 1000)}")

    def _vacuum(self) -> None:
        if self._connection is not None:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _transact(self, work: Callable[[sqlite3.Connection], T], begin: str) -> T:
        if self._connection is None:
            raise StoreNotOpenError()
        with _transaction(self._connection, begin):
            return work(self._connection)

    async def _work(self, work: Callable[[], T], seconds: float | None = None) -> T:
        if self._worker is None:
            raise StoreNotOpenError()
        with translated():
            async with asyncio.timeout(2 * self._timeout if seconds is None else seconds):
                return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _connect(self) -> None:
        create_private(self._path)
        # Where processes make a file at once, SQLite waits for none of them: it refuses those that came in between.
        again = Retrying(
            retry=retry_if_exception_type(sqlite3.OperationalError),
            wait=wait_fixed(_OPEN_PAUSE_SECONDS),
            stop=stop_after_delay(_OPEN_SECONDS),
            before_sleep=lambda _: self._disconnect(),
            reraise=True,
        )
        again(self._open_file)

    def _open_file(self) -> None:
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
        self._connection = connection
        connection.create_function("thread_key", 1, thread_key, deterministic=True)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        with _transaction(connection, "BEGIN IMMEDIATE"):
            _migrate(connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # of some errors SQLite rolls back by itself
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS copilotkit_schema (version INTEGER NOT NULL)")
    row = connection.execute("SELECT max(version) FROM copilotkit_schema").fetchone()
    version = row[0] or 0
    if version > len(_MIGRATIONS):
        raise StoreError("The state store's tables were created by a newer release.")
    for script in _MIGRATIONS[version:]:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
    connection.execute("DELETE FROM copilotkit_schema")
    connection.execute("INSERT INTO copilotkit_schema (version) VALUES (?)", (len(_MIGRATIONS),))

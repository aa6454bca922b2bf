"""Store URLs: parse them and open the store."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from ..errors import ConfigurationError
from ..optional import optional
from .interface import StateStore
from .memory import MemoryStore
from .memory_runs import MemoryRuns
from .run_log import RunLogStore
from .settings import StoreSettings
from .sqlite import SqliteStore
from .sqlite_runs import SqliteRuns

REDIS_SCHEMES = ("redis", "rediss")
POSTGRES_SCHEMES = ("postgresql", "postgres")
SCHEMES = ("memory", "sqlite", *REDIS_SCHEMES, *POSTGRES_SCHEMES)


def scheme_of(url: str) -> str:
    """Return what stands before ``://``, in lower case; empty if nothing does."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def about_scheme(url: str, schemes: Collection[str] = SCHEMES) -> str:
    """Return what is wrong with a URL of none of these schemes, and nothing of it that may be secret."""
    begins = f"must be a URL that begins with {', '.join(f'{scheme}://' for scheme in schemes)}"
    scheme = scheme_of(url)
    if scheme:
        near = [f"{each}://" for each in get_close_matches(scheme.partition("+")[0], schemes, n=1)]
        return f"{begins}, not with {scheme}://.{''.join(f' Did you mean {each}?' for each in near)}"
    if "sqlite" in schemes and url.endswith((".sqlite", ".sqlite3", ".db")) and "@" not in url:
        return f"{begins}. Write sqlite:///{url.removeprefix('sqlite:')}."
    return f"{begins}."


def sqlite_path(url: str) -> Path:
    """Return the file of a SQLite URL: three slashes before a relative path, four before an absolute one.

    Raises:
        ConfigurationError: The URL names a host, or no file.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)[1:]
    if parts.netloc or not path or path == ":memory:":
        raise ConfigurationError("A SQLite store needs a file: sqlite:///relative/path or sqlite:////absolute/path.")
    return Path(path)


def open_store(url: str, settings: StoreSettings | None = None) -> StateStore:
    """Return the store that a URL stands for, not yet started.

    Args:
        url: ``memory://``, ``sqlite:///path``, ``redis://``, ``rediss://`` or ``postgresql://``. That of a Redis
            Cluster has ``cluster=true``, and may have several nodes: ``redis://one:6379,two:6379?cluster=true``.
        settings: The limits.

    Raises:
        ConfigurationError: The URL names no store.
        MissingExtraError: What the store needs is not installed.
    """
    store = _store(url, settings)
    store.url = url
    return store


def open_run_log(store: StateStore, settings: StoreSettings | None = None) -> RunLogStore:
    """Return where the events of runs are kept: in the same place as the states, not yet started.

    Args:
        store: The state store, as ``open_store`` returned it. For one of another make, runs are kept in memory.
        settings: The limits. The prefix of keys is the store's.
    """
    if isinstance(store, SqliteStore):
        return SqliteRuns(store.database, settings)
    scheme = scheme_of(store.url or "")
    if scheme in REDIS_SCHEMES:
        from .redis import RedisStore
        from .redis_runs import RedisRuns

        if isinstance(store, RedisStore):
            # Whoever opened the store chose what its keys begin with, so that it is another one's neighbour.
            return RedisRuns(store.client, replace(settings or StoreSettings(), prefix=store.settings.prefix))
    if scheme in POSTGRES_SCHEMES:
        from .postgres import PostgresStore
        from .postgres_runs import PostgresRuns

        if isinstance(store, PostgresStore):
            return PostgresRuns(store.database, settings)
    return MemoryRuns(settings)


def _store(url: str, settings: StoreSettings | None) -> StateStore:
    scheme = scheme_of(url)
    if scheme == "memory":
        return MemoryStore(settings)
    if scheme == "sqlite":
        return SqliteStore(sqlite_path(url), settings)
    if scheme in REDIS_SCHEMES:
        with optional("A Redis store", "redis"):
            from .redis import RedisStore
        return RedisStore(url, settings)
    if scheme in POSTGRES_SCHEMES:
        with optional("A PostgreSQL store", "postgres"):
            from .postgres import PostgresStore
        return PostgresStore(url, settings)
    raise ConfigurationError(f"The store {about_scheme(url)}")

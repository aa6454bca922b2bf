"""Store URLs: parse them and open the store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError
from ..optional import optional
from .interface import StateStore
from .memory import MemoryStore
from .settings import StoreSettings
from .sqlite import SqliteStore

REDIS_SCHEMES = ("redis", "rediss")
POSTGRES_SCHEMES = ("postgresql", "postgres")
SCHEMES = ("memory", "sqlite", *REDIS_SCHEMES, *POSTGRES_SCHEMES)


def scheme_of(url: str) -> str:
    """What stands before ``://``, in lower case; empty if nothing does."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def sqlite_path(url: str) -> Path:
    """The file of a SQLite URL: three slashes before a relative path, four before an absolute one.

    Raises:
        ConfigurationError: The URL names a host, or no file.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)[1:]
    if parts.netloc or not path or path == ":memory:":
        raise ConfigurationError("A SQLite store needs a file: sqlite:///relative/path or sqlite:////absolute/path.")
    return Path(path)


def open_store(url: str, settings: StoreSettings | None = None) -> StateStore:
    """The store that a URL stands for, not yet started.

    Args:
        url: ``memory://``, ``sqlite:///path``, ``redis://``, ``rediss://`` or ``postgresql://``.
        settings: The limits.

    Raises:
        ConfigurationError: The URL names no store.
        MissingExtraError: What the store needs is not installed.
    """
    store = _store(url, settings)
    store.url = url
    return store


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
    raise ConfigurationError(
        "The store must be a URL that begins with memory://, sqlite:///, redis://, rediss:// or postgresql://."
    )

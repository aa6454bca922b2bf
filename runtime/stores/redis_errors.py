"""Errors of redis-py as errors of stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
)

from ..errors import StoreError
from .errors import StoreUnavailableError


@contextmanager
def translated() -> Iterator[None]:
    """Turn what redis-py raises into the errors of stores."""
    try:
        yield
    except AuthenticationError as error:
        raise StoreError("The state store rejected the credentials.") from error
    except (BusyLoadingError, ConnectionError, ReadOnlyError, TimeoutError, OSError) as error:
        raise StoreUnavailableError from error
    except RedisError as error:
        raise StoreError("The state store rejected a command.") from error

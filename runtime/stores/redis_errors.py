"""Errors of redis-py as errors of stores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from ..errors import StoreError
from .errors import StoreFullError, StoreUnavailableError

_AWAY = (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    ReadOnlyError,
    TimeoutError,
    OSError,
)
_TAKES_NO_WRITES = re.compile(r"(?:^|[ -])(?:READONLY|MASTERDOWN|NOREPLICAS|MISCONF|BUSY) ")
"""What a server answers that takes no writes for now, as while another one takes over. Redis 6 puts the answer to a
command of a script behind the script's name."""
_FULL = re.compile(r"[ -]OOM ")
"""The same of a server whose memory is full."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn what redis-py raises into the errors of stores."""
    try:
        yield
    except AuthenticationError as error:
        raise StoreError("The state store rejected the credentials.") from error
    except _AWAY as error:
        raise StoreUnavailableError from error
    except OutOfMemoryError as error:
        raise StoreFullError from error
    except ResponseError as error:
        if _FULL.search(str(error)):
            raise StoreFullError from error
        if _TAKES_NO_WRITES.search(str(error)):
            raise StoreUnavailableError from error
        raise StoreError("The state store rejected a command.") from error
    except RedisError as error:
        raise StoreError("The state store rejected a command.") from error

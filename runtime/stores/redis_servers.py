"""Connect to Redis: to one server, or to a cluster."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ..errors import ConfigurationError
from .redis_client import RedisClient
from .redis_cluster import connect_cluster
from .redis_loops import LoopClient
from .redis_urls import is_cluster
from .settings import StoreSettings


def connect(url: str, settings: StoreSettings) -> RedisClient:
    """Return a client with a bounded pool, which waits no longer than ``settings`` allows and repeats nothing.

    Args:
        url: Of a server, or with ``cluster=true`` of nodes of a cluster; then each of its masters has a pool.
        settings: The limits.

    Raises:
        ConfigurationError: The URL is not one of a Redis server.
    """
    options: dict[str, Any] = {
        "max_connections": settings.pool_size,
        "timeout": settings.command_timeout,
        "socket_timeout": settings.command_timeout,
        "socket_connect_timeout": settings.connect_timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    try:
        if is_cluster(url):
            return connect_cluster(url, options)
        client = LoopClient(partial(BlockingConnectionPool.from_url, url, **options))
    except ValueError as error:
        raise ConfigurationError(f"The store's URL is not a valid Redis URL: {error}") from error
    return cast("RedisClient", client)

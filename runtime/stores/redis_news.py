"""News of runs on a Redis server: a channel for each run, named as the run's key.

The nodes of a cluster pass on to each other what is published, so that any of them has all news.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import PubSub
from typing_extensions import override

from .errors import StoreUnavailableError
from .redis_client import RedisClient
from .redis_cluster import RedisCluster
from .redis_errors import translated
from .run_news import NewsLine, RunNews, parse_news
from .run_records import RunKey


class RedisNews(NewsLine):
    """Subscribes to the channels of runs on a connection that no pool lends.

    Args:
        client: The client whose options the connection has.
        channel: A channel that is subscribed to always.
        name: Returns the channel of a run.
    """

    def __init__(self, client: RedisClient, channel: str, name: Callable[[RunKey], str]) -> None:
        self._client = client
        self._channel = channel
        self._name = name
        self._own: Redis | None = None
        self._subscriptions: PubSub | None = None

    @override
    def name(self, key: RunKey) -> str:
        return self._name(key)

    @override
    async def connect(self) -> None:
        with translated():
            node = await self._client.any_node() if isinstance(self._client, RedisCluster) else self._client
        lent = cast("Redis", node).connection_pool
        pool = ConnectionPool(lent.connection_class, max_connections=1, **lent.connection_kwargs)
        self._own = Redis.from_pool(pool)
        self._subscriptions = self._own.pubsub()
        with translated():
            await self._open().subscribe(self._channel)

    @override
    async def close(self) -> None:
        own, self._own, self._subscriptions = self._own, None, None
        if own is not None:
            with translated():
                await own.aclose()

    @override
    async def probe(self) -> None:
        with translated():
            await self._open().ping()

    @override
    async def receive(self, seconds: float) -> Sequence[RunNews] | None:
        with translated():
            message = await self._open().get_message(timeout=seconds)
        return None if message is None else self._read(message)

    @override
    async def follow(self, names: Collection[str]) -> None:
        with translated():
            await self._open().subscribe(*names)

    @override
    async def unfollow(self, names: Collection[str]) -> None:
        with translated():
            await self._open().unsubscribe(*names)

    def _read(self, message: dict[str, Any]) -> list[RunNews]:
        match message["type"]:
            case "message":
                return parse_news(message["channel"].decode(), message["data"].decode(errors="replace"))
            case "subscribe":
                # What was published before is not received: the run is looked at once.
                return [RunNews(message["channel"].decode(), None, False)]
            case _:
                return []

    def _open(self) -> PubSub:
        if self._subscriptions is None:
            raise StoreUnavailableError
        return self._subscriptions


class RedisStops(RedisNews):
    """Receives on one channel which runs are asked to stop."""

    @override
    async def follow(self, names: Collection[str]) -> None:
        """Do nothing: the stops of all runs arrive."""

    @override
    async def unfollow(self, names: Collection[str]) -> None:
        """Do nothing: the stops of all runs arrive."""

    @override
    def _read(self, message: dict[str, Any]) -> list[RunNews]:
        is_news = message["type"] == "message"
        return [RunNews(message["data"].decode(errors="replace"), None, False)] if is_news else []

"""Rate limits and limits of concurrent runs, per client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic

from typing_extensions import override

from ...runtime.errors import CopilotKitError, StoreError
from ...runtime.optional import optional
from ...runtime.rates import Rate
from ...runtime.stores.settings import StoreSettings
from ...runtime.stores.urls import REDIS_SCHEMES, scheme_of

_MAX_BUCKETS = 100_000


class TooManyRequestsError(CopilotKitError):
    """A client has asked for more than it may.

    Args:
        message: What there was too much of.
        retry_after: In how many seconds it may ask again.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message, status_code=429)
        self.retry_after = max(1, ceil(retry_after))


class TokenBuckets(ABC):
    """A token bucket for each key: ``Rate.burst`` tokens in it, ``Rate.count`` come back in ``Rate.seconds``."""

    @abstractmethod
    async def take(self, key: str, rate: Rate, tokens: int = 1) -> float:
        """Take tokens if there are so many.

        Returns:
            0.0 if they were taken, else in how many seconds there will be so many.

        Raises:
            StoreError: The place where buckets are kept does not answer.
        """

    async def start(self) -> None:
        """Find out whether the place where buckets are kept answers.

        Raises:
            StoreError: It does not.
        """

    async def check(self) -> None:
        """Find out whether it can be written to.

        Raises:
            StoreError: It cannot.
        """

    async def close(self) -> None:
        """Clean up; called once, after last use."""


class MemoryBuckets(TokenBuckets):
    """Buckets of this process. Full ones are not kept; of too many, the one used least recently is forgotten."""

    def __init__(self) -> None:
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @override
    async def take(self, key: str, rate: Rate, tokens: int = 1) -> float:
        present = monotonic()
        level, since = self._levels.get(key, (float(rate.burst), present))
        level = min(rate.burst, level + (present - since) * rate.per_second)
        missing = tokens - level
        if missing <= 0:
            self._levels[key] = (level - tokens, present)
            self._levels.move_to_end(key)
            if len(self._levels) > _MAX_BUCKETS:
                self._levels.popitem(last=False)
        return max(0.0, missing / rate.per_second)


_LIMITS = StoreSettings(pool_size=64, connect_timeout=2.0, command_timeout=2.0)
_TAKE = """
local time = redis.call('TIME')
local present = time[1] + time[2] / 1000000
local speed, burst, tokens = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'level', 'since')
local since = tonumber(kept[2]) or present
if since > present then  -- the server's clock was set back
  since = present
  redis.call('HSET', KEYS[1], 'since', string.format('%.6f', present))
end
local level = math.min(burst, (tonumber(kept[1]) or burst) + (present - since) * speed)
if level < tokens then
  return tostring((tokens - level) / speed)
end
redis.call('HSET', KEYS[1], 'level', tostring(level - tokens), 'since', string.format('%.6f', present))
redis.call('EXPIRE', KEYS[1], math.ceil(burst / speed) + 1)
return '0'
"""


_CHECKED = Rate.parse("1/second")


class RedisBuckets(TokenBuckets):
    """Buckets that all processes share, by Redis's clock.

    Args:
        url: The server.
        prefix: What the keys begin with.

    Raises:
        MissingExtraError: The extra ``redis`` is not installed.
    """

    def __init__(self, url: str, prefix: str) -> None:
        with optional("Rates that several processes share", "redis"):
            from redis.exceptions import RedisError

            from ...runtime.stores.redis_scripts import RedisScript
            from ...runtime.stores.redis_servers import connect
        self._errors: type[Exception] = RedisError
        self._client = connect(url, _LIMITS)
        self._take = RedisScript(self._client, _TAKE)
        self._prefix = prefix

    @override
    async def take(self, key: str, rate: Rate, tokens: int = 1) -> float:
        with self._translated():
            return float(await self._take([f"{self._prefix}:rate:{key}"], [rate.per_second, rate.burst, tokens]))

    @override
    async def start(self) -> None:
        with self._translated():
            await self._client.execute_command("PING")

    @override
    async def check(self) -> None:
        await self.take("ready", _CHECKED, 0)

    @override
    async def close(self) -> None:
        await self._client.aclose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise StoreError("The rate limiter does not answer.") from error


def open_buckets(url: str, prefix: str) -> TokenBuckets:
    """Return buckets in the place that a URL names: Redis, under keys that begin with ``prefix``, or this process."""
    return RedisBuckets(url, prefix) if scheme_of(url) in REDIS_SCHEMES else MemoryBuckets()


class Slots:
    """Counts what goes on, in all and for each client.

    Args:
        what: What is counted, for people.
        total: How many there may be; None for any number.
        per_client: How many of one client there may be; None for any number.
    """

    def __init__(self, what: str, total: int | None, per_client: int | None) -> None:
        self._what = what
        self._total = total
        self._per_client = per_client
        self._taken: Counter[str] = Counter()

    def take(self, client: str, count: int) -> None:
        """Take places; ``give_back`` must follow.

        Raises:
            TooManyRequestsError: There are not so many left.
        """
        if self._total is not None and self._taken.total() + count > self._total:
            raise TooManyRequestsError(f"The server is busy with other {self._what}. Please try again.", 1)
        if self._per_client is not None and self._taken[client] + count > self._per_client:
            raise TooManyRequestsError(f"Too many {self._what} at once. Please wait for one to end.", 1)
        self._taken[client] += count

    def give_back(self, client: str, count: int) -> None:
        """Free places."""
        self._taken[client] -= count
        if self._taken[client] <= 0:
            del self._taken[client]

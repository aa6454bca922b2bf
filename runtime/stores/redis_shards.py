"""What the keys in Redis begin with: on one server the prefix, in a cluster the prefix and the thread's shard.

A cluster does at once only what is in one slot. All that is kept of a thread has the hash tag of its shard, and so have
the parts of the lists that a thread is in: a script writes both, as on one server, and a crash leaves neither without
the other. Who wants a whole list asks all shards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from typing import TypeVar

from redis.crc import key_slot

from .redis_client import RedisClient
from .redis_cluster import RedisCluster
from .thread_keys import thread_key

T = TypeVar("T")

SHARDS = 256
"""Into how many shards threads are divided. What is kept in a cluster would not be found with another number."""
_SLOTS = 16384


class Shards:
    """The beginnings of keys.

    Args:
        client: A server, which has one shard, or a cluster.
        prefix: What all keys begin with.
    """

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.all: Sequence[str] = (prefix,)
        """The beginnings of the keys of each shard."""
        if isinstance(client, RedisCluster):
            self.all = tuple(f"{prefix}:{{{tag}}}" for tag in _tags())

    def grouped(self, items: Sequence[T], thread_of: Callable[[T], str], most: int | None = None) -> list[list[T]]:
        """Divide what is of many threads into what one script can do.

        Args:
            items: What to divide, in any order.
            thread_of: Returns the thread of an item.
            most: How many items a group has at most; None for any number.
        """
        groups: dict[str, list[T]] = {}
        for item in items:
            groups.setdefault(self.of(thread_of(item)), []).append(item)
        if most is None:
            return list(groups.values())
        return [group[start : start + most] for group in groups.values() for start in range(0, len(group), most)]

    def of(self, thread_id: str) -> str:
        """Return what all keys of a thread begin with, whatever the spelling of its id."""
        return self.all[0] if len(self.all) == 1 else self.all[_number(thread_id)]


def _number(thread_id: str) -> int:
    return blake2b(thread_key(thread_id).encode(), digest_size=1).digest()[0]


@cache
def _tags() -> Sequence[str]:
    """Return one hash tag for each part of the slots, so that equal ranges of slots have equally many shards."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < SHARDS:
        found.setdefault(key_slot(str(number).encode()) * SHARDS // _SLOTS, str(number))
        number += 1
    return [found[part] for part in range(SHARDS)]

"""Threads in Redis in the order of their last writes, from one list or from those of all shards."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from typing import Any

from .interface import ThreadInfo
from .records import Place, micros, moment
from .redis_client import RedisClient
from .redis_scripts import Call, RedisScript
from .redis_shards import Shards

_FIRST_ASKED = 8
"""How many threads each of many shards is asked for at first."""
_LIST = """
local prefix, owner, limit, below = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local found = {}
while #found < limit do
    local batch = redis.call(
        'ZREVRANGEBYSCORE', KEYS[1], below, '-inf', 'WITHSCORES', 'LIMIT', 0, limit - #found)
    if #batch == 0 then break end
    for i = 1, #batch, 2 do
        local key = prefix .. batch[i]
        local head = redis.call('HMGET', key, 'owner', 'created', 'updated', 'name', 'archived')
        if head[3] and (owner == '' or owner == head[1]) then
            found[#found + 1] = {batch[i], head, redis.call('HKEYS', key)}
        elseif owner ~= '' then
            redis.call('ZREM', KEYS[1], batch[i])
        end
        below = '(' .. batch[i + 1]
    end
end
return found
"""


class _Page:
    """The threads of one shard, as far as they have been asked for."""

    def __init__(self) -> None:
        self.threads: list[ThreadInfo] = []
        self.below: str | None = "+inf"
        """Where the next ones are; None once there are none."""

    def extend(self, found: Sequence[ThreadInfo], count: int) -> None:
        self.threads += found
        self.below = f"({micros(found[-1].updated_at)}" if len(found) == count else None

    def lacks(self, last: Place) -> bool:
        """Return whether threads that were written after ``last`` may not have been asked for yet."""
        return self.below is not None and (not self.threads or _place(self.threads[-1]) > last)


class ThreadList:
    """The threads of all shards.

    Args:
        client: Where they are kept.
        shards: The beginnings of their keys.
    """

    def __init__(self, client: RedisClient, shards: Shards) -> None:
        self._shards = shards
        self._script = RedisScript(client, _LIST)

    async def newest(self, owner: str | None, limit: int, after: Place | None) -> list[ThreadInfo]:
        """Return threads, last written first.

        Args:
            owner: Only the threads of this owner; None for all.
            limit: How many at most.
            after: Only those that follow this place.
        """
        pages = {shard: _Page() for shard in self._shards.all}
        if after is not None:
            for page in pages.values():
                page.below = str(after.updated)  # the other shards may have threads of the same moment
        lacking, count = list(pages), limit if len(pages) == 1 else min(limit, _FIRST_ASKED)
        while lacking:
            await self._ask(lacking, pages, owner, count + 1)
            newest = nlargest(limit, _following(pages.values(), after), key=_place)
            last = _place(newest[-1]) if len(newest) == limit else Place(-1, "")
            lacking, count = [shard for shard, page in pages.items() if page.lacks(last)], limit
        return newest

    async def _ask(self, shards: Sequence[str], pages: dict[str, _Page], owner: str | None, count: int) -> None:
        index = "threads" if owner is None else f"threads:{owner}"
        calls: list[Call] = [
            ([f"{shard}:{index}"], [f"{shard}:thread:", owner or "", count, pages[shard].below or ""])
            for shard in shards
        ]
        for shard, rows in zip(shards, await self._script.all(calls), strict=True):
            pages[shard].extend([thread_info(*row) for row in rows], count)


def thread_info(thread_id: bytes, head: list[bytes | None], fields: list[bytes], expired: int = 0) -> ThreadInfo:
    """Read a thread's record: owner, times, name and archived, and the names of its fields."""
    owner, created, updated, name, archived = head
    return ThreadInfo(
        thread_id=thread_id.decode(),
        owner=None if owner is None else owner.decode(),
        agents=sorted({field[2:].decode() for field in fields if field.startswith((b"v:", b"a:"))}),
        created_at=moment(int(created or 0)),
        updated_at=moment(int(updated or 0)),
        name=None if name is None else name.decode(),
        archived=archived is not None,
        expired=bool(expired),
    )


def _place(thread: ThreadInfo) -> Place:
    return Place(micros(thread.updated_at), thread.thread_id)


def _following(pages: Any, after: Place | None) -> list[ThreadInfo]:
    found = [thread for page in pages for thread in page.threads]
    return found if after is None else [thread for thread in found if _place(thread) < after]

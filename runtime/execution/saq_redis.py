"""SAQ's queue on Redis, with one step each to deliver again what was lost, to forget it, and to give it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saq import Job
from saq.queue.redis import RedisQueue

_LATE = """
    local now, late, kept = tonumber(redis.call('TIME')[1]), {}, {}
    for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
        local since = tonumber(redis.call('ZSCORE', KEYS[2], id) or now)
        if redis.call('EXISTS', id) == 0 then
            redis.call('LREM', KEYS[1], 0, id)
        elseif now - since >= tonumber(ARGV[1]) then
            redis.call('LREM', KEYS[1], 0, id)
            late[#late + 1] = id
        else
            kept[id] = since
        end
    end
    redis.call('DEL', KEYS[2])
    for id, since in pairs(kept) do redis.call('ZADD', KEYS[2], since, id) end
"""
_GIVE_AGAIN = f"{_LATE} for _, id in ipairs(late) do redis.call('LPUSH', KEYS[3], id) end"
_FORGET = f"{_LATE} for _, id in ipairs(late) do redis.call('ZREM', KEYS[3], id) redis.call('DEL', id) end"
_GIVE_BACK = """
    redis.call('ZREM', KEYS[2], ARGV[1])
    if redis.call('LREM', KEYS[1], 0, ARGV[1]) > 0 then redis.call('LPUSH', KEYS[3], ARGV[1]) end
"""


class SteadyQueue(RedisQueue):
    """A queue whose jobs are in one of its lists at any moment, whoever dies.

    SAQ's own sweep takes a job out of all lists, waits, and puts it back: who dies in between, or is cancelled, loses
    it. And it does so with all that is taken, however lately, as only SAQ's worker writes down when it takes something.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seen = self.namespace("seen")
        """Since when each job is seen to be taken."""

    async def give_again(self, seconds: int) -> None:
        """Put back what is seen to be taken for ``seconds`` and is not done."""
        await self._on_taken(_GIVE_AGAIN, self._queued, seconds)

    async def forget(self, seconds: int) -> None:
        """Remove jobs that are seen to be taken for ``seconds``."""
        await self._on_taken(_FORGET, self._incomplete, seconds)

    async def give_back(self, job: Job) -> None:
        """Put a job that was taken at the head of the queue."""
        await self._on_taken(_GIVE_BACK, self._queued, job.id)

    async def _on_taken(self, script: str, target: str, *given: int | str) -> None:
        keys: Sequence[str] = (self._active, self._seen, target)
        await self.redis.register_script(script)(keys=keys, args=given)

"""Tickets of thread locks in a hash for each lock on a Redis server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from ..errors import StoreError
from .locks import Standing, Ticket, TicketDesk
from .redis_client import RedisClient
from .redis_errors import translated
from .redis_scripts import Call, RedisScript, milliseconds
from .redis_shards import Shards

KEPT_LEASES = 10
"""For how many leases a ticket that ran out is kept, until somebody else takes one: its holder may only be paused."""

_QUEUE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function parse(place)
    local seq, expires, stop = string.match(place, '^(%d+) (%d+) (%d)$')
    return tonumber(seq), tonumber(expires), stop
end
local function put(token, seq, expires, stop)
    redis.call('HSET', KEYS[1], token, string.format('%.0f %.0f %s', seq, expires, stop))
end
"""
_ENTER = f"""{_QUEUE}
local token, lease = ARGV[1], tonumber(ARGV[2])
local queue = redis.call('HGETALL', KEYS[1])
local first, last, mine, stopped = nil, 0, nil, '0'
for i = 1, #queue, 2 do
    local seq, expires, stop = parse(queue[i + 1])
    if expires < now then
        redis.call('HDEL', KEYS[1], queue[i])
    else
        if not first or seq < first then first = seq end
        if seq > last then last = seq end
        if queue[i] == token then mine, stopped = seq, stop end
    end
end
mine = mine or last + 1
put(token, mine, now + lease, stopped)
redis.call('PEXPIRE', KEYS[1], {KEPT_LEASES} * lease)
return {{(first or mine) == mine and 1 or 0, stopped}}
"""
# KEYS: of each ticket, its lock's. ARGV: lease, then the tokens. Returns of each '' if it is gone, else its stop.
_RENEW = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease, answers = tonumber(ARGV[1]), {{}}
for number, key in ipairs(KEYS) do
    local token = ARGV[number + 1]
    local place = redis.call('HGET', key, token)
    local seq, stop = string.match(place or '', '^(%d+) %d+ (%d)$')
    if seq then
        redis.call('HSET', key, token, string.format('%s %.0f %s', seq, now + lease, stop))
        redis.call('PEXPIRE', key, {KEPT_LEASES} * lease)
    end
    answers[number] = stop or ''
end
return answers
"""
_STOP = f"""{_QUEUE}
local before = redis.call('HGET', KEYS[1], ARGV[1])
local limit = before and parse(before)
local queue = redis.call('HGETALL', KEYS[1])
for i = 1, #queue, 2 do
    local seq, expires = parse(queue[i + 1])
    if not limit or seq < limit then put(queue[i], seq, expires, '1') end
end
"""


RENEWED_AT_ONCE = 256
"""How many tickets one operation renews at most, so that others need not wait for it."""


class RedisTickets(TicketDesk):
    """Tickets in a hash for each lock: token to place in the queue, expiry, and whether to stop."""

    def __init__(self, client: RedisClient, shards: Shards) -> None:
        self._client = client
        self._shards = shards
        self._enter = RedisScript(client, _ENTER)
        self._renew = RedisScript(client, _RENEW)
        self._stop = RedisScript(client, _STOP)

    @override
    async def enter(self, ticket: Ticket, lease: float) -> Standing:
        with translated():
            first, stop = await self._enter([self._key(*ticket[:2])], [ticket.token, milliseconds(lease)])
        return Standing(first == 1, stop == b"1")

    @override
    async def renew(self, tickets: Sequence[Ticket], lease: float) -> dict[str, bool | StoreError]:
        groups = self._shards.grouped(tickets, lambda ticket: ticket.thread_id, RENEWED_AT_ONCE)
        with translated():
            answers = await self._renew.each([self._renewal(group, lease) for group in groups])
        stops: dict[str, bool | StoreError] = {}
        for group, answer in zip(groups, answers, strict=True):
            stops |= _stops([ticket.token for ticket in group], answer)
        return stops

    def _renewal(self, tickets: Sequence[Ticket], lease: float) -> Call:
        keys = [self._key(*ticket[:2]) for ticket in tickets]
        return keys, [milliseconds(lease), *(ticket.token for ticket in tickets)]

    @override
    async def leave(self, ticket: Ticket) -> None:
        with translated():
            await self._client.execute_command("HDEL", self._key(*ticket[:2]), ticket.token)

    @override
    async def request_stop(self, thread_id: str, agent_name: str, before: str | None) -> None:
        with translated():
            await self._stop([self._key(thread_id, agent_name)], [before or ""])

    def _key(self, thread_id: str, agent_name: str) -> str:
        return f"{self._shards.of(thread_id)}:lock:{quote(thread_id, safe='')}:{quote(agent_name, safe='')}"


def _stops(tokens: Sequence[str], answer: Any) -> dict[str, bool | StoreError]:
    """Return which tickets have not run out, and whether to stop; the error of each if their server has failed."""
    try:
        with translated():
            if isinstance(answer, Exception):
                raise answer
    except StoreError as error:
        return dict.fromkeys(tokens, error)
    return {token: stop == b"1" for token, stop in zip(tokens, answer, strict=True) if stop}

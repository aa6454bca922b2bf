"""Long-term memory (LangGraph's ``store``) on a Redis server without modules."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from langgraph.store.base import BaseStore, GetOp, Item, Op, PutOp, Result
from langgraph.store.memory import InMemoryStore

from ...runtime.stores.redis_client import RedisClient
from ...runtime.stores.redis_errors import translated
from ...runtime.stores.retry import retry_unavailable
from ...runtime.stores.settings import StoreSettings


class RedisMemory(BaseStore):
    """One hash for each first part of a namespace, which is the owner's. Searches read the whole hash.

    It has no vector index: without Redis' modules, ``query`` orders nothing.

    Args:
        client: A client that repeats nothing by itself (``runtime.stores.redis_servers.connect``).
        settings: ``prefix`` of all keys, and ``retry_for``: every operation is safe to repeat.
    """

    def __init__(self, client: RedisClient, settings: StoreSettings) -> None:
        self._client = client
        self._settings = settings
        self._loop = asyncio.get_running_loop()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do several operations from a thread other than the event loop's."""
        return asyncio.run_coroutine_threadsafe(self.abatch(list(ops)), self._loop).result()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do several operations, one after the other."""
        return [await self._do(op) for op in ops]

    async def _do(self, op: Op) -> Result:
        async def attempt() -> Result:
            with translated():
                return await self._attempt(op)

        return await retry_unavailable(attempt, self._settings.retry_for)

    async def _attempt(self, op: Op) -> Result:
        match op:
            case GetOp():
                return await self._get(op.namespace, op.key)
            case PutOp():
                await self._put(op)
                return None
        prefix = getattr(op, "namespace_prefix", ()) or _first_prefix(op)
        return _Snapshot(await self._all(prefix[0] if prefix else "")).batch([op])[0]

    async def _get(self, namespace: tuple[str, ...], key: str) -> Item | None:
        name = _name(namespace, key)
        found = await self._client.execute_command("HGET", self._key(namespace[0]), name)
        return None if found is None else _item(name, found)

    async def _put(self, op: PutOp) -> None:
        place, name = self._key(op.namespace[0]), _name(op.namespace, op.key)
        if op.value is None:
            await self._client.execute_command("HDEL", place, name)
            return
        now = datetime.now(UTC)
        present = await self._get(op.namespace, op.key)
        created = now if present is None else present.created_at
        kept = json.dumps({"value": op.value, "created": created.isoformat(), "updated": now.isoformat()})
        await self._client.execute_command("HSET", place, name, kept)

    async def _all(self, owner: str) -> Sequence[Item]:
        found = await self._client.execute_command("HGETALL", self._key(owner))
        return [_item(name.decode(), value) for name, value in found.items()]

    def _key(self, owner: str) -> str:
        return f"{self._settings.prefix}:memory:{owner}"


class _Snapshot(InMemoryStore):
    """Some items, to be searched and listed as LangGraph's own store does it."""

    def __init__(self, items: Iterable[Item]) -> None:
        super().__init__()
        for item in items:
            self._data[item.namespace][item.key] = item


def _first_prefix(op: Any) -> tuple[str, ...]:
    conditions = (each for each in op.match_conditions or () if each.match_type == "prefix")
    return next((tuple(each.path) for each in conditions), ())


def _name(namespace: tuple[str, ...], key: str) -> str:
    return json.dumps([*namespace, key])


def _item(name: str, packed: bytes) -> Item:
    *namespace, key = json.loads(name)
    kept = json.loads(packed)
    return Item(
        namespace=tuple(namespace),
        key=key,
        value=kept["value"],
        created_at=kept["created"],
        updated_at=kept["updated"],
    )

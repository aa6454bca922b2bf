"""Long-term memory (LangGraph's ``store``) of which every owner has a part of their own."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

_ANONYMOUS = "anonymous"
_PAGE = 100


class OwnedMemory(BaseStore):
    """One owner's part of a store. The graph sees its own namespaces; in the store they lie under the owner's.

    Args:
        memory: Where the memories of all owners are kept.
        owner: Whose part this is; those who are not authenticated share one.
    """

    def __init__(self, memory: BaseStore, owner: str | None) -> None:
        self._memory = memory
        # Stores join a namespace with dots, which an owner's name may contain.
        self._owner = _ANONYMOUS if owner is None else f"owner-{sha256(owner.encode()).hexdigest()}"
        self.supports_ttl = memory.supports_ttl
        self.ttl_config = memory.ttl_config

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do several operations, from a thread that runs no event loop if the store is asynchronous."""
        return [self._outer(result) for result in self._memory.batch([self._inner(op) for op in ops])]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do several operations."""
        return [self._outer(result) for result in await self._memory.abatch([self._inner(op) for op in ops])]

    async def delete_all(self) -> None:
        """Delete all that is the owner's."""
        while found := await self.asearch((), limit=_PAGE):
            await self.abatch([PutOp(item.namespace, item.key, None) for item in found])

    def _inner(self, op: Op) -> Op:
        match op:
            case GetOp() | PutOp():
                return op._replace(namespace=(self._owner, *op.namespace))
            case SearchOp():
                return op._replace(namespace_prefix=(self._owner, *op.namespace_prefix))
            case ListNamespacesOp():
                return self._listing(op)
        raise TypeError(f"{type(op).__name__} is not an operation of a store.")

    def _listing(self, op: ListNamespacesOp) -> ListNamespacesOp:
        conditions = [MatchCondition("prefix", (self._owner,))]
        for condition in op.match_conditions or ():
            prefix = condition.match_type == "prefix"
            path = (self._owner, *condition.path) if prefix else condition.path
            conditions.append(MatchCondition(condition.match_type, path))
        depth = None if op.max_depth is None else op.max_depth + 1
        return op._replace(match_conditions=tuple(conditions), max_depth=depth)

    def _outer(self, result: Any) -> Any:
        if isinstance(result, list):
            return [self._outer(each) for each in result]
        if isinstance(result, tuple):
            return result[1:]
        if isinstance(result, SearchItem):
            return SearchItem(
                namespace=result.namespace[1:],
                key=result.key,
                value=result.value,
                created_at=result.created_at,
                updated_at=result.updated_at,
                score=result.score,
            )
        if isinstance(result, Item):
            return Item(
                namespace=result.namespace[1:],
                key=result.key,
                value=result.value,
                created_at=result.created_at,
                updated_at=result.updated_at,
            )
        return result

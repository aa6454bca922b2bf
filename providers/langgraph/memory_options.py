"""How LangGraph's long-term memory is searched, and how long it lasts."""

from __future__ import annotations

from langgraph.store.base import IndexConfig, TTLConfig
from msgspec import Struct


class MemoryOptions(Struct, frozen=True):
    """``index`` and ``ttl`` of ``langgraph.json``'s ``store``, as LangGraph's stores take them."""

    index: IndexConfig | None = None
    ttl: TTLConfig | None = None

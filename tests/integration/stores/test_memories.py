"""LangGraph's long-term memory follows the store's URL, and every owner has a part of their own."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore
from structlog.testing import capture_logs

from copilotkit_runtime.providers.langgraph.memories import open_memory
from copilotkit_runtime.providers.langgraph.memory_options import MemoryOptions
from copilotkit_runtime.providers.langgraph.owned_memory import OwnedMemory
from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from tests.integration.stores.conftest import CLUSTER, KINDS

OPTIONS = MemoryOptions()


async def _animals(memory: BaseStore) -> list[tuple[tuple[str, ...], str, Any]]:
    return sorted((item.namespace, item.key, item.value["n"]) for item in await memory.asearch(("animals",)))


@pytest.mark.parametrize("url", [*KINDS, CLUSTER], indirect=True)
async def test_memories_are_written_found_listed_and_deleted(url: str, settings: StoreSettings) -> None:
    async with open_memory(url, OPTIONS, settings) as opened:
        memory = OwnedMemory(opened, "ada")
        await memory.aput(("animals",), "duck", {"n": 1, "kind": "bird"})
        await memory.aput(("animals", "farm"), "cow", {"n": 2, "kind": "mammal"})
        await memory.aput(("plants",), "oak", {"n": 3})
        first = await memory.aget(("animals",), "duck")
        await memory.aput(("animals",), "duck", {"n": 4, "kind": "bird"})
        second = await memory.aget(("animals",), "duck")

        assert first is not None
        assert second is not None
        assert (first.namespace, first.key, first.value["n"], second.value["n"]) == (("animals",), "duck", 1, 4)
        assert first.created_at <= second.created_at <= second.updated_at
        assert await _animals(memory) == [(("animals",), "duck", 4), (("animals", "farm"), "cow", 2)]
        found = await memory.asearch(("animals",), filter={"kind": "mammal"})
        assert [item.key for item in found] == ["cow"]
        assert sorted(await memory.alist_namespaces()) == [("animals",), ("animals", "farm"), ("plants",)]
        assert sorted(await memory.alist_namespaces(prefix=("animals",))) == [("animals",), ("animals", "farm")]
        assert sorted(await memory.alist_namespaces(max_depth=1)) == [("animals",), ("plants",)]

        await memory.adelete(("animals",), "duck")
        assert await memory.aget(("animals",), "duck") is None
        assert await _animals(memory) == [(("animals", "farm"), "cow", 2)]


@pytest.mark.parametrize("url", [*KINDS, CLUSTER], indirect=True)
async def test_owners_see_nothing_of_each_other(url: str, settings: StoreSettings) -> None:
    async with open_memory(url, OPTIONS, settings) as opened:
        owners = ("ada", "ada.animals", "Ada", None)
        for n, owner in enumerate(owners):
            await OwnedMemory(opened, owner).aput(("animals",), "pet", {"n": n})
        for n, owner in enumerate(owners):
            memory = OwnedMemory(opened, owner)
            assert await _animals(memory) == [(("animals",), "pet", n)]
            assert await memory.alist_namespaces() == [("animals",)]
            assert [item.namespace for item in await memory.asearch(())] == [("animals",)]
        assert await OwnedMemory(opened, "eve").asearch(()) == []


@pytest.mark.parametrize("url", [kind for kind in KINDS if "memory" not in str(kind)], indirect=True)
async def test_memories_outlast_the_process_that_wrote_them(url: str, settings: StoreSettings) -> None:
    async with open_memory(url, OPTIONS, settings) as opened:
        await OwnedMemory(opened, "ada").aput(("animals",), "duck", {"n": 1})
    async with open_memory(url, OPTIONS, settings) as opened:
        assert await _animals(OwnedMemory(opened, "ada")) == [(("animals",), "duck", 1)]


@pytest.mark.parametrize("url", [*KINDS, CLUSTER], indirect=True)
async def test_a_synchronous_node_remembers_too(url: str, settings: StoreSettings) -> None:
    async with open_memory(url, OPTIONS, settings) as opened:
        memory = OwnedMemory(opened, "ada")
        await asyncio.to_thread(memory.put, ("animals",), "duck", {"n": 1})
        item = await asyncio.to_thread(memory.get, ("animals",), "duck")
        assert item is not None
        assert item.value == {"n": 1}


def embed(texts: list[str]) -> list[list[float]]:
    """Two dimensions: how much a text speaks of ducks, and how much of cars."""
    return [[float(text.count("duck")) + 0.1, float(text.count("car")) + 0.1] for text in texts]


INDEXED = MemoryOptions(index={"dims": 2, "embed": embed, "fields": ["text"]})


async def _found_by_meaning(url: str) -> list[str]:
    async with open_memory(url, INDEXED) as opened:
        memory = OwnedMemory(opened, "ada")
        await memory.aput(("likes",), "b", {"text": "duck duck"})
        await memory.aput(("likes",), "a", {"text": "car car"})
        return [item.key for item in await memory.asearch(("likes",), query="duck")]


async def test_memories_are_found_by_meaning() -> None:
    assert await _found_by_meaning("memory://") == ["b", "a"]


async def test_sqlite_has_an_index_if_python_s_can_load_one_and_logs_if_not(tmp_path: Path) -> None:
    with capture_logs() as logs:
        found = await _found_by_meaning(f"sqlite:///{tmp_path}/memory.sqlite")
    if hasattr(sqlite3.Connection, "enable_load_extension"):
        assert (found, logs) == (["b", "a"], [])
    else:
        assert sorted(found) == ["a", "b"]
        assert [(entry["event"], entry["option"]) for entry in logs] == [("langgraph_memory_option_ignored", "index")]


async def test_a_url_that_names_no_store_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        async with open_memory("ftp://place", OPTIONS):
            raise AssertionError

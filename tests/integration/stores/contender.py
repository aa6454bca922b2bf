"""Another process on the same store: ``contender.py URL SETTINGS count TIMES`` or ``... hold``."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from copilotkit_runtime.runtime.stores.errors import StoreConflictError
from copilotkit_runtime.runtime.stores.interface import AgentState, StateStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def count(store: StateStore, times: int) -> None:
    """Adds one to a number, so many times, by compare-and-set."""
    done = 0
    while done < times:
        kept = await store.load("thread", "agent") or AgentState()
        raised = AgentState(state={"count": kept.state.get("count", 0) + 1})
        try:
            await store.save("thread", "agent", raised, expected_version=kept.version)
        except StoreConflictError:
            continue
        done += 1


async def hold(store: StateStore) -> None:
    """Holds the lock until it is asked to stop."""
    async with store.lock("thread", "agent") as lock:
        say("held")
        await lock.stop_requested.wait()
    say("released")


async def main(url: str, settings: str, task: str, *arguments: str) -> None:
    store = open_store(url, msgspec.json.decode(settings, type=StoreSettings))
    await store.start()
    say("ready")
    if task == "count":
        await count(store, int(arguments[0]))
    else:
        await hold(store)
    await store.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

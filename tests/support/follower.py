"""Follows a run of another process from each offset: ``python -m tests.support.follower STORE THREAD COUNT``.

It prints ``ready`` once it reads from all offsets, and at the run's end one line of JSON for each of them.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.runs.handle import RunHandle
from tests.support.polling import until
from tests.support.scripted_agent import ScriptedProvider


async def follow(store: str, thread_id: str, count: int) -> None:
    """Follow the run that goes on in a thread, from the offsets below ``count``."""
    async with CopilotRuntime(providers=[ScriptedProvider()], store=store) as runtime:
        handles = [await _attached(runtime, thread_id, after) for after in range(count)]
        reading = [asyncio.create_task(_rest(handle)) for handle in handles]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for each in reading:
            sys.stdout.write(f"{msgspec.json.encode(await each).decode()}\n")


async def _attached(runtime: CopilotRuntime, thread_id: str, after: int) -> RunHandle:
    found: list[RunHandle] = []

    async def looked() -> bool:
        handle = await runtime.service.readers.attach(thread_id, after=after, paces=False)
        found.extend([] if handle is None else [handle])
        return bool(found)

    await until(looked)
    return found[0]


async def _rest(handle: RunHandle) -> list[object]:
    events: list[object] = []
    while batch := await handle.read():
        events += batch
    handle.close()
    return events


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], sys.argv[2], int(sys.argv[3])))

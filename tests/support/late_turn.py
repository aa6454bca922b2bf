"""Has a turn wait in memory: ``python -m tests.support.late_turn STORE PREFIX LEASE``.

It asks ``one`` in the thread ``thread``, and prints ``begun`` once that is answered in part. Its right to the thread
runs out meanwhile, for it gives no sign of life, as a process does not that was paused. A line on its input lets the
answer go on. ``ended`` is printed at the run's end; then it waits until it is killed.
"""

from __future__ import annotations

import asyncio
import sys

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.support.gated_agent import GatedAgent


async def wait_with_a_turn(store: str, prefix: str, lease: float) -> None:
    """Answer when the input has a line, without the right to the thread."""
    settings = StoreSettings(prefix=prefix, lease=lease, heartbeat=600.0)
    agent = GatedAgent()
    agent.gates["one"] = asyncio.Event()
    async with CopilotRuntime(providers=[agent], store=open_store(store, settings)) as runtime:
        run = await runtime.start_run(agent.name, "one", thread_id="thread")
        await agent.begun.get()
        _print("begun")
        await asyncio.to_thread(sys.stdin.readline)
        agent.gates["one"].set()
        await run.join()
        _print("ended")
        await asyncio.Event().wait()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(wait_with_a_turn(sys.argv[1], sys.argv[2], float(sys.argv[3])))

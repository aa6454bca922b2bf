"""Hand runs over in one ``asyncio.run`` after another, never stopped: ``python -m tests.support.queued_loops STORE``.

It prints how a run of ``echo`` ended in each of them; in the last it waits for a line on its input, and for the agent
``heavy``, which a worker brings meanwhile, and prints how a run of that ended.
"""

from __future__ import annotations

import asyncio
import sys

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.config import RuntimeConfig
from tests.support.polling import until

LOOPS = 3


async def _run(runtime: CopilotRuntime, agent_name: str) -> None:
    run = await runtime.start_run(agent_name, "hi")
    sys.stdout.write(f"{agent_name} {await run.join()}\n")
    sys.stdout.flush()


async def _run_late(runtime: CopilotRuntime) -> None:
    await _run(runtime, "echo")
    await asyncio.to_thread(sys.stdin.readline)

    async def has_come() -> bool:
        return any(agent.name == "heavy" for agent in await runtime.discover_agents())

    await until(has_come, 60)
    await _run(runtime, "heavy")


if __name__ == "__main__":
    shared = CopilotRuntime(config=RuntimeConfig(store=sys.argv[1], execution="queue"))
    for _ in range(LOOPS - 1):
        asyncio.run(_run(shared, "echo"))
    asyncio.run(_run_late(shared))

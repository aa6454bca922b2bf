"""One runtime in one ``asyncio.run`` after another, never stopped: ``python -m tests.support.several_loops STORE``.

It prints how many runs have ended in each of them, and how the run ended that another process had left there.
"""

from __future__ import annotations

import asyncio
import sys

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.config import RuntimeConfig
from tests.support.echo_agent import EchoProvider
from tests.support.polling import until

LOOPS = 3
RUNS = 20
"""So many that some give their threads back at once, and wait for each other."""


async def _run(runtime: CopilotRuntime, number: int) -> str:
    await runtime.save_agent_state(thread_id="t", agent_name="echo", state={"number": number})
    ends: list[str] = []
    for _ in range(2):  # a thread that is not given back refuses its second run
        runs = [await runtime.start_run("echo", "hi", thread_id=f"t{number}-{each}") for each in range(RUNS)]
        ends += await asyncio.gather(*(run.join() for run in runs))
    kept = await runtime.load_agent_state(thread_id="t", agent_name="echo")
    assert kept is not None
    assert kept.state == {"number": number}
    return f"{ends.count('finished')} {await _left(runtime, number)}\n"


async def _left(runtime: CopilotRuntime, number: int) -> str:
    """Return how a run ends whose process has gone."""
    store = runtime.service.archive.store
    record = await store.open(f"left {number}", run_id="r", agent_name="echo", owner="gone", lease=0.0)

    async def has_ended() -> bool:
        return (await store.peek([record.key]))[record.key].status != "running"

    await until(has_ended, 60)
    return (await store.peek([record.key]))[record.key].status


if __name__ == "__main__":
    shared = CopilotRuntime(providers=[EchoProvider()], store=sys.argv[1], config=RuntimeConfig(busy_policy="reject"))
    for loop in range(LOOPS):
        sys.stdout.write(asyncio.run(_run(shared, loop)))

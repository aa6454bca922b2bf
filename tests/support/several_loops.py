"""One runtime in one ``asyncio.run`` after another, never stopped: ``python -m tests.support.several_loops STORE``.

It prints how many runs have ended in each of them.
"""

from __future__ import annotations

import asyncio
import sys

from copilotkit_runtime import CopilotRuntime
from tests.support.echo_agent import EchoProvider

LOOPS = 3


async def _run(runtime: CopilotRuntime, number: int) -> str:
    await runtime.save_agent_state(thread_id="t", agent_name="echo", state={"number": number})
    runs = [await runtime.start_run("echo", "hi", thread_id=f"t{number}-{each}") for each in range(5)]
    ends = await asyncio.gather(*(run.join() for run in runs))
    kept = await runtime.load_agent_state(thread_id="t", agent_name="echo")
    assert kept is not None
    assert kept.state == {"number": number}
    return f"{ends.count('finished')}\n"


if __name__ == "__main__":
    shared = CopilotRuntime(providers=[EchoProvider()], store=sys.argv[1])
    for loop in range(LOOPS):
        sys.stdout.write(asyncio.run(_run(shared, loop)))

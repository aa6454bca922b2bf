"""This runtime with scripted answers, for comparison with ``scripts/reference``."""

import os

from copilotkit_runtime import CopilotRuntime
from tests.support.scripted_agent import ScriptedProvider


async def srvHello(name: str) -> str:  # noqa: N802 - the reference's name for it
    """Greets somebody."""
    return f"hello {name}"


runtime = CopilotRuntime(
    providers=[ScriptedProvider()],
    model=ScriptedProvider(),
    store=os.environ.get("COPILOTKIT_STORE", "memory://"),
    actions=[srvHello],
)

"""What a process needs that hands its runs to workers: nothing of what agents need."""

from __future__ import annotations

import subprocess
import sys

AGENTS_NEED = ("langgraph", "langchain_core", "crewai", "openai", "anthropic", "mcp", "ag_ui")
WEB = f"""
import asyncio, sys
from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.runtime.execution import directory

async def start_and_stop(runtime):
    async with runtime:
        await runtime.discover_agents()

directory.START_SECONDS = 0
runtime = CopilotRuntime(config=RuntimeConfig(store=sys.argv[1], execution="queue"))
runtime.create_app()
asyncio.run(start_and_stop(runtime))
assert "saq" in sys.modules
print([name for name in {AGENTS_NEED!r} if name in sys.modules])
"""


def test_a_web_process_without_agents_imports_nothing_that_agents_need(redis_url: str) -> None:
    printed = subprocess.run([sys.executable, "-c", WEB, redis_url], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == "[]"

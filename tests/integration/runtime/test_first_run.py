"""What the first run of a process costs all others: nothing is imported on the event loop for it."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.support.first_imports import KINDS


@pytest.mark.parametrize("kind", KINDS)
async def test_the_first_run_imports_nothing_on_the_event_loop(kind: str) -> None:
    pytest.importorskip("ag_ui" if kind == "agui" else kind.partition(" ")[0].replace("callable", "openai"))
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.first_imports", kind]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(100):
        printed, _ = await process.communicate()
    ended, *imported = printed.decode().splitlines()[-1].split()
    assert (ended, imported) == ("RUN_FINISHED", [])

"""Starting contenders."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from copilotkit_runtime.runtime.stores.settings import StoreSettings

_PROGRAM = Path(__file__).with_name("contender.py")


@asynccontextmanager
async def contender(url: str, settings: StoreSettings, *task: str) -> AsyncIterator[Process]:
    encoded = msgspec.json.encode(settings).decode()
    process = await asyncio.create_subprocess_exec(sys.executable, str(_PROGRAM), url, encoded, *task, stdout=PIPE)
    try:
        await said(process, "ready")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: Process, word: str) -> None:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    assert line.decode().strip() == word

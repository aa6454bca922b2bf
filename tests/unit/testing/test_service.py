"""What the scripted service leaves behind."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections.abc import AsyncGenerator
from contextlib import ExitStack

import pytest

from copilotkit_runtime.testing import Request, ScriptedService


async def silence(_: Request) -> AsyncGenerator[bytes]:
    await asyncio.Event().wait()
    yield b""


@pytest.mark.parametrize("turns", range(6))
def test_a_caller_that_comes_while_the_service_ends_is_let_go(turns: int) -> None:
    async def serve(callers: ExitStack) -> None:
        async with ScriptedService(silence) as service:
            host, port = service.url.removeprefix("http://").split(":")
            callers.enter_context(socket.create_connection((host, int(port))))
            for _ in range(turns):  # of the loop, each of which brings the connection one step further
                await asyncio.sleep(0)
        assert service.running == 0

    with ExitStack() as callers, warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(serve(callers))
        gc.collect()
    assert [str(warning.message) for warning in left] == []

"""Redis with Sentinel: a master, a replica, three sentinels, and a proxy that leads to whichever is the master."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from copilotkit_runtime.runtime.cancellation import end_tasks
from tests.integration.stores.servers import LOOPBACK, RedisServer, redis_binary
from tests.support.polling import until
from tests.support.ports import free_port

NAME = "copilotkit"
DOWN_MILLISECONDS = 1000
_SETTINGS = f"""\
bind {LOOPBACK}
port {{port}}
sentinel monitor {NAME} {LOOPBACK} {{master}} 2
sentinel down-after-milliseconds {NAME} {DOWN_MILLISECONDS}
sentinel failover-timeout {NAME} 10000
"""


class Watched:
    """Two servers that sentinels watch.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("first", "second"):
            (folder / name).mkdir(parents=True)
        self.first = RedisServer(folder / "first")
        self.second = RedisServer(folder / "second", options=("--replicaof", LOOPBACK, str(self.first.port)))
        self._leading: set[asyncio.Task[None]] = set()
        self._port = free_port()
        self.url = f"redis://{LOOPBACK}:{self._port}/0"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run them, the sentinels and the proxy."""
        async with AsyncExitStack() as stack:
            for server in (self.first, self.second):
                await asyncio.to_thread(server.start)
                stack.callback(server.kill)
            sentinels = [self._sentinel(number) for number in range(3)]
            for _, process in sentinels:
                stack.callback(process.wait)
                stack.callback(process.kill)
            self._sentinels = [port for port, _ in sentinels]
            await until(self._is_watched, 60)
            proxy = await asyncio.start_server(self._lead, LOOPBACK, self._port)
            async with proxy:
                yield
            await end_tasks(*self._leading)

    async def master(self) -> int | None:
        """Return the port of the server that is the master, as a health check of a proxy finds it."""
        for server in (self.first, self.second):
            with suppress(RedisError, OSError):
                async with redis.asyncio.Redis.from_url(server.url, socket_timeout=1) as client:
                    if (await client.info("replication"))["role"] == "master":
                        return server.port
        return None

    def _sentinel(self, number: int) -> tuple[int, subprocess.Popen[bytes]]:
        port, file = free_port(), self._folder / f"sentinel{number}.conf"
        file.write_text(_SETTINGS.format(port=port, master=self.first.port))
        command = [redis_binary(), file, "--sentinel"]
        return port, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def _is_watched(self) -> bool:
        """Return whether each sentinel knows the others and the replica, without which there is no failover."""
        for port in self._sentinels:
            try:
                async with redis.asyncio.Redis(host=LOOPBACK, port=port) as client:
                    state: Any = await client.sentinel_master(NAME)
            except (RedisError, OSError):
                return False
            if (state["num-slaves"], state["num-other-sentinels"]) != (1, 2):
                return False
        return True

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._leading.add(task)
        task.add_done_callback(self._leading.discard)
        try:
            port = await self.master()
            if port is not None:
                await _join(reader, writer, port)
        except OSError:
            pass
        finally:
            writer.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, back = await asyncio.open_connection(LOOPBACK, port)
    passing = [asyncio.create_task(_pass(reader, back)), asyncio.create_task(_pass(there, writer))]
    try:
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(*passing)
        back.close()
        with suppress(OSError):
            await back.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

"""One worker that dies is replaced at once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.integration.server.process import Running, run, running
from tests.integration.server.test_workers import HELLO, broken_off, workers_of
from tests.support.polling import until

READY = "Application startup complete."


async def greeting(server: Running) -> int:
    async with httpx.AsyncClient(timeout=60) as http:
        return (await http.post(server.url, json=HELLO)).status_code


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def can_listen(port: int) -> bool:
    """Whether a port is free. A process that has ended may take a moment to let go of its sockets."""
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            again.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


PRODUCTION = {"env": "production", "auth": "none"}


@pytest.mark.parametrize(
    ("workers", "settings", "number"),
    [("1", {}, signal.SIGKILL), (None, PRODUCTION, signal.SIGSEGV), ("2", {}, signal.SIGKILL)],
    ids=["one", "production", "two"],
)
async def test_a_worker_that_dies_is_replaced_at_once(
    tmp_path: Path, workers: str | None, settings: dict[str, str], number: signal.Signals
) -> None:
    with running(tmp_path, *(("--workers", workers) if workers else ()), **settings) as server:
        serving = int(workers or "1")
        for times in (1, 2):
            await asyncio.to_thread(server.await_event, READY, times=times * serving)
            streaming = asyncio.create_task(broken_off(server.url))
            await asyncio.to_thread(server.await_event, "run_started", times=times)
            for pid in workers_of(server)[-serving:]:
                os.kill(pid, number)
            assert await streaming
        # A connection that comes while nobody serves waits for the next process.
        assert await greeting(server) == 200
        await asyncio.to_thread(server.await_event, READY, times=3 * serving)
        assert len(workers_of(server)) == 3 * serving
        server.tell(signal.SIGTERM)
        server.wait()
        assert all(map(is_gone, workers_of(server)))


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_workers_end_with_the_process_that_started_them(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, "--workers", workers) as server:
        await asyncio.to_thread(server.await_event, READY, times=int(workers))
        pids = workers_of(server)
        server.tell(signal.SIGKILL)
        server.wait()

        async def all_gone() -> bool:
            return all(map(is_gone, pids))

        await until(all_gone)
        await until(partial(can_listen, int(server.origin.rpartition(":")[2])))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_one_worker_in_order_and_is_not_answered_with_another(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path, "--workers", "1") as server:
        await asyncio.to_thread(server.await_event, READY)
        server.tell(number)
        assert server.wait() in (0, -signal.SIGTERM)
        assert len(workers_of(server)) == 1
        server.await_event("Application shutdown complete.")


def test_a_worker_that_cannot_start_is_not_replaced() -> None:
    ended = run("serve", "nowhere.py:runtime", "--workers", "1")
    assert ended.returncode == 2
    assert ended.stderr == "copilotkit-runtime: The file nowhere.py does not exist.\n"

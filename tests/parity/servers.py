"""Server processes, started on a free port and ended again."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "scripts" / "reference"
PATH = "/api/copilotkit"
PATIENCE = 90.0


class ServerError(RuntimeError):
    """A server process did not start."""


@dataclass(frozen=True)
class Server:
    """A server process that answers at ``url``."""

    url: str
    pid: int


@dataclass(frozen=True)
class Target:
    """How to start a server: its command line and environment, given a port."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]


def reference() -> Target:
    """The published TypeScript runtime."""
    quiet = {"COPILOTKIT_TELEMETRY_DISABLED": "true", "DO_NOT_TRACK": "1", "NODE_ENV": "production"}
    return Target("typescript", ("node", str(REFERENCE / "server.mjs")), quiet)


def newest_reference() -> Target:
    """The newest published TypeScript runtime, which speaks AG-UI."""
    return replace(reference(), name="typescript-agui", command=("node", str(REFERENCE / "agui" / "server.mjs")))


def ours(app: str = "tests/parity/app.py:runtime", name: str = "python") -> Target:
    """This runtime, serving ``app``."""
    command = (str(Path(sys.executable).with_name("copilotkit-runtime")), "serve", app)
    # As in production: what an agent raises is hidden from clients.
    return Target(name, command, {"COPILOTKIT_LOG_LEVEL": "warning", "COPILOTKIT_SHOW_ERRORS": "false"})


@contextmanager
def serving(target: Target) -> Iterator[Server]:
    """Runs ``target`` until the block is left.

    Raises:
        ServerError: It ended, or did not listen, within ``PATIENCE`` seconds.
    """
    port, environment = address(target)
    process = subprocess.Popen(target.command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait(process, port)
        yield Server(f"http://127.0.0.1:{port}{PATH}", process.pid)
    finally:
        _end(process)


def address(target: Target) -> tuple[int, dict[str, str]]:
    """Return a free port, and the environment of ``target`` for it."""
    port = free_port()
    place = {"PORT": str(port), "COPILOTKIT_PORT": str(port), "COPILOTKIT_HOST": "127.0.0.1"}
    return port, {**os.environ, **target.environment, **place, "PYTHONPATH": str(ROOT)}


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not listens(port):
        if process.poll() is not None:
            raise ServerError(f"{process.args!r} ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise ServerError(f"{process.args!r} does not listen")
        select.select((), (), (), 0.05)


def listens(port: int) -> bool:
    """Return whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

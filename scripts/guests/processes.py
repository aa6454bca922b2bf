"""The processes of a guest's evening: the vendor, the guest's own server, and the runtime."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ADDRESSES = "GUEST_ADDRESSES"
"""The variable that has the agents' addresses for the runtime in front of them."""

PATIENCE = 120.0
_LAST_WORDS = 400
_RAISED = re.compile(r"[\w.]*(Error|Exception): ")


class StartError(RuntimeError):
    """A process ended, or did not listen, before it could serve."""


def bare_environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return variables for a published program: none of this process's secrets, and no way out of the machine."""
    nowhere = "http://127.0.0.1:9"
    closed = {f"{scheme}_proxy": nowhere for scheme in ("http", "https", "all")}
    proxies = {**closed, **{name.upper(): value for name, value in closed.items()}}
    local = "127.0.0.1,localhost"
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return {**kept, **proxies, "HOME": str(home), "NO_PROXY": local, "no_proxy": local, **more}


@contextmanager
def running(command: list[str], folder: Path, environment: Mapping[str, str], log: Path) -> Iterator[Process]:
    """Run a command until the block is left; what it writes goes to a log."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield Process(process, log)
        finally:
            _end(process)


class Process:
    """A process with a log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def said(self) -> str:
        """Return what it has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def await_port(self, port: int) -> None:
        """Wait until it listens.

        Raises:
            StartError: It ended, or does not listen in time.
        """
        self._await(lambda: _listens(port), f"does not listen on port {port}")

    def await_line(self) -> str:
        """Wait for the first line that it writes; return it.

        Raises:
            StartError: It ended, or writes nothing in time.
        """
        self._await(lambda: "\n" in self.said(), "writes nothing")
        return self.said().splitlines()[0]

    def _await(self, holds: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if self._process.poll() is not None:
                raise StartError(f"ended with {self._process.returncode}: {last_fault(self.said())}")
            if time.monotonic() > deadline:
                raise StartError(f"{otherwise}: {last_fault(self.said())}")
            select.select((), (), (), 0.1)


def last_fault(log: str) -> str:
    """Return the last line of a log that names an exception, or the last line."""
    lines = [" ".join(line.split()) for line in log.splitlines() if line.strip()]
    faults = [line for line in lines if _RAISED.match(line)]
    return (faults or lines or [""])[-1][:_LAST_WORDS]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    for sent, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, None)):
        if process.poll() is None:
            os.killpg(process.pid, sent)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return

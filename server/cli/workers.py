"""Worker processes, by uvicorn's supervisor. It is private in part, so that only versions that were tested will do."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable

import structlog
import uvicorn
from typing_extensions import override
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from ...runtime.errors import ConfigurationError
from ...runtime.observability.process_metrics import forget_process

STARTUP_FAILURE = 3
"""The exit status of a process whose application could not start; it is uvicorn's, too."""

TESTED = ("0.52", "0.54")
"""The first and the last minor version of uvicorn that workers were tested with; the extra ``serve`` asks for them."""

_START_SECONDS = 120
_ANSWER_SECONDS = 30
"""How long a process that serves may not answer its parent: on a machine that is short of time it may be healthy."""

log = structlog.get_logger(__name__)


def check_version(version: str = uvicorn.__version__) -> None:
    """Check that uvicorn's supervisor is one that is known.

    Raises:
        ConfigurationError: The installed uvicorn is older or newer.
    """
    first, last = map(_minor, TESTED)
    if not first <= _minor(version) <= last:
        raise ConfigurationError(
            f"workers: more than one needs uvicorn {TESTED[0]} to {TESTED[1]}, and {version} is installed."
            " Install it with: pip install --upgrade 'copilotkit-runtime-py[serve]'"
            " (in a checkout of the repository: pip install --upgrade '.[serve]'), or serve with one worker."
        )


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


class Workers(Multiprocess):
    """Worker processes; a second signal ends those that still run.

    Args:
        options: What they serve, and how.
        listener: Where they listen.
        when_ready: Called when all of them serve.
    """

    def __init__(self, options: uvicorn.Config, listener: socket.socket, when_ready: Callable[[], None]) -> None:
        super().__init__(options, sockets=[listener])
        self._when_ready = when_ready
        self._starting: dict[Process, float] = {}

    @property
    def failed(self) -> bool:
        """Whether they ended because one of them could not start."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    @override
    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(_START_SECONDS, self.should_exit) for process in self.processes):
            self._when_ready()

    @override
    def keep_subprocess_alive(self) -> None:
        """Replace the processes that have died, or that answer no longer."""
        for index, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if self._is_lost(process):
                self._replace(index, process)

    def _is_lost(self, process: Process) -> bool:
        if not process.process.is_alive():
            return True
        begun = self._starting.get(process)
        if begun is None:
            return not process.ping(_ANSWER_SECONDS)
        # One that starts answers late: asked as often as the others, it would be killed before it can serve.
        if process.parent_conn.poll(0):
            process.parent_conn.recv()
            del self._starting[process]
        return time.monotonic() - begun > _START_SECONDS

    def _replace(self, index: int, process: Process) -> None:
        self._starting.pop(process, None)
        process.kill()
        process.process.join()
        if process.exitcode == STARTUP_FAILURE:
            log.error("worker_not_started", pid=process.pid)
            self.should_exit.set()
            return
        log.error("server_process_died", pid=process.pid, status=process.exitcode)
        if process.pid is not None:
            forget_process(process.pid)
        self.processes[index] = started = Process(self.config, self.sockets)
        started.start()
        started.parent_conn.send(b"ping")
        self._starting[started] = time.monotonic()

    @override
    def join_all(self) -> None:
        for process in self.processes:
            while process.process.is_alive():
                process.process.join(0.1)
                if any(number in (signal.SIGINT, signal.SIGTERM) for number in self.signal_queue):
                    process.process.kill()

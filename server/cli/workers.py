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
from .listening import acceptors

STARTUP_FAILURE = 3
"""The exit status of a process whose application could not start; it is uvicorn's, too."""

TESTED = ("0.52", "0.54")
"""The first and the last minor version of uvicorn that workers were tested with; the extra ``serve`` asks for them."""

_ANSWER_SECONDS = 30
"""How long a process that serves may not answer its parent: on a machine that is short of time it may be healthy."""

_ENDS = (signal.SIGINT, signal.SIGTERM)
_POLL_SECONDS = 0.1

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
    """Worker processes; a second signal ends those that still run, and SIGHUP replaces them one by one.

    Args:
        options: What they serve, and how.
        listener: Where they listen.
        start_seconds: How long a worker may take until it serves.
        when_ready: Called when all of them serve.
    """

    def __init__(
        self,
        options: uvicorn.Config,
        listener: socket.socket,
        start_seconds: float,
        when_ready: Callable[[], None],
    ) -> None:
        super().__init__(options, sockets=acceptors(listener))
        self._start_seconds = start_seconds
        self._when_ready = when_ready
        self._starting: dict[Process, float] = {}
        self._retiring: list[Process] = []

    @property
    def failed(self) -> bool:
        """Whether they ended because one of them could not start."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    @override
    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(self._start_seconds, self.should_exit) for process in self.processes):
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
        return time.monotonic() - begun > self._start_seconds

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
    def restart_all(self) -> None:
        """Replace each worker once its replacement serves, and go on when its last run has ended.

        A signal to end is heeded in between, and a replacement that does not serve in time ends the restart.
        """
        log.info("workers_restarting", workers=len(self.processes))
        for index, old in enumerate(self.processes):
            new = Process(self.config, self.sockets)
            new.start()
            if not self._await_ready(new):
                self._give_up(new, kept=old)
                return
            self.processes[index] = new
            self._retire(old)
            log.info("worker_replaced", old=old.pid, new=new.pid)
            if self._ending:
                return

    @property
    def _ending(self) -> bool:
        return self.should_exit.is_set() or any(number in _ENDS for number in self.signal_queue)

    def _await_ready(self, worker: Process) -> bool:
        deadline = time.monotonic() + self._start_seconds
        while not self._ending and worker.process.is_alive() and time.monotonic() < deadline:
            if worker.wait_until_ready(_POLL_SECONDS):
                return True
        return False

    def _give_up(self, worker: Process, *, kept: Process) -> None:
        status = worker.exitcode
        worker.kill()
        worker.join()
        if not self._ending:
            log.error("worker_not_ready", seconds=self._start_seconds, exit_status=status, kept=kept.pid)

    def _retire(self, worker: Process) -> None:
        """End a worker and wait until its runs have ended; the others are looked after meanwhile."""
        self._starting.pop(worker, None)
        self._retiring.append(worker)
        worker.terminate()
        while worker.process.is_alive() and not self._ending:
            worker.process.join(_POLL_SECONDS)
            self.keep_subprocess_alive()
        if not worker.process.is_alive():
            self._retiring.remove(worker)
            forget_process(worker.pid)

    @override
    def join_all(self) -> None:
        for process in (*self.processes, *self._retiring):
            while process.process.is_alive():
                process.process.join(_POLL_SECONDS)
                if any(number in _ENDS for number in self.signal_queue):
                    process.process.kill()

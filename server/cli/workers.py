"""Worker processes, by uvicorn's supervisor. It is private in part, so that only versions that were tested will do."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import uvicorn
from typing_extensions import override
from uvicorn.supervisors import Multiprocess

from ...runtime.errors import ConfigurationError
from ...runtime.observability.process_metrics import forget_process

STARTUP_FAILURE = 3
"""The exit status of a process whose application could not start; it is uvicorn's, too."""

TESTED = ("0.52", "0.54")
"""The first and the last minor version of uvicorn that workers were tested with; the extra ``serve`` asks for them."""

_START_SECONDS = 120


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
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            forget_process(pid)

    @override
    def join_all(self) -> None:
        for process in self.processes:
            while process.process.is_alive():
                process.process.join(0.1)
                if any(number in (signal.SIGINT, signal.SIGTERM) for number in self.signal_queue):
                    process.process.kill()

"""Commands of this package, run by copies of a process that has imported what they need.

A fresh process spends more on its imports than on all that most tests have it do. That the command starts from nothing
is for the tests whose processes are fresh (``tests/integration/server/process.py``); a copy is as good where others
watch what it serves, and what it leaves when it dies. One that starts processes of its own has to be fresh.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from tests.parity import servers
from tests.parity.servers import PATH, PATIENCE, ROOT, Server, ServerError, Target, address, listens

COPIES = hasattr(os, "pidfd_open")
"""Whether this system can copy processes and watch them by a descriptor; elsewhere all are fresh."""
GRACE_SECONDS = 10.0
COMMAND = "copilotkit_runtime.server.cli"
IMPORTED = (
    COMMAND,
    "copilotkit_runtime.server.cli.serve",
    "copilotkit_runtime.server.cli.worker",
    "copilotkit_runtime.providers.langgraph",
    "copilotkit_runtime.runtime.stores.postgres",
    "copilotkit_runtime.runtime.stores.redis",
    "copilotkit_runtime.runtime.stores.sqlite",
    "langchain_core.language_models",
    "langgraph.graph",
    "psycopg",
    "redis.asyncio",
    "saq",
    "tests.support.scripted_agent",
)
"""What the servers of these tests need, on any store."""


@contextmanager
def serving(target: Target) -> Iterator[Server]:
    """Runs ``target``, a command of this package that serves, until the block is left.

    Raises:
        ServerError: It ended, or did not listen, within ``PATIENCE`` seconds.
    """
    if not COPIES:
        with servers.serving(target) as server:
            yield server
        return
    port, environment = address(target)
    with _copy(target.command[1:], environment) as (pid, process):
        deadline = time.monotonic() + PATIENCE
        while not listens(port):
            if _has_ended(process, 0.05):
                raise ServerError(f"{target.command!r} ended")
            if time.monotonic() > deadline:
                raise ServerError(f"{target.command!r} does not listen")
        yield Server(f"http://127.0.0.1:{port}{PATH}", pid)


class Template:
    """The process that others are copies of. It ends with this one."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.support.copies"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)

    def copy(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        """Start a copy that runs the command with these arguments; return its id.

        Raises:
            ServerError: There is no process to copy.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps([arguments, environment]) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise ServerError("the process that is copied has ended")
        return int(answer)

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@cache
def _template() -> Template:
    template = Template()
    atexit.register(template.close)
    return template


@contextmanager
def _copy(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Have a copy at work in the block; gives its id, and a descriptor of it, which signals no other of that id."""
    pid = _template().copy(arguments, environment)
    with ExitStack() as stack:
        process = os.pidfd_open(pid)
        stack.callback(os.close, process)
        stack.callback(_end, process)
        yield pid, process


def _has_ended(process: int, seconds: float) -> bool:
    return bool(select.select([process], (), (), seconds)[0])


def _end(process: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not _has_ended(process, GRACE_SECONDS):
            signal.pidfd_send_signal(process, signal.SIGKILL)
            _has_ended(process, GRACE_SECONDS)


def _main() -> None:
    """Import what all copies need, and make one for each line that comes."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, _reap)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _obey(*json.loads(line))
            return
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _obey(arguments: list[str], environment: dict[str, str]) -> None:
    """Do what a fresh process would do."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    sys.argv = ["copilotkit-runtime", *arguments]
    sys.path[0] = str(Path(sys.executable).parent)
    sys.modules[COMMAND].main()


def _reap(*_: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    _main()

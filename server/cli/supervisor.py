"""A serving process under a supervisor, which replaces it at once when it dies.

The supervisor loads no application, so that nothing an agent does can end it, and keeps the listening socket:
connections that come between two processes wait for the next one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle, send_handle
from types import FrameType
from typing import NamedTuple, TypeAlias

import structlog

log = structlog.get_logger(__name__)

Handover: TypeAlias = Callable[[socket.socket], None]
"""Called with the listening socket once a process serves."""

ServedProcess: TypeAlias = Callable[[socket.socket | None, Handover], None]
"""Serves until a signal ends the process, on the socket if there is one. It is sent to another process."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHORT_LIFE_SECONDS = 1.0
_POLL_SECONDS = 0.2


def end_with_parent() -> None:
    """End this process when the one that started it dies, so that it keeps no port and no thread's lock."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive, args=(parent.sentinel,), daemon=True).start()


def _outlive(sentinel: int) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


class _Served(NamedTuple):
    """A process that serves, or is about to."""

    process: multiprocessing.process.BaseProcess
    connection: Connection


class Supervisor:
    """Runs one process after the other until a signal ends it. On SIGHUP the next one begins before the last ends.

    Args:
        serve: What each of them does.
        start_seconds: How long one that is to replace a process that serves may take until it serves.
    """

    def __init__(self, serve: ServedProcess, start_seconds: float) -> None:
        self._serve = serve
        self._start_seconds = start_seconds
        self._listener: socket.socket | None = None
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._retiring: list[multiprocessing.process.BaseProcess] = []
        self._ending = False
        self._restarting = False

    def run(self) -> int:
        """Run processes.

        Returns:
            The exit status of the last one: of a process that a signal ended, or that could not start.
        """
        for number in _SIGNALS:
            signal.signal(number, self._pass_on)
        signal.signal(signal.SIGHUP, self._ask_for_restart)
        while True:
            begun = time.monotonic()
            served, pid, status = self._run_once()
            if self._ending or not served:
                for process in self._retiring:
                    process.join()
                return status
            log.error("server_process_died", pid=pid, status=status)
            if time.monotonic() - begun < _SHORT_LIFE_SECONDS:
                time.sleep(_SHORT_LIFE_SECONDS)  # what kills each process at once is not to take all of the machine

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        # Those that end already receive the second signal alone, which means: at once.
        retiring = self._retiring if self._ending else []
        self._ending = True
        for process in (*self._processes, *retiring):
            # A terminal signals all processes of its group, and so they ignore SIGINT.
            process.terminate()

    def _ask_for_restart(self, _number: int, _frame: FrameType | None) -> None:
        self._restarting = True

    def _run_once(self) -> tuple[bool, int | None, int]:
        """Run a process, and those that replace it at a restart, until one ends by itself."""
        current = self._start()
        if not self._await_service(current):
            return False, current.process.pid, self._end(current)
        while current.process.is_alive():
            wait([current.process.sentinel], _POLL_SECONDS)
            if self._restarting and not self._ending:
                self._restarting = False
                current = self._replaced(current)
        return True, current.process.pid, self._end(current)

    def _start(self) -> _Served:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve_under, args=(self._serve, self._listener, theirs))
        process.start()
        theirs.close()
        self._processes.append(process)
        if self._ending:
            process.terminate()
        return _Served(process, ours)

    def _end(self, served: _Served) -> int:
        """Wait for a process's end, and return its status."""
        served.process.join()
        served.connection.close()
        self._processes.remove(served.process)
        return served.process.exitcode or 0

    def _replaced(self, old: _Served) -> _Served:
        """Return the process that serves in place of ``old``, which has ended; or ``old``, if nothing replaces it."""
        log.info("workers_restarting", workers=1)
        new = self._start()
        if self._await_service(new, self._start_seconds):
            self._retire(old, new)
            log.info("worker_replaced", old=old.process.pid, new=new.process.pid)
            return new
        status = new.process.exitcode
        new.process.kill()
        self._end(new)
        if not self._ending:
            log.error("worker_not_ready", seconds=self._start_seconds, exit_status=status, kept=old.process.pid)
        return old

    def _retire(self, old: _Served, new: _Served) -> None:
        """End a process, and wait until its runs have ended, or its successor has died."""
        self._processes.remove(old.process)
        self._retiring.append(old.process)
        old.process.terminate()
        old.connection.close()
        wait([old.process.sentinel, new.process.sentinel])

    def _await_service(self, served: _Served, seconds: float | None = None) -> bool:
        """Wait until a process serves, and keep its socket; return False if it ends before, or takes too long."""
        if served.connection not in wait([served.process.sentinel, served.connection], seconds):
            return False
        try:
            handle = recv_handle(served.connection)
        except (EOFError, OSError):
            served.process.join(_SHORT_LIFE_SECONDS)
            return False
        kept = socket.socket(fileno=handle)
        if self._listener is None:
            self._listener = kept
        else:
            kept.close()
        return True


def _serve_under(serve: ServedProcess, listener: socket.socket | None, connection: Connection) -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor = os.getppid()

    def hand_over(listening: socket.socket) -> None:
        send_handle(connection, listening.fileno(), supervisor)

    serve(listener, hand_over)


def end_as(status: int) -> None:
    """End this process as another one ended: with its exit status, or by the signal that ended it."""
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    raise SystemExit(status)

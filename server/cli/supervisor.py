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
from typing import TypeAlias

import structlog

log = structlog.get_logger(__name__)

Handover: TypeAlias = Callable[[socket.socket], None]
"""Called with the listening socket once a process serves."""

ServedProcess: TypeAlias = Callable[[socket.socket | None, Handover], None]
"""Serves until the process is told to end, on the socket if there is one. It is sent to another process."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHORT_LIFE_SECONDS = 1.0


def end_with_parent() -> None:
    """End this process when the one that started it dies, so that it keeps no port and no thread's lock."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive, args=(parent.sentinel,), daemon=True).start()


def _outlive(sentinel: int) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


class Supervisor:
    """Runs one process after the other until it is told to end.

    Args:
        serve: What each of them does.
    """

    def __init__(self, serve: ServedProcess) -> None:
        self._serve = serve
        self._listener: socket.socket | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._ending = False

    def run(self) -> int:
        """Run processes.

        Returns:
            The exit status of the last one: of a process that was told to end, or that could not start.
        """
        for number in _SIGNALS:
            signal.signal(number, self._pass_on)
        while True:
            begun = time.monotonic()
            served, pid, status = self._run_once()
            if self._ending or not served:
                return status
            log.error("server_process_died", pid=pid, status=status)
            if time.monotonic() - begun < _SHORT_LIFE_SECONDS:
                time.sleep(_SHORT_LIFE_SECONDS)  # what kills each process at once is not to take all of the machine

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        self._ending = True
        if self._process is not None:
            # A terminal signals all processes of its group, and so they ignore SIGINT.
            self._process.terminate()

    def _run_once(self) -> tuple[bool, int | None, int]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve_under, args=(self._serve, self._listener, theirs))
        with ours:
            process.start()
            theirs.close()
            self._process = process
            if self._ending:
                process.terminate()
            served = self._await_service(process.sentinel, ours)
            process.join()
        self._process = None
        return served, process.pid, process.exitcode or 0

    def _await_service(self, sentinel: int, connection: Connection) -> bool:
        """Wait until the process serves, and keep its socket; return False if it ends before."""
        if connection not in wait([sentinel, connection]):
            return False
        try:
            handle = recv_handle(connection)
        except (EOFError, OSError):
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

"""Reports a target that takes long to load, with the line that it is at."""

from __future__ import annotations

import linecache
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from ...runtime.own_code import is_own

SECONDS = 10.0
"""Frameworks take less to import, unless the machine is very busy."""

_IMPORTS = ("import ", "from ")
_ADVICE = ' What serves, waits or asks belongs below if __name__ == "__main__":'


@contextmanager
def report_slow_load(place: str, seconds: float = SECONDS) -> Iterator[None]:
    """Report, once and on standard error, that the block takes longer than it should.

    Args:
        place: What is loaded in it.
        seconds: What it may take.
    """
    timer = threading.Timer(seconds, _report, (place, threading.get_ident(), seconds))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _report(place: str, thread: int, seconds: float) -> None:
    line = _own_line(thread)
    where = "" if line is None else f": {line[0]}, {line[1]}"
    advice = "" if line is None or line[1].startswith(_IMPORTS) else _ADVICE
    typer.echo(f"copilotkit-runtime: {place} is still being loaded after {seconds:g} s{where}.{advice}", err=True)


def _own_line(thread: int) -> tuple[str, str] | None:
    """Return where a thread is in code that is neither this package's nor an installed one's, and the line."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - there is no other way to another thread's stack
    while frame is not None and not is_own(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None or frame.f_back is None:  # the outermost is the command's own script
        return None
    file, number = frame.f_code.co_filename, frame.f_lineno
    return f"line {number} of {Path(file).name}", linecache.getline(file, number).strip()

"""The part of a stack that its reader wrote."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from traceback import FrameSummary
from types import TracebackType

_PACKAGE = Path(__file__).parents[1]
_OURS = tuple(str(_PACKAGE / room) for room in ("runtime", "providers", "server", "wires"))
_LIBRARIES = tuple(sysconfig.get_paths()[place] for place in ("stdlib", "platstdlib", "purelib", "platlib"))
_LOADERS = (*_OURS, str(Path(sysconfig.get_paths()["stdlib"]) / "importlib"), "<frozen")


_TURNS = {("events.py", "_run"), ("runners.py", "run")}
"""Where an event loop, or its runner, calls what is not its own."""


def is_own(file: str) -> bool:
    """Return whether a file of code is neither this package's nor an installed one's, nor a text that was executed."""
    return file != "<string>" and not file.startswith((*_LOADERS, *_LIBRARIES))


def own_turn(stack: Sequence[FrameSummary]) -> Sequence[FrameSummary]:
    """Return what an event loop has called, of its thread's stack, from the first frame on that the reader wrote.

    Without such a frame, it is all that the loop has called.

    Args:
        stack: The frames, the outermost first.
    """
    turns = [index for index, frame in enumerate(stack) if (Path(frame.filename).name, frame.name) in _TURNS]
    called = stack[turns[-1] + 1 :] if turns else stack
    first = next((index for index, frame in enumerate(called) if is_own(frame.filename)), 0)
    return called[first:]


def own_part(error: BaseException) -> TracebackType | None:
    """Return an error's stack from the first frame on that is neither this package's nor an installed one's.

    Where there is no such frame, it begins with the first one that is not this package's; it is whole without one.
    None is the stack of a file that is not Python.

    Args:
        error: What was raised.
    """
    frames = [*_frames(error.__traceback__)]
    for passed in ((*_LOADERS, *_LIBRARIES), _LOADERS):
        for frame in frames:
            if not frame.tb_frame.f_code.co_filename.startswith(passed):
                return frame
    return None if isinstance(error, SyntaxError) else error.__traceback__


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next

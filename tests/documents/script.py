"""Runs a file of Python in which ``await`` may stand anywhere, as in ``python -m asyncio``: ``script.py FILE``."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from pathlib import Path
from types import FunctionType


async def run(text: str) -> None:
    """Runs a program to its end."""
    code = compile(text, "script", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = FunctionType(code, {"__name__": "__main__"})()
    if inspect.isawaitable(running):
        await running


if __name__ == "__main__":
    sys.path[0] = str(Path(sys.argv[1]).parent)
    asyncio.run(run(Path(sys.argv[1]).read_text(encoding="utf-8")))

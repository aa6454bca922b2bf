"""A program of the guides, served in the test's own process: its environment, folder and modules end with it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from copilotkit_runtime.server.cli.summary import summary
from copilotkit_runtime.server.cli.target import load_runtime
from tests.documents.checks import is_complaint
from tests.support.local_server import served


@dataclass(frozen=True)
class Here:
    """A server of this process.

    Args:
        url: Where.
        said: What ``serve`` prints of it.
        logged: What the runtime logs.
    """

    url: str
    said: str
    logged: list[MutableMapping[str, Any]]

    def complaints(self) -> list[MutableMapping[str, Any]]:
        """Return what the runtime has logged until now that is more than news."""
        return [line for line in self.logged if is_complaint({**line, "level": line["log_level"]})]


@asynccontextmanager
async def served_here(file: Path, settings: Mapping[str, str]) -> AsyncIterator[Here]:
    """Serve the runtime of a file, loaded as ``serve`` loads it, until the block is left."""
    with surroundings(file.parent, settings), capture_logs() as logged:
        with warnings.catch_warnings(action="ignore"):  # frameworks warn of themselves when they are imported
            runtime = load_runtime(f"{file.name}:runtime")
        async with served(runtime.create_app()) as origin:
            said = "\n".join(summary(runtime, 0, await runtime.discover_agents()))
            yield Here(f"{origin}{runtime.config.graphql_path}", said, logged)


@contextmanager
def surroundings(folder: Path, settings: Mapping[str, str]) -> Iterator[None]:
    """Be in a folder, with an environment; what is imported from there is forgotten when the block is left."""
    path = [*sys.path]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in settings.items():
            patch.setenv(name, value)
        try:
            yield
        finally:
            sys.path[:] = path
            for name in [name for name, module in sys.modules.items() if _is_in(module, folder)]:
                del sys.modules[name]


def _is_in(module: Any, folder: Path) -> bool:
    return str(getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}")

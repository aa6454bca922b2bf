"""Serves anew when a Python file of the project changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from uvicorn.supervisors import ChangeReload
from uvicorn.supervisors.basereload import BaseReload
from uvicorn.supervisors.statreload import StatReload


def reload_class() -> type[BaseReload]:
    """Return what watches the files: ``watchfiles`` if it is installed, which passes over packages by itself."""
    return SourceReload if ChangeReload is StatReload else ChangeReload


class SourceReload(StatReload):
    """Looks at a project's own files alone.

    Uvicorn's looks at each package that is installed below the folder, several times a second, and ends with an error
    when a folder goes while it looks, as many do during ``npm install``.
    """

    config: uvicorn.Config

    def iter_py_files(self) -> Iterator[Path]:
        """Return the files."""
        for folder in self.config.reload_dirs:
            for place, folders, files in os.walk(folder):
                folders[:] = [name for name in folders if _is_own(Path(place, name))]
                yield from (Path(place, name).resolve() for name in files if name.endswith(".py"))


def _is_own(folder: Path) -> bool:
    is_cache = folder.name.startswith(".") or folder.name in {"node_modules", "__pycache__"}
    return not is_cache and not (folder / "pyvenv.cfg").is_file()

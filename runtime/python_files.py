"""Import of Python files that are named by their path."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from .errors import ConfigurationError


def import_file(file: Path, name: str) -> ModuleType:
    """Import a file: as the module of its package that it is, so that its relative imports work, or alone.

    Args:
        file: The file; it exists.
        name: The module's name where the file belongs to no package. A module that has it already is replaced.

    Raises:
        ConfigurationError: The file cannot be a Python module.
        Exception: What the file itself raises; it is not kept among the imported modules then.
    """
    file = file.resolve()
    package = _package_root(file)
    if package == file.parent:
        return _import_alone(file, name)
    add_to_path(package)
    return importlib.import_module(".".join(file.relative_to(package).with_suffix("").parts))


def add_to_path(folder: Path) -> None:
    """Put a folder first on ``sys.path``, unless it is on it or does not exist."""
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _package_root(file: Path) -> Path:
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _import_alone(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file} cannot be loaded as a Python module.")
    before = sys.modules.get(name)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module

"""``langgraph.json``: the file in which LangGraph developers name their graphs.

Its format is the LangGraph CLI's (https://docs.langchain.com/langsmith/cli#configuration-file). Read here are
``graphs``, ``dependencies`` and ``env``; the rest configures LangGraph's own server.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from dotenv import dotenv_values
from msgspec import Struct

from ...runtime.errors import ConfigurationError


class GraphFile(Struct, frozen=True):
    """The graphs of a ``langgraph.json``, loaded, and their descriptions."""

    graphs: dict[str, Any]
    descriptions: dict[str, str]


def read_graph_file(path: str | os.PathLike[str]) -> GraphFile:
    """Loads the graphs that a ``langgraph.json`` names.

    The file's local dependencies are put on ``sys.path`` and its environment into ``os.environ``, where what is set
    already stays.

    Args:
        path: The file, or the folder that holds it.

    Raises:
        ConfigurationError: The file, or a graph that it names, is missing or malformed.
    """
    file = Path(path).resolve()
    file = file / "langgraph.json" if file.is_dir() else file
    told = _read(file)
    _set_environment(told.get("env"), file.parent)
    _add_dependencies(told.get("dependencies") or ["."], file.parent)
    specs = {name: _spec(name, spec) for name, spec in _graphs(told, file).items()}
    return GraphFile(
        graphs={name: _load(name, spec["path"], file.parent) for name, spec in specs.items()},
        descriptions={name: spec["description"] for name, spec in specs.items() if spec.get("description")},
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Cannot read {file}: {error}") from error
    if not isinstance(told, dict):
        raise ConfigurationError(f"{file} must hold a JSON object.")
    return told


def _graphs(told: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    graphs = told.get("graphs")
    if not isinstance(graphs, dict) or not graphs:
        raise ConfigurationError(f"{file} names no graphs.")
    return graphs


def _spec(name: str, spec: Any) -> dict[str, Any]:
    shape = {"path": spec} if isinstance(spec, str) else spec
    if not isinstance(shape, dict) or ":" not in str(shape.get("path", "")):
        raise ConfigurationError(f"Graph '{name}' must be given as 'file.py:name' or 'module:name'.")
    return shape


def _set_environment(env: Any, folder: Path) -> None:
    values = dotenv_values(folder / env) if isinstance(env, str) else env
    for name, value in (values or {}).items():
        if value is not None:
            os.environ.setdefault(name, str(value))


def _add_dependencies(dependencies: Iterable[str], folder: Path) -> None:
    for dependency in dependencies:
        if dependency.startswith("."):
            for place in (folder / dependency, folder / dependency / "src"):
                _add_to_path(place.resolve())


def _add_to_path(place: Path) -> None:
    if place.is_dir() and str(place) not in sys.path:
        sys.path.insert(0, str(place))


def _load(name: str, spec: str, folder: Path) -> Any:
    place, _, attribute = spec.rpartition(":")
    module = _import_file(name, folder / place) if place.endswith(".py") else importlib.import_module(place)
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise ConfigurationError(f"Graph '{name}': {place} defines no '{attribute}'.") from error


def _import_file(name: str, file: Path) -> ModuleType:
    file = file.resolve()
    if not file.is_file():
        raise ConfigurationError(f"Graph '{name}': there is no file {file}.")
    package = _package_root(file)
    if package != file.parent:
        _add_to_path(package)
        return importlib.import_module(".".join(file.relative_to(package).with_suffix("").parts))
    return _import_lone_file(file)


def _package_root(file: Path) -> Path:
    """The folder from which ``file`` is imported, so that its relative imports work."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _import_lone_file(file: Path) -> ModuleType:
    name = f"{file.stem}_{sha256(str(file).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file} is no Python module.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module

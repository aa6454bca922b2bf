"""``langgraph.json``: the file in which LangGraph developers name their graphs.

Its format is the LangGraph CLI's (https://docs.langchain.com/langsmith/cli#configuration-file). Read here are
``graphs``, ``dependencies``, ``env``, ``store`` and ``python_version``. What else it may hold configures LangGraph's
own server: it is reported in the log and not used.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import structlog
from dotenv import dotenv_values
from langgraph.store.base import BaseStore
from msgspec import Struct

from ...runtime.errors import ConfigurationError
from ...runtime.python_files import add_to_path, import_file
from .memory_options import MemoryOptions

log = structlog.get_logger(__name__)

_READ = frozenset({"graphs", "dependencies", "env", "store", "python_version"})
_OF_IMAGES = frozenset(
    {"$schema", "dockerfile_lines", "base_image", "image_distro", "pip_config_file", "pip_installer"}
)
_INSTEAD = {
    "auth": "requests are authenticated by the runtime's own settings, not by the file's",
    "http": "routes, middleware and CORS are the runtime's",
    "checkpointer": "threads are kept where the runtime's store is, for as long as its settings allow",
}


class GraphFile(Struct, frozen=True):
    """The graphs of a ``langgraph.json``, loaded, with their descriptions and their long-term memory."""

    graphs: dict[str, Any]
    descriptions: dict[str, str]
    memory_options: MemoryOptions = MemoryOptions()
    memory: BaseStore | None = None


def read_graph_file(path: str | os.PathLike[str]) -> GraphFile:
    """Load the graphs that a ``langgraph.json`` names.

    The file's local dependencies are put on ``sys.path`` and its environment into ``os.environ``, where what is set
    already stays. ``LANGGRAPH_API`` is set, by which graphs find out that a server gives them a checkpointer.

    Args:
        path: The file, or the folder that holds it.

    Raises:
        ConfigurationError: The file, or a graph that it names, is missing or malformed.
    """
    file = Path(path).resolve()
    file = file / "langgraph.json" if file.is_dir() else file
    settings = _read(file)
    _report(settings, file)
    _set_environment(settings.get("env"), file.parent)
    os.environ.setdefault("LANGGRAPH_API", "true")
    _add_dependencies(settings.get("dependencies") or ["."], file.parent)
    specs = {name: _spec(name, spec) for name, spec in _graphs(settings, file).items()}
    return GraphFile(
        graphs={name: _load(name, spec["path"], file.parent) for name, spec in specs.items()},
        descriptions={name: spec["description"] for name, spec in specs.items() if spec.get("description")},
        memory_options=_memory_options(settings.get("store"), file.parent),
        memory=_own_memory(settings.get("store"), file.parent),
    )


def _report(settings: Mapping[str, Any], file: Path) -> None:
    """Log what the file asks for and does not get."""
    for key in sorted(settings.keys() - _READ - _OF_IMAGES):
        log.warning(
            "langgraph_json_key_ignored", key=key, file=str(file), reason=_INSTEAD.get(key, "it has no meaning here")
        )
    wanted, running = str(settings.get("python_version") or ""), platform.python_version()
    if wanted and not f"{running}.".startswith(f"{wanted}."):
        log.warning("langgraph_json_python_version", wanted=wanted, running=running, file=str(file))


def _memory_options(store: Any, folder: Path) -> MemoryOptions:
    if store is None:
        return MemoryOptions()
    if not isinstance(store, dict):
        raise ConfigurationError("'store' must be an object.")
    index, ttl = store.get("index"), store.get("ttl")
    if isinstance(index, dict) and str(index.get("embed", "")).partition(":")[0].endswith(".py"):
        index = {**index, "embed": _load("store.index.embed", index["embed"], folder)}
    return MemoryOptions(index=index, ttl=ttl)


def _own_memory(store: Any, folder: Path) -> BaseStore | None:
    path = store.get("path") if isinstance(store, dict) else None
    if path is None:
        return None
    loaded = _load("store.path", path, folder)
    memory = loaded if isinstance(loaded, BaseStore) else loaded() if callable(loaded) else loaded
    if not isinstance(memory, BaseStore):
        raise ConfigurationError(f"'store.path': {path} must be a LangGraph store, or a function that returns one.")
    return memory


def _read(file: Path) -> dict[str, Any]:
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Cannot read {file}: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{file} must hold a JSON object.")
    return settings


def _graphs(settings: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    graphs = settings.get("graphs")
    if not isinstance(graphs, dict) or not graphs:
        raise ConfigurationError(f"{file} names no graphs.")
    return graphs


def _spec(name: str, spec: Any) -> dict[str, Any]:
    shape = {"path": spec} if isinstance(spec, str) else spec
    if not isinstance(shape, dict) or ":" not in str(shape.get("path", "")):
        raise ConfigurationError(f"Graph '{name}' must be given as 'file.py:name' or 'module:name'.")
    return shape


def _set_environment(env: Any, folder: Path) -> None:
    if isinstance(env, str) and not (folder / env).is_file():
        log.warning("langgraph_json_env_missing", file=str(folder / env))
    values = dotenv_values(folder / env) if isinstance(env, str) else env
    for name, value in (values or {}).items():
        if value is not None:
            os.environ.setdefault(name, str(value))


def _add_dependencies(dependencies: Iterable[str], folder: Path) -> None:
    for dependency in dependencies:
        if dependency.startswith("."):
            for place in (folder / dependency, folder / dependency / "src"):
                add_to_path(place.resolve())


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
        raise ConfigurationError(f"Graph '{name}': the file {file} does not exist.")
    # Graphs in several folders may be in files of one name.
    own_name = f"{file.stem}_{sha256(str(file).encode()).hexdigest()[:12]}"
    return sys.modules.get(own_name) or import_file(file, own_name)

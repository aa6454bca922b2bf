"""What a command works on: the runtime that its TARGET names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from ..copilot import CopilotRuntime
from ..errors import ConfigurationError
from ..stores.urls import extra

GRAPH_FILE = "langgraph.json"
DEFAULT_NAME = "runtime"


def load_runtime(target: str | None) -> CopilotRuntime:
    """The runtime of ``file.py:name``, ``module:name``, or a ``langgraph.json`` or its folder.

    Args:
        target: The name; None for a ``langgraph.json`` in the current folder.

    Raises:
        ConfigurationError: There is no such thing, or it is no runtime.
        MissingExtraError: What it needs is not installed.
    """
    if target is None:
        return _of_default()
    path = Path(target)
    if path.is_dir() or path.suffix == ".json":
        return _of_graphs(path)
    place, name = _split(target)
    found = getattr(_module(place), name, None)
    if not isinstance(found, CopilotRuntime):
        raise ConfigurationError(f"{place} has no CopilotRuntime named '{name}'.")
    return found


def _of_default() -> CopilotRuntime:
    if not Path(GRAPH_FILE).is_file():
        raise ConfigurationError(
            f"Name what to serve: file.py:runtime, module:runtime, or a folder that holds a {GRAPH_FILE}."
        )
    return _of_graphs(Path(GRAPH_FILE))


def _split(target: str) -> tuple[str, str]:
    place, colon, name = target.rpartition(":")
    return (place, name) if colon else (target, DEFAULT_NAME)


def _of_graphs(path: Path) -> CopilotRuntime:
    file = path / GRAPH_FILE if path.is_dir() else path
    if not file.is_file():
        raise ConfigurationError(f"There is no file {file}.")
    with extra("LangGraph", "langgraph"):
        from ...providers.langgraph import LangGraphProvider
    return CopilotRuntime(providers=[LangGraphProvider.from_file(file)])


def _module(place: str) -> ModuleType:
    return _module_of_file(Path(place)) if place.endswith(".py") else _module_of_name(place)


def _module_of_name(name: str) -> ModuleType:
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(f"There is no module {name}.") from error


def _module_of_file(file: Path) -> ModuleType:
    path = file.resolve()
    if not path.is_file():
        raise ConfigurationError(f"There is no file {file}.")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file} cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module

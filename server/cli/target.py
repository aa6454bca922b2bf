"""The TARGET of a command: load the runtime that it names."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError
from starlette.applications import Starlette

from ...runtime.config import RuntimeConfig
from ...runtime.error_texts import missing_key
from ...runtime.errors import ConfigurationError, CopilotKitError
from ...runtime.optional import optional
from ...runtime.own_code import own_part
from ...runtime.python_files import add_to_path, import_file
from ..agents import kind_of
from ..runtime import CopilotRuntime
from .load_failures import cause
from .options import is_of_settings
from .slow_load import report_slow_load
from .target_advice import (
    DEFAULT_NAME,
    SERVED,
    about_application,
    about_file,
    about_folder,
    about_module,
    file_hint,
    others,
)

GRAPH_FILE = "langgraph.json"
TARGET_HELP = f"file.py:name or module:name of a runtime, graph or crew; or a {GRAPH_FILE} or its folder."


def load_runtime(target: str | None, *, flag: str = "") -> CopilotRuntime:
    """Return the runtime of ``file.py:name``, ``module:name``, or a ``langgraph.json`` or its folder.

    A graph or a crew of that name gets a runtime of its own.

    Args:
        target: The name; None for a ``langgraph.json`` in the current folder.
        flag: The option that takes the target, where it is no argument.

    Raises:
        ConfigurationError: The target does not exist, or is neither a runtime nor an agent.
        MissingExtraError: What it needs is not installed.
        TargetError: Its own code raises.
    """
    if target is None:
        return _of_default(flag)
    path = Path(target)
    if path.is_dir() or path.suffix == ".json":
        return _of_graphs(path)
    place, name = _split(target)
    module = _module(place)
    found = getattr(module, name, None)
    if isinstance(found, CopilotRuntime):
        return found
    if kind_of(found) in SERVED:
        return _of_agent(place, name, found)
    if isinstance(found, Starlette):
        raise ConfigurationError(about_application(place, name, found))
    raise ConfigurationError(f"{place} has no CopilotRuntime named '{name}'.{others(place, name, module)}")


def served_runtime(target: str | None, *, flag: str = "") -> CopilotRuntime:
    """Return the runtime of a process that takes requests; where workers execute runs, it may be one without agents.

    Args:
        target: The name.
        flag: The option that takes the target, where it is no argument.

    Raises:
        ConfigurationError: The target has no runtime, or no agent that it could serve.
        MissingExtraError: What it needs is not installed.
        TargetError: Its own code raises.
    """
    if target is None and RuntimeConfig().execution == "queue":
        return CopilotRuntime()
    return load_runtime(target, flag=flag)


def _of_agent(place: str, name: str, agent: object) -> CopilotRuntime:
    with _own_stack(place):
        return CopilotRuntime(agents={name: agent})


def _of_default(flag: str) -> CopilotRuntime:
    if not Path(GRAPH_FILE).is_file():
        raise ConfigurationError(
            f"Name a TARGET{f' with {flag}' if flag else ''}: file.py:name or module:name of a runtime, a graph or a"
            f" crew, or a folder that holds a {GRAPH_FILE}.{''.join(file_hint(Path()))}"
        )
    return _of_graphs(Path(GRAPH_FILE))


def _split(target: str) -> tuple[str, str]:
    place, colon, name = target.replace("::", ":").rpartition(":")
    if target.startswith(("http://", "https://")):
        raise ConfigurationError(about_module(target.partition(":")[0]))
    return (place, name or DEFAULT_NAME) if colon else (target, DEFAULT_NAME)


def _of_graphs(path: Path) -> CopilotRuntime:
    file = path / GRAPH_FILE if path.is_dir() else path
    if not file.is_file():
        raise ConfigurationError(about_folder(path, GRAPH_FILE) if path.is_dir() else about_file(file))
    with optional("LangGraph", "langgraph"):
        from ...providers.langgraph import LangGraphProvider
    with _own_stack(str(file)):
        return CopilotRuntime(providers=[LangGraphProvider.from_file(file)])


def _module(place: str) -> ModuleType:
    return _module_of_file(Path(place)) if place.endswith(".py") else _module_of_name(place)


def _module_of_name(name: str) -> ModuleType:
    if not name or name.startswith(".") or "/" in name or Path(name).is_file():
        raise ConfigurationError(about_module(name))
    if "" not in sys.path:
        sys.path.insert(0, "")
    with _own_stack(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise ConfigurationError(f"The module {name} does not exist.{_colon_hint(name)}") from error


def _colon_hint(name: str) -> str:
    """Return the sentence about a dot where a colon was meant."""
    module, dot, attribute = name.rpartition(".")
    return f" Did you mean {module}:{attribute}?" if dot and module in sys.modules else ""


def _module_of_file(file: Path) -> ModuleType:
    path = file.resolve()
    if not path.is_file():
        raise ConfigurationError(about_file(file))
    add_to_path(path.parent)
    with _own_stack(str(file)):
        return import_file(path, path.stem)


@contextmanager
def _own_stack(place: str) -> Iterator[None]:
    """Raise what a target raises as an error that carries the target's own part of the stack.

    The runtime's own errors and faults in settings pass: their texts name what to correct.
    """
    try:
        with report_slow_load(place):
            yield
    except CopilotKitError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ValidationError) and is_of_settings(error):
            raise
        raise TargetError(place, error) from error


class TargetError(Exception):
    """The code that a command was pointed at raised.

    Args:
        place: Where the code is.
        error: What it raised.
    """

    def __init__(self, place: str, error: BaseException) -> None:
        key = missing_key(error)
        if key is None:
            super().__init__(f"{place} cannot be loaded: {cause(error)}")
            self.stack = "".join(traceback.format_exception(type(error), error, own_part(error)))
        else:
            super().__init__(f"{place} cannot be loaded: {key} is not set. Set it in the environment and start again.")
            self.stack = ""

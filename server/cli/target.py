"""The TARGET of a command: load the runtime that it names."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType

from pydantic import ValidationError
from starlette.applications import Starlette

from ...runtime.descriptions import described
from ...runtime.error_texts import missing_key
from ...runtime.errors import ConfigurationError, CopilotKitError
from ...runtime.optional import optional
from ...runtime.provider import AgentProvider
from ...runtime.python_files import add_to_path, import_file
from ..agents import Kind, kind_of
from ..runtime import CopilotRuntime
from .options import is_of_settings

GRAPH_FILE = "langgraph.json"
DEFAULT_NAME = "runtime"
SERVED = (Kind.GRAPH, Kind.CREW)
"""What is served as it is, by the name that it has in its module."""

_MOST_OFFERS = 10

_PACKAGE = Path(__file__).parents[2]
_OURS = tuple(str(_PACKAGE / room) for room in ("runtime", "providers", "server"))
_LOADERS = (*_OURS, str(importlib.__file__), "<frozen importlib")


def load_runtime(target: str | None) -> CopilotRuntime:
    """Return the runtime of ``file.py:name``, ``module:name``, or a ``langgraph.json`` or its folder.

    A graph or a crew of that name gets a runtime of its own.

    Args:
        target: The name; None for a ``langgraph.json`` in the current folder.

    Raises:
        ConfigurationError: The target does not exist, or is neither a runtime nor an agent.
        MissingExtraError: What it needs is not installed.
        TargetError: Its own code raises.
    """
    if target is None:
        return _of_default()
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
        raise ConfigurationError(_about_application(place, name, found))
    raise ConfigurationError(f"{place} has no CopilotRuntime named '{name}'.{_others(place, name, module)}")


def _of_agent(place: str, name: str, agent: object) -> CopilotRuntime:
    with _own_stack(place):
        return CopilotRuntime(agents={name: agent})


def _about_application(place: str, name: str, application: Starlette) -> str:
    file = Path(place)
    module = f"--app-dir {file.parent} {file.stem}" if place.endswith(".py") else place
    return (
        f"'{name}' in {place} is a {type(application).__name__} application. If a runtime is mounted on it, serve it"
        f" with: uvicorn {module}:{name}. Else write CopilotRuntime(…).mount({name}) first."
    )


def _others(place: str, name: str, module: ModuleType) -> str:
    """Return sentences about what has the wanted name, and about what can be served from the module."""
    wanted = _about_other(name, getattr(module, name)) if hasattr(module, name) else ""
    offers = [
        f"{place}:{other}"
        for other, value in vars(module).items()
        if isinstance(value, CopilotRuntime) or kind_of(value) in SERVED
    ]
    return f"{wanted} It has: {', '.join(offers[:_MOST_OFFERS])}." if offers else wanted


def _about_other(name: str, found: object) -> str:
    is_a = f" '{name}' is {described(found)}."
    if isinstance(found, AgentProvider):
        return f"{is_a} Write runtime = CopilotRuntime(providers=[{name}]) there."
    if inspect.isroutine(found):
        return f"{is_a} If it makes an agent, write agent = {name}() there, and serve that."
    return is_a


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
        raise ConfigurationError(f"The file {file} does not exist.")
    with optional("LangGraph", "langgraph"):
        from ...providers.langgraph import LangGraphProvider
    with _own_stack(str(file)):
        return CopilotRuntime(providers=[LangGraphProvider.from_file(file)])


def _module(place: str) -> ModuleType:
    return _module_of_file(Path(place)) if place.endswith(".py") else _module_of_name(place)


def _module_of_name(name: str) -> ModuleType:
    if not name or name.startswith(".") or "/" in name:
        file = f" Write {name}.py:runtime." if Path(f"{name}.py").is_file() else ""
        raise ConfigurationError(f"'{name}' is neither a file whose name ends with .py nor a module.{file}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    with _own_stack(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise ConfigurationError(f"The module {name} does not exist.") from error


def _module_of_file(file: Path) -> ModuleType:
    path = file.resolve()
    if not path.is_file():
        raise ConfigurationError(f"The file {file} does not exist.")
    add_to_path(path.parent)
    with _own_stack(str(file)):
        return import_file(path, path.stem)


@contextmanager
def _own_stack(place: str) -> Iterator[None]:
    """Raise what a target raises as an error that carries the target's own part of the stack.

    The runtime's own errors and faults in settings pass: their texts name what to correct.
    """
    try:
        yield
    except CopilotKitError:
        raise
    except Exception as error:
        if isinstance(error, ValidationError) and is_of_settings(error):
            raise
        raise TargetError(place, error) from error


class TargetError(Exception):
    """The code that a command was pointed at raised.

    Args:
        place: Where the code is.
        error: What it raised.
    """

    def __init__(self, place: str, error: Exception) -> None:
        key = missing_key(error)
        if key is None:
            super().__init__(f"{place} cannot be loaded: {_cause(error)}.")
            self.stack = "".join(traceback.format_exception(type(error), error, _own_part(error)))
        else:
            super().__init__(f"{place} cannot be loaded: {key} is not set. Set it in the environment and start again.")
            self.stack = ""


def _cause(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"it imports {error.name}, which is not installed"
    return f"it raises {type(error).__name__}"


def _own_part(error: Exception) -> TracebackType | None:
    """Return the stack from the target's first frame on; all of it without such a frame; None if it is not Python."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_LOADERS):
        trace = trace.tb_next
    return trace if trace is not None or isinstance(error, SyntaxError) else error.__traceback__

"""What to write where a target is not a runtime."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from starlette.applications import Starlette

from ...providers.models.vendors import VENDORS
from ...runtime.descriptions import described
from ...runtime.provider import AgentProvider
from ..agents import Kind, answers_as_model, foreign_framework, is_application, kind_of
from ..app import RuntimeApplication
from ..runtime import CopilotRuntime

SERVED = (Kind.GRAPH, Kind.CREW)
"""What is served as it is, by the name that it has in its module."""
DEFAULT_NAME = "runtime"

_MOST_OFFERS = 10
_USUAL_FILES = ("app.py", "main.py", "agent.py", "server.py")


def about_application(place: str, name: str, application: Starlette) -> str:
    """Return how to serve an ASGI application that is no runtime."""
    file = Path(place)
    module = f"--app-dir {file.parent} {file.stem}" if place.endswith(".py") else place
    command = f"uvicorn {module}:{name}"
    if isinstance(application, RuntimeApplication):
        return f"'{name}' in {place} is the application of a runtime. Name the runtime, or serve it with: {command}."
    return (
        f"'{name}' in {place} is a {type(application).__name__} application. If a runtime is mounted on it, serve it"
        f" with: {command}. Else write CopilotRuntime(…).mount({name}) first."
    )


def others(place: str, name: str, module: ModuleType) -> str:
    """Return sentences about what has the wanted name, and about what can be served from the module."""
    wanted = _about_other(name, getattr(module, name)) if hasattr(module, name) else ""
    offers = [f"{place}:{other}" for other, value in vars(module).items() if _is_served(value)]
    if offers:
        return f"{wanted} It has: {', '.join(offers[:_MOST_OFFERS])}."
    return wanted or f" Write {name} = CopilotRuntime(…) in it, outside of functions and conditions."


def _is_served(value: object) -> bool:
    return isinstance(value, CopilotRuntime) or kind_of(value) in SERVED


def _about_other(name: str, found: object) -> str:
    return f" '{name}' is {described(found)}.{_remedy(name, found)}"


def _remedy(name: str, found: object) -> str:
    if inspect.isclass(found):
        return _about_class(name, found)
    if isinstance(found, AgentProvider):
        return _write(f"providers=[{name}]")
    if inspect.iscoroutinefunction(found):
        return f" If it makes a runtime or an agent, write made = asyncio.run({name}()) there, and serve that."
    if inspect.isroutine(found):
        return f" If it makes a runtime or an agent, write made = {name}() there, and serve that."
    if inspect.ismodule(found):
        return f" Name what is in it: {found.__name__}:{DEFAULT_NAME}."
    if is_application(found):
        return " Such an application runs beside a runtime, which is served by itself: docs/recipes has how."
    if (package := foreign_framework(found)) is not None:
        return f" It is an agent of {package}: docs/agents.md has the lines that serve it."
    return _write(argument) if (argument := _argument(name, found)) else ""


def _about_class(name: str, found: type) -> str:
    if issubclass(found, CopilotRuntime):
        return f" Write runtime = {name}(…) there."
    if issubclass(found, AgentProvider):
        return _write(f"providers=[{name}(…)]")
    if (package := foreign_framework(found)) is not None:
        return f" It makes agents of {package}: docs/agents.md has the lines that serve one."
    return f" If its objects are agents, write made = {name}(…) there, and serve that."


def _argument(name: str, found: object) -> str:
    """Return as which argument a runtime takes it; empty if it takes none such."""
    if kind_of(found) is Kind.AGUI:
        return f'agents={{"my_agent": {name}}}'
    if isinstance(found, Mapping) and any(kind_of(each) for each in found.values()):
        return f"agents={name}"
    if isinstance(found, list | tuple) and any(isinstance(each, AgentProvider) for each in found):
        return f"providers={name}"
    return f"model={name}" if answers_as_model(found) or _names_model(found) else ""


def _names_model(found: object) -> bool:
    return isinstance(found, str) and found.partition(":")[0] in VENDORS


def _write(argument: str) -> str:
    return f" Write runtime = CopilotRuntime({argument}) there."


def about_file(file: Path) -> str:
    """Return the sentence about a file that does not exist, with one whose name is nearly the same."""
    there = [each.name for each in file.parent.glob("*.py")] if file.parent.is_dir() else []
    close = get_close_matches(file.name, there, n=1, cutoff=0.7)
    hint = f" Did you mean {file.with_name(close[0])}?" if close else ""
    return f"The file {file} does not exist.{hint}"


def about_folder(folder: Path, graph_file: str) -> str:
    """Return the sentence about a folder without a ``langgraph.json``, with a file in it that may be meant."""
    return f"The folder {folder} has no {graph_file}.{''.join(file_hint(folder))}"


def file_hint(folder: Path) -> Iterator[str]:
    """Yield the sentence about a Python file in a folder that may be meant, if there is one."""
    files = sorted(folder.glob("*.py"), key=lambda file: (file.name not in _USUAL_FILES, file.name))
    named = [file for file in files if not file.name.startswith("_")]
    if named:
        yield f" Did you mean {named[0]}:{DEFAULT_NAME}?"


def about_module(name: str) -> str:
    """Return the sentence about a name that is neither a Python file nor a module."""
    if Path(name).suffix == ".ipynb" and Path(name).is_file():
        return f"{name} is a notebook. Write its agent in a file whose name ends with .py, and serve that."
    if name in ("http", "https"):
        return (
            "A URL is not served: it is an agent of a runtime. Write"
            ' runtime = CopilotRuntime(agents={"my_agent": "https://…"}) in a file, and serve that.'
        )
    file = f" Write {name}.py:{DEFAULT_NAME}." if Path(f"{name}.py").is_file() else ""
    return f"'{name}' is neither a file whose name ends with .py nor a module.{file}"

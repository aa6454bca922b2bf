"""The command line: ``copilotkit-runtime``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
import uvicorn

from .config import RuntimeConfig
from .copilot import CopilotRuntime

app = typer.Typer(no_args_is_help=True, add_completion=True, help="Serves Python agents to CopilotKit React apps.")

Target = Annotated[str, typer.Argument(help="file.py:runtime or module:runtime")]


@app.command()
def serve(
    target: Target,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
) -> None:
    """Serves a runtime over HTTP."""
    runtime = load_runtime(target)
    config: RuntimeConfig = runtime.config
    listen_host, listen_port = host or config.host, config.port if port is None else port
    typer.echo(f"CopilotKit runtime at http://{listen_host}:{listen_port}{config.graphql_path}")
    uvicorn.run(runtime.create_app(), host=listen_host, port=listen_port, log_level="warning", server_header=False)


@app.command()
def agents(target: Target) -> None:
    """Lists a runtime's agents."""
    import asyncio

    for agent in asyncio.run(load_runtime(target).discover_agents()):
        typer.echo(f"{agent.name}\t{agent.description}")


def load_runtime(target: str) -> CopilotRuntime:
    """The runtime that ``target`` names.

    Raises:
        typer.BadParameter: There is none.
    """
    place, _, name = target.rpartition(":")
    module = _module(place or target)
    runtime = getattr(module, name if place else "runtime", None)
    if not isinstance(runtime, CopilotRuntime):
        raise typer.BadParameter(f"{target} is no CopilotRuntime")
    return runtime


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        sys.path.insert(0, "")
        return importlib.import_module(place)
    path = Path(place).resolve()
    if not path.is_file():
        raise typer.BadParameter(f"There is no file {place}")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise typer.BadParameter(f"{place} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """The console script."""
    app()

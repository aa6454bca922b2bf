"""The commands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from ...runtime.config import EMULATED_VERSION, RuntimeConfig
from ...runtime.errors import ConfigurationError
from ...runtime.info import RuntimeInfo, runtime_info
from ...runtime.provider import AgentDescriptor, StateSchemas
from ...runtime.setting_sources import setting_layers
from ...schema import load_sdl
from ...wires.agui.agents import DEFAULT
from ..runtime import CopilotRuntime
from ..scaffold.project import ProjectKind, write_project
from . import options as settings
from .errors import exit_with_message
from .store import app as store_commands
from .target import TARGET_HELP, load_runtime, served_runtime
from .threads import app as threads

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.add_typer(threads, name="threads", help="List, show, export and delete threads.")
app.add_typer(store_commands, name="store", help="Keep the store small.")

Target = Annotated[
    str | None,
    typer.Argument(help=TARGET_HELP, show_default=False),
]
Settings = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.", show_default=False)]
Store = Annotated[str | None, typer.Option(help="memory://, sqlite:///path, redis:// or postgresql://")]


def _flag(text: str) -> Any:
    return typer.Option(help=text, show_default=False)


@app.command()
def serve(
    target: Target = None,
    host: Annotated[str | None, _flag("The address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, _flag("The port to listen on (8000); 0 for any that is free.")] = None,
    path: Annotated[str | None, _flag("Where the endpoint is (/api/copilotkit).")] = None,
    store: Store = None,
    workers: Annotated[int | None, _flag("Processes that serve (1).")] = None,
    execution: Annotated[str | None, _flag("inline (default), or queue: workers execute the runs.")] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Starts anew when a file changes.")] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Opens the chat page in the browser.")] = False,
    ssl_certfile: Annotated[Path | None, _flag("The TLS certificate's file.")] = None,
    ssl_keyfile: Annotated[Path | None, _flag("The TLS key's file.")] = None,
    log_format: Annotated[str | None, _flag("auto, console or json.")] = None,
    log_level: Annotated[str | None, _flag("debug, info, warning or error.")] = None,
    config: Settings = None,
) -> None:
    """Serve a runtime over HTTP."""
    from . import serve as server

    layers = settings.layers(
        config,
        host=host,
        port=port,
        graphql_path=path,
        store=store,
        workers=workers,
        execution=execution,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        log_format=log_format,
        log_level=log_level,
    )
    server.serve(target, layers, reload=reload, opens=open_page)


@app.command()
def worker(
    target: Target = None,
    queues: Annotated[str | None, _flag("The queues to take runs from, with commas (default).")] = None,
    concurrency: Annotated[int | None, _flag("How many runs go on at a time (10).")] = None,
    host: Annotated[str | None, _flag("The address of the probes (127.0.0.1).")] = None,
    port: Annotated[int | None, _flag("The port of /health, /ready and /metrics (8001); 0 for any.")] = None,
    store: Store = None,
    log_format: Annotated[str | None, _flag("auto, console or json.")] = None,
    log_level: Annotated[str | None, _flag("debug, info, warning or error.")] = None,
    config: Settings = None,
) -> None:
    """Execute runs that are served by processes with --execution queue."""
    from .worker import HEALTH_PORT, work

    layers = settings.layers(
        config,
        queues=queues,
        worker_concurrency=concurrency,
        host=host,
        port=port,
        store=store,
        execution="queue",
        log_format=log_format,
        log_level=log_level,
    )
    layers.defaults["port"] = HEALTH_PORT
    work(target, layers)


@app.command()
def dev(
    target: Target = None,
    host: Annotated[str | None, _flag("The address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, _flag("The port to listen on (8000).")] = None,
    store: Store = None,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Opens the chat page in the browser.")] = True,
    config: Settings = None,
) -> None:
    """Serve a runtime in development: start anew when a file changes, and open the chat page."""
    from . import serve as server

    layers = settings.layers(config, host=host, port=port, store=store, env="development", workers=1)
    server.serve(target, layers, reload=True, opens=open_page)


@app.command()
def chat(
    target: Target = None,
    agent: Annotated[str | None, _flag("The agent; without it the first one, or the model.")] = None,
    thread: Annotated[str | None, _flag("A thread to go on with; without it a new one.")] = None,
    store: Store = None,
    config: Settings = None,
) -> None:
    """Talk to an agent in the terminal: a line is a message, or the answer to what the agent asks.

    End with status 1 if a run failed, and with 130 if Ctrl+C ended the conversation.
    """
    from .conversation import converse

    with setting_layers(settings.layers(config, store=store)):
        runtime = served_runtime(target)
    raise typer.Exit(asyncio.run(converse(runtime, agent, thread)))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The new folder.", show_default=False)],
    kind: Annotated[ProjectKind, typer.Option(help="What the agent is made with.")] = ProjectKind.LANGGRAPH,
    page: Annotated[bool, typer.Option("--page", help="Writes a React page with the newest client, too.")] = False,
) -> None:
    """Write a project that serves one agent."""
    for file in write_project(folder, kind, page=page):
        typer.echo(f"wrote {file}")
    typer.echo(f"next  cd {folder} && pip install -r requirements.txt && copilotkit-runtime dev app.py:runtime")
    if page:
        typer.echo(f"page  cd {folder / 'page'} && npm install && npm run dev")


@app.command()
def doctor(
    target: Target = None,
    url: Annotated[
        str | None, _flag("A running server's endpoint, to measure what the proxies before it do to streams.")
    ] = None,
    header: Annotated[
        list[str] | None, _flag("A header to send there, such as 'Authorization: Bearer KEY'; may be repeated.")
    ] = None,
    port: Annotated[int | None, _flag("The port that a server is to listen on (8000).")] = None,
    store: Store = None,
    config: Settings = None,
) -> None:
    """Look for what stands in the way, with a line on what to do. End with status 1 if something fails."""
    from .doctor import examine, loaded

    with setting_layers(settings.layers(config, port=port, store=store)):
        runtime, fault = loaded(target)
    found = asyncio.run(examine(runtime, fault, Path.cwd(), url, _headers(header or ())))
    for finding in found:
        typer.echo(str(finding))
    raise typer.Exit(int(any(finding.mark == "fail" for finding in found)))


def _headers(lines: Iterable[str]) -> dict[str, str]:
    pairs = [line.partition(":") for line in lines]
    if not all(colon and name.strip() for name, colon, _ in pairs):
        raise typer.BadParameter("write each as NAME: VALUE", param_hint="--header")
    return {name.strip(): value.strip() for name, _, value in pairs}


@app.command()
def agents(target: Target = None, config: Settings = None) -> None:
    """List a runtime's agents."""
    with setting_layers(settings.layers(config)):
        runtime = served_runtime(target)
    found = asyncio.run(_agents_of(runtime, starts=target is None))
    for agent in found:
        typer.echo(f"{agent.name}\t{agent.description}")
    if not found:
        typer.echo(f"copilotkit-runtime: {_nobody(runtime.model_name)}", err=True)


def _nobody(model: str | None) -> str:
    if model is None:
        return "There is neither an agent nor a model."
    return f"There is no agent. Clients reach {model} as '{DEFAULT}'."


async def _agents_of(runtime: CopilotRuntime, *, starts: bool) -> list[AgentDescriptor]:
    if not starts or runtime.config.execution == "inline":
        return await runtime.discover_agents()
    async with runtime:  # they are those of workers, which it reads once it has started
        return await runtime.discover_agents()


@app.command()
def types(
    target: Target = None,
    output: Annotated[Path | None, _flag("The file to write; without it, they are printed.")] = None,
    config: Settings = None,
) -> None:
    """Write TypeScript types of the agents' names and states, made from the agents' schemas."""
    from .typescript import declarations

    with setting_layers(settings.layers(config)):
        runtime = load_runtime(target)
    schemas = asyncio.run(runtime.state_schemas())
    if runtime.model_name is not None and len(schemas) != 1:
        schemas.setdefault(DEFAULT, StateSchemas())  # as clients reach the model, where that is not the only agent
    text = declarations(schemas)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror}.") from error
    typer.echo(f"wrote {output}")


@app.command()
def schema(
    diff: Annotated[str | None, _flag("A file of SDL, or the URL of a server, to compare with.")] = None,
) -> None:
    """Print the contract's schema, or how it differs from another. Differences end with status 1."""
    if diff is None:
        typer.echo(load_sdl())
        return
    from .schema_diff import difference, executable_sdl, published_sdl

    lines = difference(published_sdl(diff), executable_sdl())
    typer.echo("\n".join(lines) if lines else "the same")
    raise typer.Exit(int(bool(lines)))


@app.command(name="config")
def show_config(target: Target = None, config: Settings = None) -> None:
    """Print the settings in effect, secrets hidden: those of a runtime, or without one those of the environment."""
    with setting_layers(settings.layers(config)):
        effective = RuntimeConfig() if target is None else load_runtime(target).config
    for line in settings.effective(effective):
        typer.echo(line)


def _show_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="As the command `version`.")
    ] = False,
) -> None:
    """Serve Python agents to CopilotKit React apps."""


@app.command()
def version() -> None:
    """Print the version, and that of the TypeScript runtime whose contract is served."""
    info: RuntimeInfo = runtime_info([])
    typer.echo(f"copilotkit-runtime-py {info.version} (contract of @copilotkit/runtime {EMULATED_VERSION})")


def main() -> None:
    """Run the console script."""
    with exit_with_message():
        app()

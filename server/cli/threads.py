"""The commands about threads: what is kept, whose it is, and its deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from ...runtime.errors import MisuseError, ThreadNotFoundError
from ...runtime.setting_sources import setting_layers
from ...runtime.stores.interface import AgentState, ThreadInfo
from ..runtime import CopilotRuntime
from . import options as settings
from .target import TARGET_HELP, served_runtime

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

Thread = Annotated[str, typer.Argument(help="The thread's id, in any spelling.", show_default=False)]
Target = Annotated[
    str | None,
    typer.Option(help=TARGET_HELP, show_default=False),
]
Served = Annotated[
    str | None,
    typer.Argument(metavar="[TARGET]", help="As --target, like all other commands.", show_default=False),
]
Owner = Annotated[str | None, typer.Option(help="Only the threads of this owner.", show_default=False)]
Store = Annotated[str | None, typer.Option(help="memory://, sqlite:///path, redis:// or postgresql://")]
Settings = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.", show_default=False)]


@app.command(name="list")
def list_threads(
    served: Served = None,
    target: Target = None,
    owner: Owner = None,
    store: Store = None,
    config: Settings = None,
) -> None:
    """List threads, last written first: id, owner, agents, last write and name, with tabs between them."""

    async def work(runtime: CopilotRuntime) -> None:
        cursor: str | None = None
        while True:
            page = await runtime.threads(owner=owner, cursor=cursor)
            for thread in page.threads:
                typer.echo(_line(thread))
            cursor = page.cursor
            if cursor is None:
                return

    with_runtime(work, served or target, store, config)


@app.command()
def show(thread: Thread, target: Target = None, store: Store = None, config: Settings = None) -> None:
    """Print a thread's record as JSON."""
    typer.echo(_pretty(with_runtime(lambda runtime: _record(runtime, thread), target, store, config)))


@app.command()
def export(thread: Thread, target: Target = None, store: Store = None, config: Settings = None) -> None:
    """Print a thread's record and each agent's state and messages as JSON."""

    async def work(runtime: CopilotRuntime) -> dict[str, Any]:
        record = await _record(runtime, thread)
        states: dict[str, AgentState | None] = {}
        for agent in await runtime.discover_agents():
            states[agent.name] = await runtime.load_agent_state(thread_id=thread, agent_name=agent.name)
        return {"thread": record, "agents": {name: state for name, state in states.items() if state is not None}}

    typer.echo(_pretty(with_runtime(work, target, store, config)))


@app.command()
def delete(
    thread: Annotated[str | None, typer.Argument(help="The thread's id.", show_default=False)] = None,
    target: Target = None,
    owner: Annotated[str | None, typer.Option(help="Delete all that is this owner's.", show_default=False)] = None,
    store: Store = None,
    config: Settings = None,
) -> None:
    """Delete a thread, or all of an owner, with every trace."""
    if (thread is None) == (owner is None):
        raise MisuseError("Name a thread, or with --owner whose threads are to be deleted.")

    async def work(runtime: CopilotRuntime) -> int:
        if owner is not None:
            return await runtime.delete_threads(owner=owner)
        await _record(runtime, thread or "")
        return int(await runtime.delete_thread(thread or ""))

    typer.echo(f"deleted {with_runtime(work, target, store, config)}")


def with_runtime(
    work: Callable[[CopilotRuntime], Awaitable[T]], target: str | None, store: str | None, config: Path | None
) -> T:
    """Do ``work`` with a runtime that has started."""

    async def run() -> T:
        async with runtime:
            return await work(runtime)

    with setting_layers(settings.layers(config, store=store)):
        runtime = served_runtime(target, flag="--target")
    return asyncio.run(run())


async def _record(runtime: CopilotRuntime, thread_id: str) -> ThreadInfo:
    record = await runtime.thread(thread_id)
    if record is None:
        raise ThreadNotFoundError
    return record


def _line(thread: ThreadInfo) -> str:
    written = thread.updated_at.isoformat(timespec="seconds")
    return "\t".join([thread.thread_id, thread.owner or "", ",".join(thread.agents), written, thread.name or ""])


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()

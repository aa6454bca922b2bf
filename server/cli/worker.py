"""The process of a worker: runs of queues, and the probes that machines watch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import typer
import uvicorn
from starlette.applications import Starlette

from ...runtime.config import RuntimeConfig
from ...runtime.observability.logs import configure_logging
from ...runtime.setting_sources import SettingLayers, setting_layers
from ..runtime import CopilotRuntime
from ..shutdown import SignalDrain
from .garbage_collection import collected
from .listening import bind
from .request_heads import ServerConfig
from .serve import run_here
from .target import load_runtime

HEALTH_PORT = 8001
"""The default port of the probes."""


def work(target: str | None, layers: SettingLayers) -> None:
    """Execute the runs of queues until a signal ends the process.

    Args:
        target: The name of the runtime that has the agents.
        layers: The settings that the command line gave.

    Raises:
        ConfigurationError: The runtime, its settings or its address are not as they must be.
    """
    with setting_layers(layers):
        runtime = load_runtime(target)
    runtime.become_worker()
    config = runtime.config
    configure_logging(config.log_level, config.log_format)
    listener = bind(config.host, config.port)
    port = listener.getsockname()[1]
    run_here(_probes(config), _application(runtime, port), listener)


def _probes(config: RuntimeConfig) -> uvicorn.Config:
    grace = round(config.shutdown_grace_seconds) + 1
    return ServerConfig(
        lambda: None,
        max_header_bytes=config.max_header_bytes,
        request_head_seconds=config.request_head_seconds,
        timeout_keep_alive=config.idle_connection_seconds,
        factory=True,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=grace,
    )


def _application(runtime: CopilotRuntime, port: int) -> Starlette:
    @asynccontextmanager
    async def around(_app: Starlette) -> AsyncIterator[None]:
        drain = SignalDrain(runtime.service, runtime.streams, runtime.config.shutdown_grace_seconds)
        async with runtime, drain.installed(), collected():
            await _report(runtime, port)
            yield

    return runtime.create_probes(around)


async def _report(runtime: CopilotRuntime, port: int) -> None:
    config = runtime.config
    agents = ", ".join(agent.name for agent in await runtime.discover_agents()) or "none"
    typer.echo(f"Worker of {', '.join(config.queues)}: {config.worker_concurrency} runs at a time")
    typer.echo(f"  agents   {agents}")
    typer.echo(f"  store    {runtime.store_name}")
    typer.echo(f"  health   {config.host}:{port}: /health, /ready, /metrics")

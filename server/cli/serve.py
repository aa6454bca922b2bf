"""The server process, or processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import typer
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...runtime.config import RuntimeConfig
from ...runtime.errors import CopilotKitError
from ...runtime.observability.logs import configure_logging
from ...runtime.observability.process_metrics import MULTIPROCESS_VARIABLE
from ...runtime.setting_sources import SettingLayers, setting_layers
from ..app import RuntimeApplication
from ..runtime import CopilotRuntime
from ..shutdown import SignalDrain
from .browser import open_when_ready
from .errors import exit_with_message
from .garbage_collection import collected
from .listening import WAITING_CONNECTIONS, acceptors, bind, check_tls
from .reload import reload_class
from .request_heads import ServerConfig
from .summary import chat_url, coloured, origin, summary
from .supervisor import Handover, Supervisor, end_as, end_with_parent
from .target import served_runtime
from .workers import STARTUP_FAILURE, Workers, check_version

log = structlog.get_logger(__name__)

_CONNECTIONS_GRACE_SECONDS = 10


@dataclass(frozen=True)
class AppFactory:
    """Makes the application to serve; it can be sent to another process, which makes its own.

    Args:
        target: The runtime's name.
        layers: The settings that the command line gave.
        port: The port that is listened on, for the summary.
        announces: Whether to print the summary when the server has started.
    """

    target: str | None
    layers: SettingLayers
    port: int
    announces: bool

    def __call__(self) -> ASGIApp:
        """Load the runtime and make its application, in a process of its own."""
        end_with_parent()
        with exit_with_message(STARTUP_FAILURE), setting_layers(self.layers):
            return self.application(served_runtime(self.target))

    def application(self, runtime: CopilotRuntime, served: Callable[[], None] | None = None) -> ASGIApp:
        """Return the application of a runtime, with its log and its way to end.

        Args:
            runtime: The runtime.
            served: Called when the application has started.
        """
        configure_logging(runtime.config.log_level, runtime.config.log_format)
        app = runtime.create_app()
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def around(scope: Any) -> AsyncIterator[Any]:
            drain = SignalDrain(runtime.service, runtime.streams, runtime.config.shutdown_grace_seconds)
            async with inner(scope) as state, drain.installed(), collected():
                if self.announces:
                    await announce(runtime, self.port)
                if served is not None:
                    served()
                yield state

        app.router.lifespan_context = around
        return PlainStart(app.answer if isinstance(app, RuntimeApplication) else app)


class PlainStart:
    """Reports in words why an application cannot start, where that is known, instead of with a stack.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass everything on but the stack."""
        if scope["type"] != "lifespan":
            return self._app(scope, receive, send)

        async def with_reason(message: Message) -> None:
            error = sys.exception()
            if message["type"] == "lifespan.startup.failed" and isinstance(error, CopilotKitError):
                message = {**message, "message": error.message}
            await send(message)

        return self._app(scope, receive, with_reason)


async def announce(runtime: CopilotRuntime, port: int) -> None:
    """Write the summary to standard output, in colour if that is a terminal."""
    in_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for line in summary(runtime, port, await runtime.discover_agents()):
        typer.echo(coloured(line) if in_colour else line)


def serve(target: str | None, layers: SettingLayers, *, reload: bool, opens: bool = False) -> None:
    """Serve a runtime until a signal ends the process.

    In production, and with ``workers`` set to 1, that is done by a process of its own, which is replaced if it dies.

    Args:
        target: The runtime's name.
        layers: The settings that the command line gave.
        reload: Whether to start anew when a file changes.
        opens: Whether to open the chat page in the browser.

    Raises:
        ConfigurationError: The runtime, its settings or its address are not as they must be.
    """
    with setting_layers(layers):
        config = RuntimeConfig()
    if not reload and _is_supervised(config):
        configure_logging(config.log_level, config.log_format)
        end_as(Supervisor(ServingProcess(target, layers, opens), config.worker_start_seconds).run())
    if not reload and config.workers > 1:
        # There is nothing to replace before there are workers, which load the target anew.
        signal.signal(signal.SIGHUP, lambda *_: None)
    serve_here(target, layers, reload=reload, opens=opens)


def _is_supervised(config: RuntimeConfig) -> bool:
    return config.workers == 1 and (config.env == "production" or "workers" in config.model_fields_set)


@dataclass(frozen=True)
class ServingProcess:
    """What a supervised process does.

    Args:
        target: The runtime's name.
        layers: The settings that the command line gave.
        opens: Whether the first of them opens the chat page in the browser.
    """

    target: str | None
    layers: SettingLayers
    opens: bool = False

    def __call__(self, listener: socket.socket | None, hand_over: Handover) -> None:
        """Serve on the socket, or on one of its own."""
        with exit_with_message():
            try:
                opens = self.opens and listener is None
                serve_here(self.target, self.layers, opens=opens, listener=listener, hand_over=hand_over)
            except typer.Exit as ended:
                sys.exit(ended.exit_code)


def serve_here(
    target: str | None,
    layers: SettingLayers,
    *,
    reload: bool = False,
    opens: bool = False,
    listener: socket.socket | None = None,
    hand_over: Handover | None = None,
) -> None:
    """Serve a runtime in this process, or its workers and reloads in processes under it.

    Args:
        target: The runtime's name.
        layers: The settings that the command line gave.
        reload: Whether to start anew when a file changes.
        opens: Whether to open the chat page in the browser.
        listener: Where to listen, if a process before this one has begun to.
        hand_over: Called with the listening socket once this process serves.

    Raises:
        ConfigurationError: The runtime, its settings or its address are not as they must be.
    """
    with setting_layers(layers):
        runtime = served_runtime(target)
    config = runtime.config
    workers = 1 if reload else config.workers
    if workers > 1:
        check_version()
    if config.ssl_certfile is not None and config.ssl_keyfile is not None:
        check_tls(config.ssl_certfile, config.ssl_keyfile)
    replaces, listener = listener is not None, listener or bind(config.host, config.port)
    served = partial(hand_over, listener) if hand_over is not None else None
    port = listener.getsockname()[1]
    if opens and runtime.serves_chat:
        open_when_ready(chat_url(config, port), f"{origin(config, port)}/health")
    factory = AppFactory(target, layers, port, announces=workers == 1 and not replaces)
    if workers == 1 and not reload:
        run_here(_server_config(factory, config), factory.application(runtime, served), listener)
        return
    configure_logging(config.log_level, config.log_format)
    options = _server_config(factory, config, reload=reload, workers=workers)
    if reload:
        options.reload_dirs = [Path.cwd()]  # uvicorn sets it for applications named by a string alone
        reload_class()(options, target=uvicorn.Server(options).run, sockets=[listener]).run()
        return
    _run_workers(options, runtime, listener, served)


def _run_workers(
    options: uvicorn.Config, runtime: CopilotRuntime, listener: socket.socket, served: Callable[[], None] | None
) -> None:
    def ready() -> None:
        asyncio.run(announce(runtime, listener.getsockname()[1]))
        if served is not None:
            served()

    with _shared_metrics(runtime.config):
        processes = Workers(options, listener, runtime.config.worker_start_seconds, ready)
        processes.run()
    if processes.failed:
        raise typer.Exit(STARTUP_FAILURE)


def _server_config(factory: Any, config: RuntimeConfig, *, reload: bool = False, workers: int = 1) -> uvicorn.Config:
    return ServerConfig(
        factory,
        max_header_bytes=config.max_header_bytes,
        request_head_seconds=config.request_head_seconds,
        timeout_keep_alive=config.idle_connection_seconds,
        factory=True,
        host=config.host,
        reload=reload,
        workers=workers,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        backlog=WAITING_CONNECTIONS,
        interface="asgi3",
        server_header=False,
        forwarded_allow_ips=list(config.trusted_proxies),
        ssl_certfile=config.ssl_certfile,
        ssl_keyfile=config.ssl_keyfile,
        timeout_graceful_shutdown=round(config.shutdown_grace_seconds) + _CONNECTIONS_GRACE_SECONDS,
    )


def run_here(options: uvicorn.Config, app: ASGIApp, listener: socket.socket) -> None:
    """Serve an application in this process until a signal ends it.

    Raises:
        typer.Exit: It could not start.
    """
    options.app = lambda: app
    server = uvicorn.Server(options)
    server.run(sockets=acceptors(listener))
    if not server.started:
        raise typer.Exit(STARTUP_FAILURE)


@contextmanager
def _shared_metrics(config: RuntimeConfig) -> Iterator[None]:
    if not config.metrics or MULTIPROCESS_VARIABLE in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="copilotkit-metrics-") as folder:
        os.environ[MULTIPROCESS_VARIABLE] = folder
        yield

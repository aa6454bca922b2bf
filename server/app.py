"""The runtime as a Starlette application, and as a part of one that exists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..wires.gateway import GatewayApplication
from ..wires.http.connection import connection_of
from ..wires.http.security_headers import security_headers
from ..wires.wire import EVERY_PATH
from .chat.page import front_routes, page_routes
from .graphiql.routes import graphiql_routes
from .probes import MetricsPage, ReadyProbe
from .stream_check import PATH as STREAM_CHECK
from .stream_check import StreamCheck

Lifespan: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


class OwnedPath(NamedTuple):
    """A path below the shared URL, and the application that answers there."""

    path: str
    application: ASGIApp


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What a runtime serves: the URL that its wires share, what they own below it, and the probes."""

    shared: ASGIApp
    health: ASGIApp
    missing: ASGIApp
    ready: ReadyProbe
    stream_check: StreamCheck
    metrics: MetricsPage | None = None
    owned: Sequence[OwnedPath] = ()
    chat: bool = False
    """Whether the chat page is served."""
    graphiql: bool = False
    """Whether browsers find GraphiQL on the shared URL."""

    def probes(self, base: str) -> list[BaseRoute]:
        """Return the routes that machines watch, below ``base``."""
        metrics = [Route(f"{base}/metrics", self.metrics.answer)] if self.metrics is not None else []
        check = Route(f"{base}{STREAM_CHECK}", self.stream_check.answer, methods=["POST"])
        return [Route(f"{base}/ready", self.ready.answer), check, *metrics]


def routes(endpoints: Endpoints, path: str) -> list[BaseRoute]:
    """Return the routes of a runtime that is served under ``path``: those first that most requests go to."""
    base = path.rstrip("/")
    below = [Route(f"{base}/", endpoints.shared)] if base else []
    own = [*below, Route(f"{base}/health", endpoints.health)]
    chat = page_routes(base) if endpoints.chat and base else []
    graphiql = graphiql_routes(base) if endpoints.graphiql else []
    words = _owned(endpoints, base, every=False)
    rest = _owned(endpoints, base, every=True) if base else []  # others may be served at the root too
    return [Route(base or "/", endpoints.shared), *words, *own, *chat, *graphiql, *endpoints.probes(base), *rest]


def _owned(endpoints: Endpoints, base: str, *, every: bool) -> list[BaseRoute]:
    """Return the routes that wires own below ``base``: those that take every path, or the others."""
    return [Route(f"{base}{path}", app) for path, app in endpoints.owned if (path == EVERY_PATH) is every]


class RuntimeApplication(Starlette):
    """An application that goes the short way where nothing between the server and its routes looks at what is sent.

    Starlette's own layers answer exceptions, which the gateway does itself, and the server in its place. A stream would
    keep a coroutine of each for as long as it is open, and pass through all of them whenever it is woken.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self.answer(scope, receive, send)

    def answer(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what answers a request: no coroutine around it, which each open stream would keep."""
        connection = connection_of(scope)
        application: ASGIApp | None = None
        if connection is not None:
            # Starlette's own middleware looks at the head of an answer alone.
            connection.direct = not self.user_middleware and connection.send == send
            if connection.direct and not self.exception_handlers and not self.debug:
                application = self._gateway_for(scope)
        if application is not None:
            return application(scope, receive, send)
        return super().__call__(scope, receive, _secured(scope, send))

    def _gateway_for(self, scope: Scope) -> ASGIApp | None:
        """Return the application of the gateway that answers a request, with its parameters in the scope, or None."""
        for route in self.router.routes:
            match, found = route.matches(scope)
            if match is Match.NONE:
                continue
            if match is Match.PARTIAL or not isinstance(route, Route) or not isinstance(route.app, GatewayApplication):
                return None
            scope.update(found, app=self, router=self.router, route=route)
            return route.app
        return None


def _secured(scope: Scope, send: Send) -> Send:
    """Return what sends an answer with the headers that the gateway's answers have: pages, probes and redirects too."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in security_headers(scope):
                headers.setdefault(name, value)
        await send(message)

    return sending


def create_app(endpoints: Endpoints, path: str, lifespan: Lifespan) -> Starlette:
    """Return an application that serves a runtime and nothing else."""

    @asynccontextmanager
    async def around(_app: Starlette) -> AsyncIterator[None]:
        async with lifespan():
            yield

    anywhere = [Route("/{prefix:path}/health", endpoints.health), Route("/health", endpoints.health)]
    base = path.rstrip("/")
    prefix = "/{prefix:path}"
    behind_prefix = routes(endpoints, f"{prefix}{base}") if base else [Route(prefix, endpoints.shared)]
    elsewhere = Route("/{path:path}", endpoints.missing)
    front = front_routes(base, graphiql=endpoints.graphiql) if endpoints.chat else []
    own = [*routes(endpoints, path), *front, *endpoints.probes("")]
    return RuntimeApplication(routes=[*own, *anywhere, *behind_prefix, elsewhere], lifespan=around)


def create_probes(
    endpoints: Endpoints, lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]]
) -> Starlette:
    """Return an application that serves what machines watch, and nothing else."""
    health = Route("/health", endpoints.health)
    missing = Route("/{path:path}", endpoints.missing)
    return Starlette(routes=[health, *endpoints.probes(""), missing], lifespan=lifespan)


def mount(app: Starlette, endpoints: Endpoints, path: str, lifespan: Lifespan) -> None:
    """Add a runtime to an application; it starts and stops with that application's own lifespan."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def around(app_: Any) -> AsyncIterator[Any]:
        async with lifespan(), inner(app_) as state:
            yield state

    app.router.lifespan_context = around
    app.router.routes[:0] = routes(endpoints, path)

"""The runtime as a Starlette application, and as a part of one that exists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from ..wires.graphql.endpoint import GraphQLEndpoint
from ..wires.graphql.rest_extensions import RestEndpoint
from .probes import MetricsPage, ReadyProbe

Lifespan: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a runtime serves; what is None is switched off."""

    graphql: GraphQLEndpoint
    ready: ReadyProbe
    metrics: MetricsPage | None = None
    rest: RestEndpoint | None = None

    def probes(self, base: str) -> list[BaseRoute]:
        """The routes that machines watch, below ``base``."""
        metrics = [Route(f"{base}/metrics", self.metrics.answer)] if self.metrics is not None else []
        return [Route(f"{base}/ready", self.ready.answer), *metrics]

    def extensions(self, base: str) -> list[BaseRoute]:
        """The routes beside the contract, below ``base``."""
        if self.rest is None:
            return []
        return [Route(f"{base}/info", self.rest), Route(f"{base}/agents/{{agent:path}}/state", self.rest)]


def routes(endpoints: Endpoints, path: str) -> list[BaseRoute]:
    """The routes of a runtime that is served under ``path``."""
    base, graphql = path.rstrip("/"), endpoints.graphql
    below = [Route(f"{base}/", graphql)] if base else []
    own = [Route(f"{base}/health", graphql.health), Route(base or "/", graphql), *below]
    return [*own, *endpoints.probes(base), *endpoints.extensions(base)]


def create_app(endpoints: Endpoints, path: str, lifespan: Lifespan) -> Starlette:
    """An application that serves a runtime and nothing else."""

    @asynccontextmanager
    async def around(_app: Starlette) -> AsyncIterator[None]:
        async with lifespan():
            yield

    graphql = endpoints.graphql
    anywhere = [Route("/{prefix:path}/health", graphql.health), Route("/health", graphql.health)]
    behind_prefix = Route(f"/{{prefix:path}}{path.rstrip('/')}", graphql)
    elsewhere = Route("/{path:path}", graphql.missing)
    own = [*routes(endpoints, path), *endpoints.probes("")]
    return Starlette(routes=[*own, *anywhere, behind_prefix, elsewhere], lifespan=around)


def mount(app: Starlette, endpoints: Endpoints, path: str, lifespan: Lifespan) -> None:
    """Adds a runtime to an application; it starts and stops with that application's own lifespan."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def around(app_: Any) -> AsyncIterator[Any]:
        async with lifespan(), inner(app_) as state:
            yield state

    app.router.lifespan_context = around
    app.router.routes[:0] = routes(endpoints, path)

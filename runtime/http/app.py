"""The runtime as a Starlette application, and as a part of one that exists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from .endpoint import GraphQLEndpoint

Lifespan: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


def routes(endpoint: GraphQLEndpoint, path: str) -> list[BaseRoute]:
    """The routes of a runtime that is served under ``path``."""
    base = path.rstrip("/")
    below = [Route(f"{base}/", endpoint)] if base else []
    return [Route(f"{base}/health", endpoint.health), Route(base or "/", endpoint), *below]


def create_app(endpoint: GraphQLEndpoint, path: str, lifespan: Lifespan) -> Starlette:
    """An application that serves a runtime and nothing else."""

    @asynccontextmanager
    async def around(_app: Starlette) -> AsyncIterator[None]:
        async with lifespan():
            yield

    anywhere = [Route("/{prefix:path}/health", endpoint.health), Route("/health", endpoint.health)]
    behind_prefix = Route(f"/{{prefix:path}}{path.rstrip('/')}", endpoint)
    elsewhere = Route("/{path:path}", endpoint.missing)
    return Starlette(routes=[*routes(endpoint, path), *anywhere, behind_prefix, elsewhere], lifespan=around)


def mount(app: Starlette, endpoint: GraphQLEndpoint, path: str, lifespan: Lifespan) -> None:
    """Adds a runtime to an application; it starts and stops with that application's own lifespan."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def around(app_: Any) -> AsyncIterator[Any]:
        async with lifespan(), inner(app_) as state:
            yield state

    app.router.lifespan_context = around
    app.router.routes[:0] = routes(endpoint, path)

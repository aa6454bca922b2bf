"""Requests go past Starlette's layers where nothing there has to see them, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from copilotkit_runtime import CopilotRuntime
from scripts.benchmark.cost import WIRES
from scripts.benchmark.features import REQUESTS, Counting, ask


class _Looking:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _plain(_app: Starlette) -> None:
    pass


def _with_middleware(app: Starlette) -> None:
    app.add_middleware(_Looking)


def _with_handler(app: Starlette) -> None:
    app.add_exception_handler(LookupError, lambda _request, _error: None)  # type: ignore[arg-type]


def _debugged(app: Starlette) -> None:
    app.debug = True


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("change", "passes_layers"), [(_plain, 0), (_with_middleware, 1), (_with_handler, 1), (_debugged, 1)]
)
async def test_layers_are_passed_where_the_application_has_its_own(
    wire: str, change: Callable[[Starlette], None], passes_layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[Any] = []
    build = Starlette.build_middleware_stack

    def counting(app: Starlette) -> ASGIApp:
        stack = build(app)

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            passed.append(scope["path"])
            await stack(scope, receive, send)

        return counted

    monkeypatch.setattr(Starlette, "build_middleware_stack", counting)
    runtime = CopilotRuntime(providers=[Counting()], store="memory://")
    app = runtime.create_app()
    change(app)
    path, accept, request, last = REQUESTS[wire](2)
    async with runtime:
        written = await ask(app, path, accept, request)
    assert last.encode() in written
    assert len(passed) == passes_layers


async def test_a_route_that_the_application_puts_first_is_respected() -> None:
    answered: list[str] = []

    async def mine(request: Any) -> Any:
        answered.append(request.url.path)

        async def nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        return nothing

    runtime = CopilotRuntime(providers=[Counting()], store="memory://")
    app = runtime.create_app()
    path, accept, request, _ = REQUESTS["graphql"](2)
    app.router.routes.insert(0, Route(path, mine, methods=["POST"]))
    async with runtime:
        assert await ask(app, path, accept, request) == b""
    assert answered == [path]

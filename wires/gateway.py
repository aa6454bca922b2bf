"""The one way in: each request of every wire is admitted here, and nowhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..runtime.config import RuntimeConfig
from ..runtime.observability.instrumentation import Instruments
from .http.admission import Admission
from .http.body import read_json
from .http.cors import HeaderPairs
from .http.exchange import Exchange
from .http.refusal import Refusal
from .wire import Handler, Renderer, Wire

Dispatch: TypeAlias = Callable[[Exchange], Awaitable[None]]
CommonHeaders: TypeAlias = Callable[[Request], HeaderPairs]


class Gateway:
    """Admits requests and hands them to the wire that they are for.

    Args:
        config: The settings.
        admission: Finds out who asks, and how often they may.
        instruments: Count and trace requests.
        common_headers: Gives the headers that every answer to a request carries.
    """

    def __init__(
        self, config: RuntimeConfig, admission: Admission, instruments: Instruments, common_headers: CommonHeaders
    ) -> None:
        self._config = config
        self._admission = admission
        self._instruments = instruments
        self._common_headers = common_headers

    def shared(self, wires: Sequence[Wire]) -> ASGIApp:
        """Return the application of the URL that the wires share; the first wire gets what none claims."""

        async def dispatch(exchange: Exchange) -> None:
            page = next((page for wire in wires if (page := wire.page(exchange)) is not None), None)
            if page is not None:
                await exchange.page(page)
            else:
                await self._answer_shared(exchange, wires)

        return self._application(dispatch)

    def owned(self, renderer: Renderer, handler: Handler) -> ASGIApp:
        """Return the application of a path that one wire owns."""

        async def dispatch(exchange: Exchange) -> None:
            try:
                await handler(exchange, await self._admission.identify(exchange.request))
            except Refusal as refusal:
                await self._refuse(exchange, renderer, refusal)

        return self._application(dispatch)

    def fixed(self, status: int, headers: HeaderPairs) -> ASGIApp:
        """Return an application that answers every request alike."""

        async def dispatch(exchange: Exchange) -> None:
            await exchange.respond(status, headers=headers)

        return self._application(dispatch)

    def _application(self, dispatch: Dispatch) -> ASGIApp:
        return _Application(self, dispatch)

    async def serve(self, scope: Scope, receive: Receive, send: Send, dispatch: Dispatch) -> None:
        """Serve one request: what every request has, then ``dispatch``."""
        request = Request(scope, receive)
        exchange = Exchange(request, send, self._config, self._common_headers(request))
        with (
            structlog.contextvars.bound_contextvars(correlation_id=exchange.id),
            self._instruments.request(request.headers),
        ):
            if request.method == "OPTIONS":
                await exchange.preflight()
            else:
                await dispatch(exchange)

    async def _answer_shared(self, exchange: Exchange, wires: Sequence[Wire]) -> None:
        wire, request = wires[0], exchange.request
        try:
            _check_method(request)
            client = await self._admission.identify(request)
            body = await read_json(request, self._config.max_body_bytes)
            if isinstance(body.data, dict):
                wire = next((one for one in wires if one.accepts(body.data)), wire)
            await wire.answer(exchange, client, body)
        except Refusal as refusal:
            await self._refuse(exchange, wire, refusal)

    async def _refuse(self, exchange: Exchange, renderer: Renderer, refusal: Refusal) -> None:
        self._instruments.refused(refusal.status)
        status, headers, body = renderer.render(refusal, exchange)
        await exchange.respond(status, body, headers)


class _Application:
    # A class, because Starlette takes functions for handlers of requests and not for ASGI applications.

    def __init__(self, gateway: Gateway, dispatch: Dispatch) -> None:
        self._gateway = gateway
        self._dispatch = dispatch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gateway.serve(scope, receive, send, self._dispatch)


def _check_method(request: Request) -> None:
    if request.method not in ("GET", "POST"):
        raise Refusal("Method not allowed", 405, code="METHOD_NOT_ALLOWED", headers={"Allow": "GET, POST"})

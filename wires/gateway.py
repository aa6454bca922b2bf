"""The one way in: each request of every wire is admitted here, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from ..runtime.config import RuntimeConfig
from ..runtime.observability.instrumentation import Instruments
from ..runtime.observability.log_fields import LogFields
from .http.admission import Admission
from .http.body import BEGINNING_BYTES, Body, BodyLimits, BodyRefusal, UnreadBody, read_json
from .http.client import ClientRequest
from .http.connection import connection_of
from .http.cors import HeaderPairs
from .http.exchange import Exchange
from .http.open_streams import OpenStreams
from .http.refusal import Refusal
from .http.request import Request
from .http.request_log import RequestLog
from .wire import Renderer, Wire, WireRoute

Dispatch: TypeAlias = Callable[[Exchange], Awaitable[None]]
CommonHeaders: TypeAlias = Callable[[Request], HeaderPairs]

_NOTHING_ASKED = b'{"error":"method_not_allowed","message":"Post a request, or send a query."}'
_PEEK_SECONDS = 1.0


class Gateway:
    """Admits requests and hands them to the wire that they are for.

    Args:
        config: The settings.
        admission: Identifies the caller, and limits how often it may call.
        instruments: Count and trace requests.
        streams: Has the requests that are being answered.
        common_headers: Gives the headers that every answer to a request carries.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        admission: Admission,
        instruments: Instruments,
        streams: OpenStreams,
        common_headers: CommonHeaders,
    ) -> None:
        self._config = config
        self._admission = admission
        self._instruments = instruments
        self._streams = streams
        self._common_headers = common_headers

    def shared(self, wires: Sequence[Wire]) -> GatewayApplication:
        """Return the application of the URL that the wires share; the first wire gets what none claims."""

        def dispatch(exchange: Exchange) -> Awaitable[None]:
            if exchange.request.method == "POST":
                return self._answer_shared(exchange, wires)
            page = next((page for wire in wires if (page := wire.page(exchange)) is not None), None)
            if page is not None:
                return exchange.page(page.html, page.policy)
            if _asks_nothing(exchange.request):
                exchange.wildcard = True
                headers = [("content-type", "application/json"), ("allow", "GET, POST")]
                return exchange.respond(405, _NOTHING_ASKED, headers)
            return self._answer_shared(exchange, wires)

        return GatewayApplication(self, dispatch)

    def owned(self, renderer: Renderer, route: WireRoute) -> GatewayApplication:
        """Return the application of a path that one wire owns."""

        async def dispatch(exchange: Exchange) -> None:
            try:
                _check_origin(exchange)
                await route.handler(exchange, await self._admission.identify(exchange.request))
            except Refusal as refusal:
                await self._refuse(exchange, renderer, refusal)

        return GatewayApplication(self, dispatch, wildcard=route.wildcard)

    def fixed(self, status: int, headers: HeaderPairs, *, probe: bool = False) -> ASGIApp:
        """Return an application that answers every request alike.

        Args:
            status: The status of the answer.
            headers: Its headers.
            probe: Whether health checks go there, of which one comes every few seconds.
        """

        async def dispatch(exchange: Exchange) -> None:
            await exchange.respond(status, headers=headers)

        return GatewayApplication(self, dispatch, probe=probe)

    def missing(self) -> ASGIApp:
        """Return an application that answers what is served nowhere.

        The log names the endpoint, and so does the answer where clients may see errors: the newer ones show its text.
        """
        reason = f"Nothing is served at this path. The endpoint is {self._config.graphql_path}."
        shown = self._config.shows_errors
        body = msgspec.json.encode({"error": "not_found", "message": reason}) if shown else b""
        headers = [("content-type", "application/json")] if shown else []

        async def dispatch(exchange: Exchange) -> None:
            exchange.refused = reason
            await exchange.respond(404, body, headers)

        return GatewayApplication(self, dispatch)

    async def serve(self, exchange: Exchange, dispatch: Dispatch) -> None:
        """Serve one request: what every request has, then ``dispatch``."""
        request = exchange.request
        with (
            LogFields(correlation_id=exchange.id),
            self._instruments.request(exchange),
            RequestLog(exchange, all_requests=self._config.access_log),
        ):
            self._streams.add(exchange)
            try:
                await (exchange.preflight() if request.method == "OPTIONS" else dispatch(exchange))
            finally:
                self._streams.remove(exchange)

    def exchange(self, request: Request, send: Send) -> Exchange:
        """Return a request's way back."""
        connection = connection_of(request.scope)
        # Where nothing looks at the body on its way, it need not pass through the application's own middleware.
        send_body = connection.send if connection is not None and connection.direct else None
        return Exchange(request, send, self._config, self._common_headers(request), send_body)

    async def _answer_shared(self, exchange: Exchange, wires: Sequence[Wire]) -> None:
        wire, request = wires[0], exchange.request
        try:
            _check_method(request)
            client, body = await self._admit(request)
            wire = _wire_for(body, wires)
            await wire.answer(exchange, client, body)
        except _NotAdmitted as outside:
            refused = outside.refusal
            beginning = refused.beginning if isinstance(refused, BodyRefusal) else b""
            wire = _wire_of(beginning or await _first_bytes(request), wires)
            await self._refuse(exchange, wire, refused)
        except UnreadBody as unread:
            await self._refuse(exchange, _wire_of(await _first_bytes(request), wires), unread)
        except Refusal as refusal:
            await self._refuse(exchange, wire, refusal)

    async def _admit(self, request: Request) -> tuple[ClientRequest, Body]:
        try:
            return (
                await self._admission.identify(request),
                await read_json(request, BodyLimits.of(self._config)),
            )
        except Refusal as refusal:
            raise _NotAdmitted(refusal) from refusal

    async def _refuse(self, exchange: Exchange, renderer: Renderer, refusal: Refusal) -> None:
        self._instruments.refused(refusal.status)
        exchange.refused, exchange.cause = refusal.message, refusal.__cause__
        status, headers, body = renderer.render(refusal, exchange)
        await exchange.respond(status, body, headers)


class GatewayApplication:
    """An ASGI application that answers all its errors itself.

    A class, because Starlette takes functions for handlers of requests and not for ASGI applications.

    Args:
        gateway: Serves its requests.
        dispatch: What is particular to it.
        wildcard: Whether answers admit all origins by ``*``, where the settings admit all.
        probe: Whether health checks go there, of which one comes every few seconds.
    """

    def __init__(self, gateway: Gateway, dispatch: Dispatch, *, wildcard: bool = False, probe: bool = False) -> None:
        self._gateway = gateway
        self._dispatch = dispatch
        self._wildcard = wildcard
        self._probe = probe

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Return what answers a request: no coroutine around the other, which each open stream would keep."""
        exchange = self._gateway.exchange(Request(scope, receive), send)
        # A preflight on the shared URL may be for any wire, and all of them may be read by all origins alike.
        exchange.is_probe = self._probe
        exchange.wildcard = self._wildcard or exchange.request.method == "OPTIONS"
        return self._gateway.serve(exchange, self._dispatch)


class _NotAdmitted(Exception):  # noqa: N818 - carries a refusal to where it is rendered
    """A request was refused before it was known which wire it is for."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def _check_origin(exchange: Exchange) -> None:
    if exchange.skipped_preflight:
        raise Refusal("This origin may not post here.", 403)


async def _first_bytes(request: Request) -> bytes:
    """Return the beginning of a body that nobody has read: enough to see which wire it is for."""
    try:
        async with asyncio.timeout(_PEEK_SECONDS):
            async for chunk in request.stream():
                return chunk[:BEGINNING_BYTES]
    except (TimeoutError, RuntimeError, ClientDisconnect):
        return b""  # it was read, or never comes: the first wire answers
    return b""


def _wire_for(body: Body, wires: Sequence[Wire]) -> Wire:
    """Return the wire that claims a body, broken or not; the first one, if none does."""
    if body.fault is not None:
        return _wire_of(body.raw[:BEGINNING_BYTES], wires)
    claims = (one for one in wires if isinstance(body.data, dict) and one.accepts(body.data))
    return next(claims, wires[0])


def _wire_of(beginning: bytes, wires: Sequence[Wire]) -> Wire:
    found = {key: beginning.find(b'"%b"' % key.encode()) for key in ("query", "method")}
    keys = sorted((at, key) for key, at in found.items() if at >= 0)
    first = {keys[0][1]: ""} if keys else {}
    return next((wire for wire in wires if wire.accepts(first)), wires[0])


def _asks_nothing(request: Request) -> bool:
    """Return whether a GET brings no query, and no wish for a format of GraphQL's: no wire has an answer to it."""
    if request.method not in ("GET", "HEAD") or {"query", "extensions"} & request.query_params.keys():
        return False
    accept = request.headers.get("accept", "")
    return not any(kind in accept for kind in ("json", "multipart", "event-stream"))


def _check_method(request: Request) -> None:
    if request.method not in ("GET", "POST"):
        raise Refusal("Method not allowed", 405, code="METHOD_NOT_ALLOWED", headers={"Allow": "GET, POST"})

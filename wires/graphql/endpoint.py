"""The GraphQL endpoint: one ASGI application for every method on its path."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import structlog
from graphql import GraphQLSchema, OperationType
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ...runtime.config import EMULATED_VERSION, RuntimeConfig
from ...runtime.observability.instrumentation import Instruments
from ...runtime.service import RuntimeService
from ..http.admission import Admission
from ..http.cors import HeaderPairs, cors_headers, preflight_headers
from ..http.request_id import HEADER, correlation_id
from ..http.security_headers import security_headers
from ..http.streaming import UNBUFFERED, unless_disconnected, write_parts
from .complexity import DocumentLimits
from .context import GraphQLContext
from .documents import DocumentCache
from .errors import RequestError, bad_request
from .execution import Execution, GraphQLRequest
from .formats import FRAMINGS, Format, acceptable, header_pairs, negotiate, whole_body
from .graphiql import graphiql_page
from .incremental_result import IncrementalAnswer
from .parameters import UnsupportedMediaTypeError, read_parameters

_CLIENT_VERSION = "x-copilotkit-runtime-client-gql-version"
_RUNTIME_VERSION = "x-copilotkit-runtime-version"
_LENIENT = (400, 405)  # what the original answers with 200 to those who read a stream; the other statuses are ours
_VERSION = re.compile(r"\d+\.\d+\.\d+[0-9A-Za-z.+-]{0,40}")


class GraphQLEndpoint:
    """Answers GraphQL requests, preflights, GraphiQL and nothing else.

    Args:
        service: What resolvers call.
        schema: The executable schema.
        admission: Lets requests in, or not.
        instruments: Told of requests.
        ready: Awaited before the first operation of a request, so that a runtime mounted on an application
            without lifespan starts too.
    """

    def __init__(
        self,
        service: RuntimeService,
        schema: GraphQLSchema,
        admission: Admission,
        instruments: Instruments,
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        self._service = service
        self._config = service.config
        self._execution = Execution(schema)
        self._documents = DocumentCache(
            schema, introspection=self._config.introspection, limits=_document_limits(self._config)
        )
        self._admission = admission
        self._instruments = instruments
        self._ready = ready
        self.health = _Fixed(self, 200, [("x-yoga-id", "yoga")])
        self.missing = _Fixed(self, 404, [])

    def exchange(self, request: Request, send: Send) -> _Exchange:
        """A request's way back."""
        return _Exchange(request, send, self._config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope, receive)
        exchange = self.exchange(request, send)
        with (
            structlog.contextvars.bound_contextvars(correlation_id=exchange.id),
            self._instruments.request(request.headers),
        ):
            await self._dispatch(request, exchange)

    async def _dispatch(self, request: Request, exchange: _Exchange) -> None:
        if request.method == "OPTIONS":
            await exchange.preflight()
        elif self._wants_graphiql(request):
            await exchange.page(graphiql_page())
        else:
            await self._answer(request, exchange)

    def _wants_graphiql(self, request: Request) -> bool:
        accepts_html = "text/html" in request.headers.get("accept", "")
        return (
            self._config.graphiql and request.method == "GET" and accepts_html and "query" not in request.query_params
        )

    async def _answer(self, request: Request, exchange: _Exchange) -> None:
        try:
            await self._execute(request, exchange)
        except UnsupportedMediaTypeError:
            await exchange.respond(415)
        except RequestError as error:
            self._instruments.refused(error.status)
            await exchange.refuse(error)

    async def _execute(self, request: Request, exchange: _Exchange) -> None:
        if request.method not in ("GET", "POST"):
            raise bad_request("GraphQL only supports GET and POST requests.", status=405, allow="GET, POST")
        client = await self._admission.identify(request)
        parameters = await read_parameters(request, self._config.max_body_bytes)
        document = self._documents.get(parameters.query)
        operation = document.operation(parameters.operation_name)
        if request.method == "GET" and operation.operation is not OperationType.QUERY:
            raise bad_request("Can only perform a mutation operation from a POST request.", status=405, allow="POST")
        count = document.root_fields(operation)
        await self._admission.charge(client, count)
        self._admission.check_variables(parameters.variables)
        incremental = document.incremental(operation, parameters.variables)
        format_ = negotiate(request.headers.get("accept"), incremental=incremental)
        if format_ is None:
            await exchange.respond(406, headers=[("accept", acceptable(incremental=incremental))])
            return
        await self._ready()
        asked = GraphQLRequest(document.ast, parameters.variables, parameters.operation_name)
        context = GraphQLContext(service=self._service, client=client)
        runs = count if operation.operation is OperationType.MUTATION else 0
        async with self._admission.running(client, runs, context.runs):
            await self._deliver(exchange, format_, asked, context, incremental=incremental)

    async def _deliver(
        self,
        exchange: _Exchange,
        format_: Format,
        asked: GraphQLRequest,
        context: GraphQLContext,
        *,
        incremental: bool,
    ) -> None:
        work = self._stream if incremental else self._whole
        try:
            await unless_disconnected(exchange.receive, work(exchange, format_, asked, context))
        finally:
            for run in context.runs:
                await self._service.release(run)

    async def _whole(
        self, exchange: _Exchange, format_: Format, asked: GraphQLRequest, context: GraphQLContext
    ) -> None:
        payload = await self._execution.whole(asked, context)
        await exchange.respond(200, whole_body(format_, payload), [("content-type", format_.content_type)])

    async def _stream(
        self, exchange: _Exchange, format_: Format, asked: GraphQLRequest, context: GraphQLContext
    ) -> None:
        answer = await self._execution.incremental(asked, context)
        if not isinstance(answer, IncrementalAnswer):
            whole = negotiate(exchange.accept, incremental=False) or format_
            await exchange.respond(200, whole_body(whole, answer), [("content-type", whole.content_type)])
            return
        await exchange.begin(200, [("content-type", format_.content_type), *UNBUFFERED])
        with self._instruments.streaming():
            await write_parts(exchange.send, FRAMINGS[format_], answer)


class _Fixed:
    """Answers every request alike, save preflights."""

    def __init__(self, endpoint: GraphQLEndpoint, status: int, headers: HeaderPairs) -> None:
        self._endpoint = endpoint
        self._status = status
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        exchange = self._endpoint.exchange(request, send)
        if request.method == "OPTIONS":
            await exchange.preflight()
        else:
            await exchange.respond(self._status, headers=self._headers)


class _Exchange:
    """One request's way back: every answer carries the version and cross-origin headers."""

    def __init__(self, request: Request, send: Send, config: RuntimeConfig) -> None:
        self.receive = request.receive
        self.send = send
        self.accept = request.headers.get("accept")
        self.id = correlation_id(request.headers)
        self._request = request
        self._cors = (config.cors_origins, config.cors_credentials)

    async def begin(self, status: int, headers: HeaderPairs) -> None:
        common = [
            (_RUNTIME_VERSION, _version_for(self._request)),
            (HEADER, self.id),
            *security_headers(self._request),
        ]
        if self._request.method != "OPTIONS":
            common += cors_headers(self._request.headers, *self._cors)
        await self.send({"type": "http.response.start", "status": status, "headers": header_pairs([*headers, *common])})

    async def respond(self, status: int, body: bytes = b"", headers: HeaderPairs | None = None) -> None:
        await self.begin(status, [*(headers or []), ("content-length", str(len(body)))])
        await self.send({"type": "http.response.body", "body": body})

    async def preflight(self) -> None:
        await self.respond(204, headers=preflight_headers(self._request.headers, *self._cors))

    async def page(self, html: str) -> None:
        await self.respond(200, html.encode(), [("content-type", "text/html; charset=utf-8")])

    async def refuse(self, error: RequestError) -> None:
        strict = error.status not in _LENIENT
        format_ = negotiate(self.accept, incremental=False) or (Format.JSON if strict else None)
        if format_ is None:
            await self.respond(406, headers=[("accept", acceptable(incremental=False))])
            return
        lenient = not strict and (format_ is Format.EVENT_STREAM or (format_ is Format.JSON and error.spec))
        body = whole_body(format_, {"errors": error.errors})
        headers = [("content-type", format_.content_type), *error.headers.items()]
        await self.respond(200 if lenient else error.status, body, headers)


def _version_for(request: Request) -> str:
    """The client's own version, since any other makes it show a mismatch (docs/contract.md, section 1.3)."""
    version = request.headers.get(_CLIENT_VERSION, "")
    return version if _VERSION.fullmatch(version) else EMULATED_VERSION


def _document_limits(config: RuntimeConfig) -> DocumentLimits:
    return DocumentLimits(
        tokens=config.max_document_tokens,
        depth=config.max_document_depth,
        aliases=config.max_document_aliases,
        directives=config.max_document_directives,
    )

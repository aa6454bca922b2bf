"""GraphQL over HTTP: the wire of the contract."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from graphql import GraphQLSchema, OperationDefinitionNode, OperationType
from starlette.requests import Request

from ...runtime.config import EMULATED_VERSION, RuntimeConfig
from ...runtime.observability.instrumentation import Instruments
from ...runtime.service import RuntimeService
from ..http.admission import Admission
from ..http.batching import Batching
from ..http.body import Body, UnreadBody
from ..http.client import ClientRequest
from ..http.connection import unless_disconnected
from ..http.cors import HeaderPairs
from ..http.exchange import Exchange
from ..http.keep_alive import KeepAliveClock
from ..http.refusal import Refusal, busy
from ..http.streaming import PING_SECONDS, UNBUFFERED, write_parts
from ..wire import Page, Rendered, WireRoute
from .complexity import DocumentLimits
from .context import GraphQLContext
from .documents import DocumentCache
from .errors import RequestError, bad_request, refusal_errors
from .execution import Execution, GraphQLRequest
from .formats import FRAMINGS, Format, acceptable, negotiate, whole_body
from .graphiql import POLICY, graphiql_page
from .incremental_result import IncrementalAnswer
from .parameters import Parameters, read_parameters
from .variables import check_variables

_CLIENT_VERSION = "x-copilotkit-runtime-client-gql-version"
_RUNTIME_VERSION = "x-copilotkit-runtime-version"
_LENIENT = (400, 405)  # what the original answers with 200 to those who read a stream; the other statuses are ours
_VERSION = re.compile(r"\d+\.\d+\.\d+[0-9A-Za-z.+-]{0,40}")


class GraphQLWire:
    """Speaks the contract: GraphQL, GraphiQL, and its own shape of refusals.

    Args:
        service: Called by the resolvers.
        schema: The executable schema.
        admission: Counts operations and runs.
        instruments: Count and trace answers.
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
        self._execution = Execution(
            schema, suggestions=self._config.introspection, shows_errors=self._config.shows_errors
        )
        self._documents = DocumentCache(
            schema, introspection=self._config.introspection, limits=_document_limits(self._config)
        )
        self._admission = admission
        self._instruments = instruments
        self._ready = ready
        self._clock = KeepAliveClock(PING_SECONDS)

    def routes(self) -> Sequence[WireRoute]:
        """Return no routes: the wire has the shared URL alone."""
        return ()

    def accepts(self, body: Mapping[str, Any]) -> bool:
        """Return whether a JSON object is a GraphQL request."""
        return body.get("query") is not None

    def page(self, exchange: Exchange) -> Page | None:
        """Return GraphiQL for a browser that opens the URL."""
        request = exchange.request
        opened = request.method == "GET" and "query" not in request.query_params
        wanted = self._config.graphiql and opened and "text/html" in request.headers.get("accept", "")
        return Page(graphiql_page(request.url.path), POLICY) if wanted else None

    async def answer(self, exchange: Exchange, client: ClientRequest, body: Body) -> None:
        """Answer one request.

        Raises:
            Refusal: Nothing was executed.
        """
        parameters = await read_parameters(exchange.request, body, self._config.max_body_bytes)
        body.release()
        request, operation = self._read(exchange, parameters)
        del parameters
        await self._execute(exchange, client, request, operation)

    def render(self, refusal: Refusal, exchange: Exchange) -> Rendered:
        """Return a refusal in the format that the client reads."""
        if isinstance(refusal, UnreadBody):
            return Rendered(415, [], b"")
        strict = refusal.status not in _LENIENT
        format_ = negotiate(exchange.accept, incremental=False) or (Format.JSON if strict else None)
        if format_ is None:
            return Rendered(406, [("accept", acceptable(incremental=False))])
        spec = isinstance(refusal, RequestError) and refusal.spec
        lenient = not strict and (format_ is Format.EVENT_STREAM or (format_ is Format.JSON and spec))
        body = whole_body(format_, {"errors": refusal_errors(_worded(refusal))})
        headers = [("content-type", format_.content_type), *refusal.headers.items()]
        return Rendered(200 if lenient else refusal.status, headers, body)

    def _read(self, exchange: Exchange, parameters: Parameters) -> tuple[GraphQLRequest, OperationDefinitionNode]:
        document = self._documents.get(parameters.query)
        operation = document.operation(parameters.operation_name)
        if exchange.request.method == "GET" and operation.operation is not OperationType.QUERY:
            raise bad_request("Can only perform a mutation operation from a POST request.", status=405, allow="POST")
        return GraphQLRequest(document, parameters.variables, parameters.operation_name), operation

    async def _execute(
        self, exchange: Exchange, client: ClientRequest, request: GraphQLRequest, operation: OperationDefinitionNode
    ) -> None:
        count = request.document.root_fields(operation)
        await self._admission.charge(client, count)
        check_variables(request.variables, self._config)
        incremental = request.document.incremental(operation, request.variables)
        format_ = negotiate(exchange.accept, incremental=incremental)
        if format_ is None:
            await exchange.respond(406, headers=[("accept", acceptable(incremental=incremental))])
            return
        await self._ready()
        context = GraphQLContext(service=self._service, client=client, runs=exchange.runs)
        runs = count if operation.operation is OperationType.MUTATION else 0
        work = self._stream if incremental else self._whole
        with self._admission.running(client, runs, context.runs):
            try:
                await unless_disconnected(exchange, work(exchange, format_, request, context))
            finally:
                for run in context.runs:
                    await self._service.leave(run, cancel=self._config.on_disconnect == "cancel")

    async def _whole(
        self, exchange: Exchange, format_: Format, request: GraphQLRequest, context: GraphQLContext
    ) -> None:
        payload = await self._execution.whole(request, context)
        _check_accepted(context)
        exchange.note_refusal(context.refused)
        await exchange.respond(200, whole_body(format_, payload), [("content-type", format_.content_type)])

    async def _stream(
        self, exchange: Exchange, format_: Format, request: GraphQLRequest, context: GraphQLContext
    ) -> None:
        answer = await self._execution.incremental(request, context)
        _check_accepted(context)
        exchange.note_refusal(context.refused)
        if not isinstance(answer, IncrementalAnswer):
            whole = negotiate(exchange.accept, incremental=False) or format_
            await exchange.respond(200, whole_body(whole, answer), [("content-type", whole.content_type)])
            return
        await exchange.begin(200, [("content-type", format_.content_type), *UNBUFFERED])
        with self._instruments.streaming():
            batching = Batching(self._config.stream_batch_seconds)
            await write_parts(exchange, FRAMINGS[format_], answer, self._clock, batching)


def _check_accepted(context: GraphQLContext) -> None:
    """Refuse a request as a whole if its run was not accepted for now: clients repeat it by its status.

    Raises:
        Refusal: It was not.
    """
    if context.later is not None and not context.runs:
        raise busy(context.later, context.later.retry_after)


def version_headers(request: Request) -> HeaderPairs:
    """Return the version of the runtime that the contract puts on every answer."""
    return [(_RUNTIME_VERSION, _version_for(request))]


def _worded(refusal: Refusal) -> Refusal:
    if refusal.code == "METHOD_NOT_ALLOWED":
        return bad_request("GraphQL only supports GET and POST requests.", status=refusal.status)
    return refusal


def _version_for(request: Request) -> str:
    """Return the client's own version: any other makes it show a mismatch (docs/contract.md, section 1.3)."""
    version = request.headers.get(_CLIENT_VERSION, "")
    return version if _VERSION.fullmatch(version) else EMULATED_VERSION


def _document_limits(config: RuntimeConfig) -> DocumentLimits:
    return DocumentLimits(
        characters=config.max_document_characters,
        tokens=config.max_document_tokens,
        depth=config.max_document_depth,
        aliases=config.max_document_aliases,
        directives=config.max_document_directives,
    )

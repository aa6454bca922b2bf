"""The AG-UI wire: REST below the shared URL, and envelopes on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import structlog
from starlette.requests import Request

from ...runtime.errors import CopilotKitError
from ...runtime.service import RuntimeService
from ..http.admission import Admission
from ..http.body import FORM_TYPES, Body, BodyLimits, UnreadBody, check_size, content_type_of, read_body
from ..http.client import ClientRequest
from ..http.credentials import Credentials
from ..http.exchange import Exchange
from ..http.keep_alive import KeepAliveClock
from ..http.refusal import Refusal
from ..wire import EVERY_PATH, Page, Rendered, WireRoute
from .call import Call, given_body
from .debug_feed import DebugFeed
from .envelope import read_envelope
from .info import Abilities, runtime_info
from .refusals import JSON_HEADERS, JsonRefusal, encode_refusal, invalid_request, known_refusal, not_found, respond_json
from .routing import find_target
from .runs import Runs
from .threads import ThreadOperations
from .transcription import Transcription

log = structlog.get_logger(__name__)

Operation = Callable[[Exchange, ClientRequest, Call], Awaitable[None]]

_INFO_FAILED = "Failed to retrieve runtime information"
_MISSING_INTELLIGENCE = "Missing CopilotKitIntelligence configuration. {} to be provided in CopilotRuntime options."
_PRIVATE = [("cache-control", "no-store, private")]


class AGUIWire:
    """Speaks to CopilotKit clients from 1.50 on, and to bare AG-UI clients.

    Args:
        service: Runs agents.
        admission: Counts operations and runs.
        ready: Awaited before the first operation of a request, so that a runtime mounted on an application without
            lifespan starts too.
        transcription: Turns recordings into text.
        streaming: Watches the streaming of an answer in a block.
    """

    def __init__(
        self,
        service: RuntimeService,
        admission: Admission,
        ready: Callable[[], Awaitable[None]],
        transcription: Transcription | None = None,
        *,
        streaming: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._service = service
        self._config = service.config
        self._admission = admission
        self._ready = ready
        self._transcription = transcription or Transcription(None)
        clock = KeepAliveClock(self._config.keep_alive_seconds)
        self._feed = DebugFeed(clock)
        self._runs = Runs(service, admission, clock, self._feed if self._config.debug_events else None, streaming)
        self._threads = ThreadOperations(service, lists=self._lists_threads())
        self._operations: Mapping[str, Operation] = {
            "info": self._info,
            "run": self._runs.run,
            "connect": self._runs.connect,
            "stop": self._stop,
            "suggest": self._runs.suggest,
            "threads": self._threads.list,
            "thread_messages": self._threads.messages,
            "thread_events": self._threads.events,
            "thread_state": self._threads.state,
            "update_thread": self._threads.update,
            "archive_thread": self._threads.archive,
            "delete_thread": self._threads.delete,
            "subscribe": self._no_intelligence,
            "clear": self._not_found,
            "annotate": self._no_annotations,
            "transcribe": self._transcribe,
            "debug_events": self._debug_events,
            "inspector_metadata": self._inspector_metadata,
            "inspector_learning": self._inspector_learning,
        }

    def routes(self) -> Sequence[WireRoute]:
        """Return the routes of the wire's own words, and of everything else: paths are matched as they were sent."""
        words = WireRoute("/{suffix:agui}", self._answer_path, wildcard=True)
        return (words, WireRoute(EVERY_PATH, self._answer_path, wildcard=True))

    def accepts(self, body: Mapping[str, Any]) -> bool:
        """Return whether a JSON object is an envelope."""
        return isinstance(body.get("method"), str) and body.get("query") is None

    def page(self, exchange: Exchange) -> Page | None:
        """Return None: the wire has no page."""
        return None

    async def answer(self, exchange: Exchange, client: ClientRequest, body: Body) -> None:
        """Answer an envelope.

        Raises:
            Refusal: It cannot be answered.
        """
        exchange.wildcard = True
        if body.fault is not None:
            raise invalid_request(f"The body is not JSON: {body.fault}")
        envelope = read_envelope(body.data)
        call = Call(target=envelope.target, body=given_body(envelope.body), query=envelope.query, single_route=True)
        body.release()
        del envelope
        await self._perform(exchange, client, call)

    def render(self, refusal: Refusal, exchange: Exchange) -> Rendered:
        """Return a refusal as JSON."""
        exchange.wildcard = True
        return Rendered(refusal.status, [*JSON_HEADERS, *refusal.headers.items()], encode_refusal(refusal))

    async def _answer_path(self, exchange: Exchange, client: ClientRequest) -> None:
        request = exchange.request
        target = find_target(request.method, _sent_suffix(exchange, request.path_params["suffix"]))
        if target.operation == "transcribe":
            self._transcription.check_configured()
        raw = b"" if request.method == "GET" else await self._read(request)
        body = given_body(raw)
        if body.text and target.operation != "transcribe" and content_type_of(request).lower() in FORM_TYPES:
            raise UnreadBody
        check_size(len(raw), body.data, BodyLimits.of(self._config))
        call = Call(target=target, body=body, raw=raw, query=request.scope["query_string"].decode("utf-8", "replace"))
        del raw, body
        await self._perform(exchange, client, call)

    async def _read(self, request: Request) -> bytes:
        return await read_body(request, BodyLimits.of(self._config).whole)

    async def _perform(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        operation = self._operations.get(call.target.operation)
        if operation is None:
            raise not_found()
        await self._admission.charge(client, 1)
        await self._ready()
        try:
            await operation(exchange, client, call)
        except Refusal:
            raise
        except CopilotKitError as error:
            raise known_refusal(error) from error
        except Exception as error:
            log.exception("request_failed", operation=call.target.operation)
            raise JsonRefusal(500, {"error": "internal_error"}) from error

    async def _info(self, exchange: Exchange, _client: ClientRequest, call: Call) -> None:
        try:
            info = await runtime_info(self._service, self._abilities(), single_route=call.single_route)
        except Exception as error:
            log.exception("info_failed")
            raise JsonRefusal(500, {"error": _INFO_FAILED, "message": "The agents cannot be listed."}) from error
        await respond_json(exchange, info)

    def _abilities(self) -> Abilities:
        return Abilities(
            transcription=self._transcription.configured,
            list_threads=self._threads.lists,
            inspect_threads=True,
            change_threads=True,
        )

    def _lists_threads(self) -> bool:
        """Return whether threads may be listed: who can list can read everything, where nobody is authenticated."""
        if self._config.list_threads is not None:
            return self._config.list_threads
        return self._admission.authenticates or self._config.env == "development"

    async def _stop(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        await self._runs.stop(exchange, client, call.target.names, call.optional_json)

    async def _transcribe(self, exchange: Exchange, _client: ClientRequest, call: Call) -> None:
        content_type = "" if call.single_route else exchange.request.headers.get("content-type", "")
        await respond_json(exchange, await self._transcription.answer(content_type, call.raw, call.body))

    async def _debug_events(self, exchange: Exchange, client: ClientRequest, _call: Call) -> None:
        if not self._config.debug_events:
            raise not_found()
        if self._admission.authenticates and client.identity not in self._config.admins:
            raise JsonRefusal(403, {"error": "forbidden", "message": "Only administrators may read these events."})
        await self._feed.answer(exchange, Credentials(self._admission, exchange.request, client))

    async def _no_intelligence(self, exchange: Exchange, _client: ClientRequest, _call: Call) -> None:
        what = "Thread operations require a CopilotKitIntelligence instance"
        await respond_json(exchange, {"error": _MISSING_INTELLIGENCE.format(what)}, 422)

    async def _no_annotations(self, exchange: Exchange, _client: ClientRequest, _call: Call) -> None:
        what = "annotate requires a CopilotKitIntelligence instance"
        await respond_json(exchange, {"error": _MISSING_INTELLIGENCE.format(what)}, 422)

    async def _not_found(self, _exchange: Exchange, _client: ClientRequest, _call: Call) -> None:
        raise not_found()

    async def _inspector_metadata(self, exchange: Exchange, _client: ClientRequest, _call: Call) -> None:
        await exchange.respond(204, headers=list(_PRIVATE))

    async def _inspector_learning(self, exchange: Exchange, _client: ClientRequest, _call: Call) -> None:
        headers = [("content-type", "application/json"), *_PRIVATE]
        await exchange.respond(404, b'{"error":"Not found"}', headers)


def _sent_suffix(exchange: Exchange, decoded: str) -> str:
    """Return the path below the shared URL as it was sent: escaped slashes in ids are not slashes."""
    raw = exchange.request.scope.get("raw_path")
    if raw is None or b"%" not in raw:
        return f"/{decoded}"
    sent: str = raw.split(b"?", 1)[0].decode("latin-1")
    return sent[len(sent) - _escaped_length(sent, decoded) - 1 :]


def _escaped_length(sent: str, decoded: str) -> int:
    """Return how many characters at the end of ``sent`` stand for ``decoded``."""
    at, left = len(sent), len(decoded.encode("utf-8", "replace"))
    while left > 0 and at > 0:
        at -= 3 if at >= 3 and sent[at - 3] == "%" else 1
        left -= 1
    return len(sent) - at

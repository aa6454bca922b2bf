"""REST endpoints beside the contract: the runtime and its agents, and an agent's state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ...runtime.error_texts import to_public_error
from ...runtime.errors import (
    AgentNotFoundError,
    CopilotKitError,
    InputTooLargeError,
    MisuseError,
    ThreadNotFoundError,
)
from ...runtime.json_text import decode_client_json
from ...runtime.redaction import shortened
from ...runtime.shown_state import shown_state
from ...runtime.stores.errors import StateEncodingError, StateTooLargeError, StoreKeyError
from ...runtime.stores.interface import AgentState
from ..http.admission import Admission
from ..http.body import content_type_of, read_body
from ..http.client import ClientRequest
from ..http.exchange import Exchange
from ..http.refusal import Refusal, refusal
from ..wire import Rendered, WireRoute
from .errors import bad_request, refusal_errors
from .state_messages import state_messages

if TYPE_CHECKING:
    from ...runtime.service import RuntimeService

_JSON = [("content-type", "application/json; charset=utf-8"), ("cache-control", "no-store")]


class SaveState(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that saves an agent's state on a thread."""

    thread_id: str
    state: dict[str, Any]


class RestExtensions:
    """Answers what the contract has no place for.

    Args:
        service: The runtime's service.
        admission: Counts requests.
        ready: Awaited before the service is called.
    """

    def __init__(self, service: RuntimeService, admission: Admission, ready: Callable[[], Awaitable[None]]) -> None:
        self._service = service
        self._admission = admission
        self._ready = ready

    def routes(self) -> Sequence[WireRoute]:
        """Return the paths of the extensions, below the shared URL."""
        return (WireRoute("/agents/{agent:path}/state", self.state),)

    async def state(self, exchange: Exchange, client: ClientRequest) -> None:
        """Answer with an agent's state on a thread, or save it."""
        _check_method(exchange, "GET", "PUT")
        agent = exchange.request.path_params["agent"]
        if exchange.request.method == "GET":
            thread_id = exchange.request.query_params.get("threadId", "")
            await self._respond(exchange, client, lambda: self._state(agent, thread_id, client))
        else:
            await self._respond(exchange, client, lambda: self._save(agent, exchange, client))

    def render(self, refusal: Refusal, exchange: Exchange) -> Rendered:
        """Return a refusal as JSON."""
        body = msgspec.json.encode({"errors": refusal_errors(refusal)})
        return Rendered(refusal.status, [*_JSON, *refusal.headers.items()], body)

    async def _respond(self, exchange: Exchange, client: ClientRequest, work: Callable[[], Awaitable[Any]]) -> None:
        try:
            await self._admission.charge(client, 1)
            await self._ready()
            answer = await work()
        except CopilotKitError as error:
            raise refusal(error, _status_of(error)) from error
        except Refusal:
            raise
        except Exception as error:
            raise refusal(to_public_error(error), 500) from error
        await exchange.respond(200, msgspec.json.encode(answer), _JSON)

    async def _state(self, agent: str, thread_id: str, client: ClientRequest) -> dict[str, Any]:
        if not thread_id:
            raise bad_request("Must provide threadId.")
        kept = await self._service.load_agent_state(thread_id=thread_id, agent_name=agent, identity=client.identity)
        state = kept or AgentState()
        return {
            "threadId": thread_id,
            "threadExists": kept is not None,
            "state": shown_state(state.state),
            "messages": state_messages(state.messages),
        }

    async def _save(self, agent: str, exchange: Exchange, client: ClientRequest) -> dict[str, Any]:
        body = await self._body(exchange)
        await self._service.save_agent_state(
            thread_id=body.thread_id, agent_name=agent, state=body.state, identity=client.identity
        )
        return {"threadId": body.thread_id, "saved": True}

    async def _body(self, exchange: Exchange) -> SaveState:
        if content_type_of(exchange.request) != "application/json":
            raise bad_request("The body must be application/json.", status=415)
        body = await read_body(exchange.request, self._service.config.max_body_bytes)
        try:
            return msgspec.convert(decode_client_json(body), SaveState)
        except msgspec.DecodeError as error:  # of values of wrong types, too
            raise bad_request(f"The body is not a state to save: {shortened(str(error))}") from error


def _status_of(error: CopilotKitError) -> int:
    match error:
        case AgentNotFoundError() | ThreadNotFoundError():
            return 404
        case InputTooLargeError() | StateTooLargeError():
            return 413
        case StoreKeyError() | StateEncodingError() | MisuseError():
            return 400
    return 503


def _check_method(exchange: Exchange, *allowed: str) -> None:
    if exchange.request.method not in allowed:
        allow = ", ".join(allowed)
        raise bad_request(f"Only {allow} are answered here.", status=405, allow=allow)

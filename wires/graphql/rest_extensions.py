"""REST endpoints beside the contract: what the runtime is, and an agent's state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ...runtime.errors import AgentNotFoundError, CopilotKitError, ThreadNotFoundError, to_public_error
from ...runtime.info import runtime_info
from ...runtime.request import ClientRequest
from ...runtime.stores.interface import AgentState
from ..http.admission import Admission, refusal
from .errors import RequestError, bad_request
from .parameters import read_body
from .state_messages import state_messages

if TYPE_CHECKING:
    from ...runtime.service import RuntimeService
    from .endpoint import GraphQLEndpoint

_NOT_FOUND = (AgentNotFoundError, ThreadNotFoundError)
_JSON = [("content-type", "application/json; charset=utf-8"), ("cache-control", "no-store")]


class SaveState(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that saves an agent's state on a thread."""

    thread_id: str
    state: dict[str, Any]


class RestExtensions:
    """Answers what the contract has no place for.

    Args:
        service: What is asked.
        admission: Lets requests in, or not.
        ready: Awaited before anything is asked.
    """

    def __init__(self, service: RuntimeService, admission: Admission, ready: Callable[[], Awaitable[None]]) -> None:
        self._service = service
        self._admission = admission
        self._ready = ready

    async def answer(self, request: Request) -> Any:
        """What a request asks for.

        Raises:
            RequestError: It is refused.
        """
        client = await self._admission.identify(request)
        await self._admission.charge(client, 1)
        await self._ready()
        agent = request.path_params.get("agent")
        try:
            if agent is None:
                return runtime_info(await self._service.available_agents())
            if request.method == "GET":
                return await self._state(agent, request.query_params.get("threadId", ""), client)
            return await self._save(agent, await self._body(request), client)
        except CopilotKitError as error:
            raise refusal(error, 404 if isinstance(error, _NOT_FOUND) else 503) from error

    async def _state(self, agent: str, thread_id: str, client: ClientRequest) -> dict[str, Any]:
        if not thread_id:
            raise bad_request("Must provide threadId.")
        known = await self._service.load_agent_state(thread_id=thread_id, agent_name=agent, identity=client.identity)
        state = known or AgentState()
        return {
            "threadId": thread_id,
            "threadExists": known is not None,
            "state": state.state,
            "messages": state_messages(state.messages),
        }

    async def _save(self, agent: str, asked: SaveState, client: ClientRequest) -> dict[str, Any]:
        await self._service.save_agent_state(
            thread_id=asked.thread_id, agent_name=agent, state=asked.state, identity=client.identity
        )
        return {"threadId": asked.thread_id, "saved": True}

    async def _body(self, request: Request) -> SaveState:
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise bad_request("The body must be application/json.", status=415)
        body = await read_body(request, self._service.config.max_body_bytes)
        try:
            return msgspec.json.decode(body, type=SaveState)
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_request(f"The body is no state to save: {error}") from error


class RestEndpoint:
    """Serves the extensions with the headers of the GraphQL endpoint.

    Args:
        endpoint: The GraphQL endpoint, whose ways of answering are used.
        extensions: What answers.
    """

    def __init__(self, endpoint: GraphQLEndpoint, extensions: RestExtensions) -> None:
        self._endpoint = endpoint
        self._extensions = extensions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope, receive)
        exchange = self._endpoint.exchange(request, send)
        if request.method == "OPTIONS":
            await exchange.preflight()
            return
        try:
            answer = await self._answer(request)
        except RequestError as error:
            body = msgspec.json.encode({"errors": error.errors})
            await exchange.respond(error.status, body, [*_JSON, *error.headers.items()])
        else:
            await exchange.respond(200, msgspec.json.encode(answer), _JSON)

    async def _answer(self, request: Request) -> Any:
        allowed = ("GET", "PUT") if "agent" in request.path_params else ("GET",)
        if request.method not in allowed:
            allow = ", ".join(allowed)
            raise bad_request(f"Only {allow} are answered here.", status=405, allow=allow)
        try:
            return await self._extensions.answer(request)
        except RequestError:
            raise
        except Exception as error:
            raise refusal(to_public_error(error), 500) from error

"""The protocol of CopilotKit's remote endpoints, from the runtime's side (docs/contract.md, section 6.3)."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from ...runtime.errors import ApiNotFoundError, CopilotKitError, NetworkError, ProtocolError
from ..transport import Transport, checked_url, refusal_of
from .jsonl import read_lines

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from ...runtime.context import Resume, RunContext, RunInput

T = TypeVar("T")
_MAX_WAIT = 4.0


class RemoteAgent(msgspec.Struct, frozen=True):
    """An agent as an endpoint describes it."""

    name: str
    description: str | None = None
    type: str | None = None


class RemoteAction(msgspec.Struct, frozen=True):
    """An action as an endpoint describes it; ``parameters`` are the contract's own (docs/contract.md, appendix A)."""

    name: str
    description: str | None = None
    parameters: list[dict[str, Any]] = []


class Info(msgspec.Struct, frozen=True, rename="camel"):
    """The agents and actions of an endpoint."""

    actions: list[RemoteAction]
    agents: list[RemoteAgent] = []
    sdk_version: str | None = None


class SavedState(msgspec.Struct, frozen=True, rename="camel"):
    """The state that an agent of an endpoint keeps of a thread."""

    thread_exists: bool
    state: Any = None
    messages: Any = None


class RemoteEndpoint:
    """Calls one endpoint. What only reads is tried again when the network fails; what acts never is.

    Args:
        url: Where the endpoint is.
        transport: How to call it.
        attempts: How often a read is tried.
        retry_wait: Seconds before the second attempt; each further wait is twice as long, up to 4.
    """

    def __init__(self, url: str, transport: Transport, *, attempts: int = 4, retry_wait: float = 1.0) -> None:
        self.url = checked_url(url)
        self._transport = transport
        self._attempts = attempts
        self._retry_wait = retry_wait

    async def info(self, context: RunContext) -> Info:
        """Return what the endpoint offers to this caller.

        Raises:
            CopilotKitError: If the endpoint cannot be reached, refuses, or answers in a wrong form.
        """
        payload: dict[str, Any] = {"properties": context.properties}
        if context.url is not None:
            payload["frontendUrl"] = context.url
        answer = await self._again("/info", payload, context)
        return _typed(answer, Info)

    async def state(self, thread_id: str, agent_name: str, context: RunContext) -> SavedState:
        """Return what an agent keeps of a thread. Raises as ``info`` does."""
        payload = {"properties": context.properties, "threadId": thread_id, "name": agent_name}
        answer = await self._again("/agents/state", payload, context)
        return _typed(answer, SavedState)

    async def execute_action(self, name: str, arguments: dict[str, Any], context: RunContext) -> Any:
        """Do an action, once, and return its result. Raises as ``info`` does."""
        payload = {"name": name, "arguments": arguments, "properties": context.properties}
        answer = await self._transport.post(f"{self.url}/actions/execute", payload, context)
        if not isinstance(answer, dict):
            raise ProtocolError("The remote endpoint answered an action in a wrong form.")
        return answer.get("result")

    async def execute_agent(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Any]:
        """Run an agent, once, and yield what each line of its answer holds. Raises as ``info`` does."""
        url, payload = f"{self.url}/agents/execute", _run_payload(agent_name, run, context)
        async with (
            self._transport.stream(url, payload, context, accept="*/*") as response,
            aclosing(read_lines(response.aiter_bytes())) as lines,
        ):
            async for line in lines:
                yield line

    async def aclose(self) -> None:
        """Close the connections to the endpoint."""
        await self._transport.aclose()

    async def _again(self, path: str, payload: Mapping[str, Any], context: RunContext) -> Any:
        attempts = AsyncRetrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_exponential(multiplier=self._retry_wait, max=_MAX_WAIT),
            retry=retry_if_exception_type(NetworkError),
            reraise=True,
        )
        return await attempts(self._transport.post, f"{self.url}{path}", payload, context)


def endpoint_refusal(status: int, url: str) -> CopilotKitError:
    """Return the error for an endpoint's HTTP status: 400 and 404 mean that no endpoint is there (section 7.2)."""
    return ApiNotFoundError(url) if status in (400, 404) else refusal_of(status, url)


def _run_payload(agent_name: str, run: RunInput, context: RunContext) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "name": agent_name,
        "threadId": run.thread_id,
        "messages": msgspec.to_builtins(run.messages),
        "state": run.state,
        "config": run.config,
        "properties": context.properties,
        "actions": msgspec.to_builtins(run.tools),
    }
    if run.node_name is not None:
        payload["nodeName"] = run.node_name
    if run.resume:
        payload["metaEvents"] = [_meta_event(answer) for answer in run.resume]
    return payload


def _meta_event(answer: Resume) -> dict[str, Any]:
    event: dict[str, Any] = {"name": answer.name, "value": answer.value}
    if answer.response is not None:
        event["response"] = answer.response
    if answer.messages:
        event["messages"] = msgspec.to_builtins(answer.messages)
    return event


def _typed(answer: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"The remote endpoint answered in a wrong form: {error}") from error

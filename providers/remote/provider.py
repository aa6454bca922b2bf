"""CopilotKit remote endpoints behind the provider interface."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Unpack

from ...runtime.context import RunContext
from ...runtime.errors import AgentNotFoundError, MisuseError
from ...runtime.provider import AgentDescriptor, AgentProvider
from ...runtime.stores.interface import AgentState
from ..transport import Transport, TransportSettings
from .agent_state import read_messages, read_state
from .endpoint import Info, RemoteAction, RemoteAgent, RemoteEndpoint, endpoint_refusal
from .langgraph_events import LangGraphEvents
from .runtime_events import RuntimeEvents

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ...runtime.context import RunInput
    from ...runtime.events import Event

_READERS: dict[str | None, type[LangGraphEvents] | type[RuntimeEvents]] = {
    None: LangGraphEvents,
    "langgraph": LangGraphEvents,
    "crewai": RuntimeEvents,
}


class RemoteEndpointProvider(AgentProvider):
    """Serves the agents of a ``CopilotKitRemoteEndpoint``, and hands its actions to the runtime.

    Args:
        url: Where the endpoint is.
        name: The provider's name; by default the URL.
        attempts: How often a read is tried.
        retry_wait: Seconds before a read's second attempt.
        info_lifetime: Seconds that what the endpoint offers is remembered.
        settings: As ``TransportSettings`` has them.

    Raises:
        MisuseError: If ``url`` is not an absolute HTTP URL.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        attempts: int = 4,
        retry_wait: float = 1.0,
        info_lifetime: float = 30.0,
        **settings: Unpack[TransportSettings],
    ) -> None:
        transport = Transport(endpoint_refusal, **settings)
        self._endpoint = RemoteEndpoint(url, transport, attempts=attempts, retry_wait=retry_wait)
        self._info: Info | None = None
        self._info_until = 0.0
        self._info_lifetime = info_lifetime
        self.name = name or self._endpoint.url

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the endpoint's agents, as it lists them to a caller without properties."""
        agents = (await self._offer()).agents
        return [AgentDescriptor(name=agent.name, description=agent.description or "") for agent in agents]

    async def list_actions(self, context: RunContext | None = None) -> list[RemoteAction]:
        """Return the endpoint's actions, as it lists them to ``context``'s caller; without one, to anybody.

        Raises:
            CopilotKitError: If the endpoint cannot be reached, refuses, or answers in a wrong form.
        """
        offer = await self._offer() if context is None else await self._endpoint.info(context)
        return offer.actions

    async def execute_action(
        self, name: str, arguments: dict[str, Any], properties: dict[str, Any], *, context: RunContext | None = None
    ) -> Any:
        """Do an action, once, and return its result. ``context`` brings the headers to send on.

        Raises:
            CopilotKitError: As ``list_actions``.
        """
        headers = {} if context is None else context.headers
        context = RunContext(headers=headers, properties=properties)
        return await self._endpoint.execute_action(name, arguments, context)

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Run an agent.

        Raises:
            AgentNotFoundError: If the endpoint has none of that name for this caller.
            CopilotKitError: If the endpoint fails, or the agent reports that it did.
        """
        reader = _reader_for(await self._find(agent_name, context))
        async with aclosing(self._endpoint.execute_agent(agent_name, run, context)) as lines:
            async for line in lines:
                for event in reader.read(line):
                    yield event

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        """Return the state that the agent keeps; if it keeps none, what the runtime's store holds."""
        saved = await self._endpoint.state(thread_id, agent_name, RunContext())
        if not saved.thread_exists:
            return await super().load_state(thread_id, agent_name)
        state = {key: value for key, value in read_state(saved.state).items() if key != "messages"}
        thread = saved.messages if isinstance(saved.messages, list) else []
        return AgentState(state=state, messages=read_messages(thread))

    @property
    def keeps_threads_elsewhere(self) -> bool:
        """True: endpoints keep their agents' threads."""
        return True

    @property
    def deletes_threads(self) -> bool:
        """False: endpoints have no way to delete a thread."""
        return False

    async def keeps_thread(self, thread_id: str) -> bool:
        """Return whether one of the endpoint's agents has this thread.

        Raises:
            CopilotKitError: As ``list_actions``.
        """
        for agent in (await self._offer()).agents:
            if (await self._endpoint.state(thread_id, agent.name, RunContext())).thread_exists:
                return True
        return False

    async def stop(self) -> None:
        """Close the connections to the endpoint."""
        await self._endpoint.aclose()

    async def _offer(self) -> Info:
        if self._info is None or time.monotonic() >= self._info_until:
            self._info = await self._endpoint.info(RunContext())
            self._info_until = time.monotonic() + self._info_lifetime
        return self._info

    async def _find(self, agent_name: str, context: RunContext) -> RemoteAgent:
        # An endpoint may show an agent only to callers with certain properties.
        found = _named(agent_name, await self._offer())
        if found is None:
            offer = await self._endpoint.info(context)
            found = _named(agent_name, offer)
        if found is None:
            raise AgentNotFoundError(agent_name, [agent.name for agent in offer.agents])
        return found


def _named(agent_name: str, offer: Info) -> RemoteAgent | None:
    return next((agent for agent in offer.agents if agent.name == agent_name), None)


def _reader_for(agent: RemoteAgent) -> LangGraphEvents | RuntimeEvents:
    reader = _READERS.get(agent.type)
    if reader is None:
        raise MisuseError(
            f"Agent '{agent.name}' is of the type '{agent.type}', which remote endpoints cannot run."
            " Serve it as an AG-UI agent and give its URL to AGUIProvider."
        )
    return reader()

"""The service layer that every wire calls: agents, their states, and runs."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from .config import RuntimeConfig
from .errors import CopilotKitError, MisuseError
from .live import LiveResponse
from .provider import AgentDescriptor, AgentProvider
from .registry import ProviderRegistry
from .request import RunRequest
from .runs import Run
from .state import AgentState, StateStore

log = structlog.get_logger(__name__)

SAVE_SECONDS = 10.0

NO_MODEL = (
    "No model is configured, so that only requests that name an agent can be answered. For components that need none,"
    " like useCopilotChatSuggestions, CopilotTextarea, or CopilotTask, give the runtime a model:"
    " CopilotRuntime(model=...)."
)


class RuntimeService:
    """What a runtime does, whatever the wire.

    Args:
        config: The settings.
        store: Where the states of agents are kept whose framework keeps none itself.
        model: What answers requests that name no agent.
    """

    def __init__(self, config: RuntimeConfig, store: StateStore, model: AgentProvider | None) -> None:
        self.config = config
        self.store = store
        self.model = model
        self.registry = ProviderRegistry()
        self._runs: set[Run] = set()
        self._started: list[AgentProvider] = []

    def add_provider(self, provider: AgentProvider) -> None:
        """Registers a provider. One that is added to a started runtime must have been started itself."""
        self.registry.add(provider)
        provider.store = provider.store or self.store

    async def start(self) -> None:
        """Starts the store, then the providers, and checks that no two agents share a name."""
        await self.store.start()
        for provider in self._all_providers():
            provider.store = provider.store or self.store
            await provider.start()
            self._started.append(provider)
        await self.registry.agents()

    async def stop(self) -> None:
        """Cancels the runs that still go on, then stops the providers and the store."""
        await asyncio.gather(*(run.cancel() for run in list(self._runs)))
        for provider in reversed(self._started):
            await provider.stop()
        self._started.clear()
        await self.store.stop()

    async def available_agents(self) -> list[AgentDescriptor]:
        """All agents of all providers."""
        return [agent for agent, _ in (await self.registry.agents()).values()]

    async def load_agent_state(self, *, thread_id: str, agent_name: str) -> AgentState | None:
        """What an agent last knew on a thread, or None.

        Raises:
            AgentNotFoundError: There is no such agent.
        """
        provider = await self.registry.owner_of(agent_name)
        return await provider.load_state(thread_id, agent_name)

    async def save_agent_state(self, *, thread_id: str, agent_name: str, state: dict[str, Any]) -> None:
        """Replaces an agent's state on a thread; its messages stay.

        Raises:
            AgentNotFoundError: There is no such agent.
        """
        provider = await self.registry.owner_of(agent_name)
        known = await provider.load_state(thread_id, agent_name) or AgentState()
        known.state = state
        await provider.save_state(thread_id, agent_name, known)

    async def run(self, request: RunRequest) -> Run:
        """Starts a run.

        Raises:
            AgentNotFoundError: There is no such agent.
            MisuseError: No agent is named and there is no model.
        """
        provider = await self._provider_for(request.agent_name)
        for_agent = request.agent_name is not None
        request.input.tools = [a.tool for a in request.frontend_actions if for_agent or not a.remote]
        run = Run(
            provider,
            request.agent_name or "",
            request.input,
            request.context,
            timeout=self.config.run_timeout_seconds,
            on_end=self._ended,
        )
        self._runs.add(run)
        run.start()
        return run

    async def respond(self, request: RunRequest) -> LiveResponse:
        """Starts a run and answers with the contract's response to it, which fills itself as it is read.

        Raises:
            CopilotKitError: As ``run``.
        """
        return LiveResponse(thread_id=request.input.thread_id, run=await self.run(request))

    async def release(self, run: Run) -> None:
        """Says that a run's client has gone, or has read it to its end."""
        if self.config.on_disconnect == "continue":
            run.leave()
        else:
            await run.cancel()

    async def _provider_for(self, agent_name: str | None) -> AgentProvider:
        if agent_name is not None:
            return await self.registry.owner_of(agent_name)
        if self.model is None:
            raise MisuseError(NO_MODEL)
        return self.model

    async def _ended(self, run: Run) -> None:
        self._runs.discard(run)
        if run.agent_name and not run.provider.keeps_state:
            try:
                async with asyncio.timeout(SAVE_SECONDS):
                    await self._save(run)
            except (CopilotKitError, TimeoutError):
                log.error("state_not_saved", error=str(error), thread_id=run.input.thread_id, agent=run.agent_name)

    async def _save(self, run: Run) -> None:
        transcript, asked = run.transcript, run.input
        messages = transcript.thread if transcript.thread is not None else [*asked.messages, *transcript.messages()]
        state = transcript.state if transcript.state is not None else asked.state
        await run.provider.save_state(asked.thread_id, run.agent_name, AgentState(state=state, messages=messages))

    def _all_providers(self) -> list[AgentProvider]:
        return [*self.registry.all(), *([self.model] if self.model is not None else [])]

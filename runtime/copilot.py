"""CopilotRuntime: the one object that an application makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette

from ..providers.models import model_provider
from ..resolvers import build_schema
from .config import RuntimeConfig
from .http import app as http_app
from .http.endpoint import GraphQLEndpoint
from .provider import AgentDescriptor, AgentProvider
from .service import RuntimeService
from .state import AgentState, StateStore
from .stores.urls import open_store


class CopilotRuntime:
    """A CopilotKit runtime.

    Args:
        providers: Where the agents come from.
        model: What answers requests that name no agent: ``"openai:gpt-4o"`` and the like, a client, a chat model, a
            callable that picks one per request, or None.
        store: ``memory://``, ``sqlite:///path``, ``redis://…``, ``postgresql://…``, or a store; None for
            ``config.store``.
        config: The settings; None for those of the environment.

    Raises:
        ConfigurationError: Two providers share a name, or the store's URL is none.
    """

    def __init__(
        self,
        providers: Iterable[AgentProvider] = (),
        *,
        model: Any = None,
        store: str | StateStore | None = None,
        config: RuntimeConfig | None = None,
    ) -> None:
        self.config = config or RuntimeConfig()
        chosen = self.config.store if store is None else store
        self.service = RuntimeService(
            self.config,
            open_store(chosen) if isinstance(chosen, str) else chosen,
            None if model is None else model_provider(model),
        )
        for provider in providers:
            self.add_provider(provider)
        self._starting = asyncio.Lock()
        self._running = False

    def create_app(self) -> Starlette:
        """A Starlette application that serves the runtime at ``config.graphql_path``."""
        return http_app.create_app(self._endpoint(), self.config.graphql_path, self._lifespan)

    def mount(self, app: Starlette, path: str | None = None) -> None:
        """Serves the runtime on a Starlette or FastAPI application.

        Args:
            app: The application; its lifespan starts and stops the runtime.
            path: Where; None for ``config.graphql_path``.
        """
        http_app.mount(app, self._endpoint(), path or self.config.graphql_path, self._lifespan)

    def add_provider(self, provider: AgentProvider) -> None:
        """Registers a provider.

        Raises:
            ConfigurationError: Another one has its name.
        """
        self.service.add_provider(provider)

    def remove_provider(self, name: str) -> AgentProvider:
        """Takes a provider out; runs that it executes go on.

        Raises:
            ConfigurationError: There is none of that name.
        """
        return self.service.registry.remove(name)

    def get_provider(self, name: str) -> AgentProvider | None:
        """The provider of that name, if there is one."""
        return self.service.registry.get(name)

    def list_providers(self) -> list[AgentProvider]:
        """All providers, in the order of their registration."""
        return self.service.registry.all()

    async def discover_agents(self) -> list[AgentDescriptor]:
        """All agents of all providers."""
        return await self.service.available_agents()

    async def load_agent_state(self, *, thread_id: str, agent_name: str) -> AgentState | None:
        """What an agent last knew on a thread, or None.

        Raises:
            AgentNotFoundError: There is no such agent.
        """
        return await self.service.load_agent_state(thread_id=thread_id, agent_name=agent_name)

    async def save_agent_state(self, *, thread_id: str, agent_name: str, state: dict[str, Any]) -> None:
        """Replaces an agent's state on a thread; its messages stay.

        Raises:
            AgentNotFoundError: There is no such agent.
        """
        await self.service.save_agent_state(thread_id=thread_id, agent_name=agent_name, state=state)

    async def start(self) -> None:
        """Starts the store and the providers; does nothing if the runtime has been started.

        Raises:
            CopilotKitError: One of them cannot start.
        """
        async with self._starting:
            if not self._running:
                await self.service.start()
                self._running = True

    async def stop(self) -> None:
        """Cancels what runs and stops the providers and the store; does nothing if the runtime is not started."""
        async with self._starting:
            if self._running:
                self._running = False
                await self.service.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _endpoint(self) -> GraphQLEndpoint:
        return GraphQLEndpoint(self.service, build_schema(), self.start)

    def _lifespan(self) -> AbstractAsyncContextManager[None]:
        @asynccontextmanager
        async def around() -> AsyncIterator[None]:
            async with self:
                yield

        return around()

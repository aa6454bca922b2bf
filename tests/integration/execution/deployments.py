"""A web process without agents and workers, in the process of the test, with nothing in common but the store."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import httpx

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.runtime.provider import AgentProvider

PATIENCE = 60.0
KINDS = ("redis", "postgres")
AGUI = "/api/copilotkit/agent"


class Deployment:
    """The runtimes of one test, and a client of the one that takes requests."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack

    def settings(self, **more: Any) -> RuntimeConfig:
        return RuntimeConfig(store=self._url, execution="queue", **more)

    async def worker(
        self, provider: AgentProvider, settings: dict[str, Any] | None = None, **more: Any
    ) -> CopilotRuntime:
        runtime = CopilotRuntime([provider], config=self.settings(**(settings or {})), **more)
        runtime.become_worker()
        await runtime.start()
        self._stack.push_async_callback(runtime.stop)
        return runtime

    async def web(self, settings: dict[str, Any] | None = None, **more: Any) -> httpx.AsyncClient:
        return await self.client(CopilotRuntime(config=self.settings(**(settings or {})), **more))

    async def both(self, provider: AgentProvider) -> tuple[CopilotRuntime, httpx.AsyncClient]:
        """Start a worker with the provider, and a web process; return that one, and a client of it."""
        await self.worker(provider)
        runtime = CopilotRuntime(config=self.settings())
        return runtime, await self.client(runtime)

    async def inline(self, provider: AgentProvider, **more: Any) -> httpx.AsyncClient:
        return await self.client(CopilotRuntime([provider], config=RuntimeConfig(store="memory://"), **more))

    async def client(self, runtime: CopilotRuntime) -> httpx.AsyncClient:
        await self._stack.enter_async_context(runtime)
        transport = httpx.ASGITransport(runtime.create_app())
        return await self._stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test"))

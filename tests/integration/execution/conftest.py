"""Servers of both kinds, as the tests of stores have them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from copilotkit_runtime.runtime.execution import worker
from tests.integration.execution.deployments import Deployment
from tests.integration.stores.conftest import (
    fragile_servers,
    postgres_url,
    redis_url,
    server,
    server_folder,
    settings,
    url,
)

__all__ = ["brief_takes", "fragile_servers", "postgres_url", "redis_url", "server", "server_folder", "settings", "url"]


@pytest.fixture
def brief_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers of this process wait briefly for runs: one that stops lets its last wait end by itself."""
    monkeypatch.setattr(worker, "TAKE_SECONDS", 0.2)


@pytest.fixture
async def deployment(url: str) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as stack:
        yield Deployment(url, stack)


@pytest.fixture
def thread() -> str:
    return f"thread-{uuid4()}"

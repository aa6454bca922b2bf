"""What a token and a request cost, counted in calls of Python functions: alike on every machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from scripts.benchmark.cost import WIRES, Cost, cost_of
from scripts.benchmark.features import Counting

MOST = {
    "graphql": Cost(per_token=33, per_request=1_400),
    "agui": Cost(per_token=32, per_request=1_290),
}
"""With a tenth to spare. Whoever adds to the path of a token says why it is worth it, and raises these."""


@pytest.fixture
async def app() -> AsyncIterator[Any]:
    runtime = CopilotRuntime(providers=[Counting()], store="memory://", config=RuntimeConfig(log_level="error"))
    app = runtime.create_app()
    async with runtime:
        yield app


@pytest.mark.parametrize("wire", WIRES)
async def test_neither_a_token_nor_a_request_costs_more_than_it_did(app: Any, wire: str) -> None:
    cost = await cost_of(app, wire)
    assert cost.per_token <= MOST[wire].per_token, f"{cost}"
    assert cost.per_request <= MOST[wire].per_request, f"{cost}"
    assert cost.per_token > 10, "the count did not see the run"

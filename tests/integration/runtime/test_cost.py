"""What a token and a request cost, counted in calls of Python functions: alike on every machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from scripts.benchmark.cost import WIRES, Cost, cost_of
from scripts.benchmark.features import Counting, calls_per_token, runtimes

MOST = {
    "graphql": Cost(per_token=25.5, per_request=1_290),
    "agui": Cost(per_token=24.5, per_request=1_165),
}
"""With a tenth to spare. Whoever adds to the path of a token says why it is worth it, and raises these."""
MOST_WITH_FEATURES = 41
"""The same for a token that a guardrail, a hook for each chunk and actions look at."""


@pytest.fixture(autouse=True)
def _no_log_of_others() -> None:
    """Tests that capture logs leave structlog configured, to write lines that this application's level leaves out."""
    structlog.reset_defaults()


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


async def test_a_token_that_all_features_look_at_costs_no_more_than_it_did() -> None:
    runtime = runtimes()["on"]
    app = runtime.create_app()
    async with runtime:
        counted = await calls_per_token(app)
    assert counted["all"] <= MOST_WITH_FEATURES
    assert counted["hooks"] > 1, "the count did not see the hook"

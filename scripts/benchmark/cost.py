"""What one more token, and a request with two tokens, cost on each wire: calls of Python functions, counted.

.venv/bin/python -m scripts.benchmark.cost
"""

from __future__ import annotations

import asyncio
import sys
from types import FrameType
from typing import Any

import msgspec

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from scripts.benchmark.features import Counting, answer, without_collections

WIRES = ("graphql", "agui")
SHORT, LONG = 200, 1_200
ROW = "{:<10} {:>16} {:>18}"


class Cost(msgspec.Struct, frozen=True):
    """Calls of Python functions."""

    per_token: float
    per_request: float


async def calls(app: Any, tokens: int, wire: str) -> int:
    """Return how often Python functions are called for an answer of so many tokens."""
    counted = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    with without_collections():
        sys.setprofile(count)
        try:
            await answer(app, tokens, wire)
        finally:
            sys.setprofile(None)
    return counted


async def cost_of(app: Any, wire: str) -> Cost:
    """Return what a token and a request of two tokens cost, once the application has answered some."""
    for _ in range(3):
        await answer(app, 2, wire)
    short, long = await calls(app, SHORT, wire), await calls(app, LONG, wire)
    # Of several, for the sweep that writes the logs of runs may fall into one.
    per_request = min([await calls(app, 2, wire) for _ in range(3)])
    return Cost(per_token=(long - short) / (LONG - SHORT), per_request=per_request)


async def costs() -> dict[str, Cost]:
    """Return what a token and a request cost on each wire."""
    runtime = CopilotRuntime(providers=[Counting()], store="memory://", config=RuntimeConfig(log_level="error"))
    app = runtime.create_app()
    async with runtime:
        return {wire: await cost_of(app, wire) for wire in WIRES}


def main() -> None:
    """Print a row for each wire."""
    print(ROW.format("wire", "calls per token", "calls per request"))
    for wire, cost in asyncio.run(costs()).items():
        print(ROW.format(wire, f"{cost.per_token:.1f}", f"{cost.per_request:.0f}"))


if __name__ == "__main__":
    main()

"""``stream_batch_seconds``: tokens that come shortly behind others are written with them, and all of them arrive."""

from __future__ import annotations

import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from tests.integration.wires.http.test_direct_writing import WIRES, Storyteller, ask

PIECES = [f"<{number}>" for number in range(200)]


async def _parts(wire: str, seconds: float) -> tuple[int, str]:
    config = RuntimeConfig(stream_batch_seconds=seconds)
    runtime = CopilotRuntime(providers=[Storyteller(PIECES)], store="memory://", config=config)
    app = runtime.create_app()
    parts: list[bytes] = []
    async with runtime:
        answer, direct = await ask(app, wire, lambda _count: True, parts)
    return len(parts), f"{answer} written at once: {direct}"


@pytest.mark.parametrize("wire", WIRES)
async def test_a_batch_takes_fewer_parts_for_the_same_answer(wire: str) -> None:
    each, _ = await _parts(wire, 0.0)
    batched, answer = await _parts(wire, 1.0)
    assert each > len(PIECES)
    assert batched < 20
    assert all(piece in answer for piece in PIECES)
    assert answer.endswith("written at once: 0")

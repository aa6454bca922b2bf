"""Server-side actions that a model calls: what they are executed with."""

from __future__ import annotations

import pytest

from copilotkit_runtime import CopilotRuntime
from tests.integration.models.asking import close
from tests.integration.models.vendor import FakeVendor, Reply
from tests.integration.models.wires import OpenAIWire, data
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import generate, text_message


@pytest.mark.parametrize("reason", ["", "null", "stop", "tool_calls"])
async def test_an_action_is_never_executed_without_its_arguments(vendor: FakeVendor, reason: str) -> None:
    async def water(plant: str = "nothing at all") -> str:
        """Water a plant."""
        return f"watered {plant}"

    first = {"index": 0, "id": "w", "function": {"name": "water", "arguments": ""}}
    deltas = [first, *({"index": 0, "function": {"arguments": part}} for part in ('{"plant":', '"ivy"}'))]
    chunks = [{"index": 0, "delta": {"tool_calls": [delta]}, "finish_reason": reason} for delta in deltas]
    vendor.replies(Reply([*(data({"id": "c", "choices": [chunk]}) for chunk in chunks), "data: [DONE]\n\n"]))
    model = OpenAIWire().model(vendor.url)
    async with client_of(CopilotRuntime(model=model, actions=[water])) as client:
        answer = await ask(client, PATH, generate(text_message("please")))
    await close(model)
    results = [one["result"] for one in fold(answer.parts)["messages"] if one["__typename"] == "ResultMessageOutput"]
    assert results == ["watered ivy"]

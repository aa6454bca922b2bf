"""What a client makes readable, and its state, reach a model in its instructions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.models.client_context import MAX_STATE_BYTES
from copilotkit_runtime.runtime.context import ContextItem
from copilotkit_runtime.runtime.messages import TextMessage
from tests.integration.models.asking import ask, close, run_of
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.wires import OpenAIWire, Wire
from tests.support.agui_client import PATH, events_of, run_input, types_of, user
from tests.support.local_server import client_of

ABOUT = {"description": "the page", "value": '"about us"'}


async def instructed(vendor: FakeVendor, wire: Wire, **given: Any) -> str:
    """All that the vendor is sent when a client of AG-UI asks the model."""
    vendor.streams(*wire.text("ok"))
    model = wire.model(vendor.url)
    async with client_of(CopilotRuntime(model=model)) as client:
        answer = await client.post(f"{PATH}/agent/default/run", json=run_input(user("hello"), **given))
    await close(model)
    assert types_of(events_of(answer.text))[-1] == "RUN_FINISHED"
    return json.dumps(vendor.body, ensure_ascii=False)


async def test_every_vendor_gets_the_client_s_context_and_state(vendor: FakeVendor, wire: Wire) -> None:
    sent = await instructed(vendor, wire, context=[ABOUT], state={"cart": ["tea"]})
    assert "the page" in sent
    assert "about us" in sent
    assert "tea" in sent


async def test_without_context_and_state_there_are_no_instructions(vendor: FakeVendor) -> None:
    sent = json.loads(await instructed(vendor, OpenAIWire()))
    assert [message["role"] for message in sent["messages"]] == ["user"]


async def test_the_context_joins_the_instructions_of_the_thread(vendor: FakeVendor) -> None:
    vendor.streams(*OpenAIWire().text("ok"))
    await ask(
        OpenAIWire().model(vendor.url),
        run_of(context=[ContextItem(**ABOUT), ContextItem(description="", value="plain")]),
    )
    system, person = vendor.body["messages"]
    assert system["content"].startswith("Be brief.\n\n")
    assert 'the page:\n"about us"' in system["content"]
    assert system["content"].endswith("\n\nplain")
    assert person["content"] == "Hi"


async def test_what_the_client_has_written_into_its_instructions_is_not_repeated(vendor: FakeVendor) -> None:
    vendor.streams(*OpenAIWire().text("ok"))
    thread = [TextMessage(role="system", content='1. the page: "about us"'), TextMessage(role="user", content="Hi")]
    await ask(OpenAIWire().model(vendor.url), run_of(thread, context=[ContextItem(**ABOUT)]))
    assert vendor.body["messages"][0]["content"] == thread[0].content


@pytest.mark.parametrize(("size", "shown"), [(MAX_STATE_BYTES - 100, True), (MAX_STATE_BYTES, False)])
async def test_a_state_that_leaves_no_room_is_left_out(vendor: FakeVendor, size: int, *, shown: bool) -> None:
    sent = await instructed(vendor, OpenAIWire(), state={"text": "x" * size})
    assert ("xxx" in sent) is shown

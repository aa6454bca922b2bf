"""What clients send in headers is for agents: vendors of models get none of it."""

from __future__ import annotations

from copilotkit_runtime import CopilotRuntime
from tests.integration.models.asking import close
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.wires import Wire
from tests.support.agui_client import PATH, events_of, run_input, types_of, user
from tests.support.local_server import client_of

SENT = {"authorization": "Bearer of-the-user", "x-session": "of-the-user", "cookie": "of-the-user=1"}


async def test_a_vendor_gets_nothing_of_a_client_s_headers(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.text("ok"))
    model = wire.model(vendor.url)
    async with client_of(CopilotRuntime(model=model)) as client:
        answer = await client.post(f"{PATH}/agent/default/run", json=run_input(user("hello")), headers=SENT)
    await close(model)
    assert types_of(events_of(answer.text))[-1] == "RUN_FINISHED"
    assert vendor.requests
    assert "of-the-user" not in str([seen.headers for seen in vendor.requests])

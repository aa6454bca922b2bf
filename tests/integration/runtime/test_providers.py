"""Providers that come and go on a runtime that is being served."""

from __future__ import annotations

import asyncio

import pytest

from copilotkit_runtime import AgentDescriptor, CopilotRuntime, errors
from copilotkit_runtime.runtime import registry
from tests.parity.wire import ask
from tests.support.agui_client import run_input, user
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import scripted, text
from tests.support.tool_calls import Listener, play_on, shown

HELLO = text("m", "hello")
LOADED = "query($d: LoadAgentStateInput!){loadAgentState(data:$d){threadExists}}"


class Counted(Listener):
    """Counts how often its agents are listed."""

    listed = 0

    async def list_agents(self) -> list[AgentDescriptor]:
        self.listed += 1
        return await super().list_agents()


async def test_an_added_provider_answers_and_a_removed_one_does_not() -> None:
    runtime = CopilotRuntime(providers=[Listener("first")])
    async with client_of(runtime) as client:
        runtime.add_provider(Listener("second"))
        assert shown(await play_on(client, *HELLO, agent="second")) == ["hello"]
        removed = runtime.remove_provider("listener of second")
        assert removed.name == "listener of second"
        assert [provider.name for provider in runtime.list_providers()] == ["listener of first"]
        refused = (await ask(client, PATH, scripted(*HELLO, agent="second"))).parts[0]["errors"][0]
        assert refused["extensions"]["code"] == "AGENT_NOT_FOUND"
        assert shown(await play_on(client, *HELLO, agent="first")) == ["hello"]


async def test_clients_that_name_agents_that_do_not_exist_have_providers_listed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "CACHE_SECONDS", 600.0)
    monkeypatch.setattr(registry, "RELIST_SECONDS", 600.0)
    provider = Counted("first")
    async with client_of(CopilotRuntime(providers=[provider])) as client:
        named = {"d": {"threadId": "t", "agentName": "nobody"}}
        bodies = [
            scripted(*HELLO, agent="nobody"),
            {"query": LOADED, "variables": named},
            {"method": "agent/run", "params": {"agentId": "nobody"}, "body": run_input(user("hello"))},
            {"method": "agent/connect", "params": {"agentId": "nobody"}, "body": run_input()},
        ]
        answers = await asyncio.gather(*(client.post(PATH, json=body) for body in bodies * 5))
        answers += await asyncio.gather(
            *(client.post(f"{PATH}/agent/nobody/{verb}", json=run_input(user("hi"))) for verb in ("run", "connect"))
        )
        assert all("nobody" in answer.text for answer in answers)
        assert provider.listed == 1


def test_a_provider_is_found_by_its_name() -> None:
    listener = Listener("only")
    runtime = CopilotRuntime(providers=[listener])
    assert runtime.get_provider("listener of only") is listener
    assert runtime.get_provider("only") is None
    assert runtime.remove_provider("listener of only") is listener
    assert runtime.get_provider("listener of only") is None


def test_removing_an_unknown_provider_is_an_error() -> None:
    with pytest.raises(errors.ConfigurationError, match="No provider is named 'absent'"):
        CopilotRuntime().remove_provider("absent")

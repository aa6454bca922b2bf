"""Providers that come and go on a runtime that is being served."""

from __future__ import annotations

import pytest

from copilotkit_runtime import CopilotRuntime, errors
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import scripted, text
from tests.support.tool_calls import Listener, play_on, shown

HELLO = text("m", "hello")


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

"""What clients learn of an agent's abilities."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput
from copilotkit_runtime.runtime.capabilities import capabilities_of
from copilotkit_runtime.runtime.events import Event


class Provider(AgentProvider):
    name = "mine"
    takes = frozenset({"audio"})

    def __init__(self, known: Any) -> None:
        self._known = known

    def capabilities(self, agent_name: str) -> dict[str, Any]:
        if isinstance(self._known, Exception):
            raise self._known
        known: dict[str, Any] = self._known
        return known

    async def list_agents(self) -> list[AgentDescriptor]:
        return []

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        return
        yield


def test_all_agents_have_what_the_runtime_does_and_what_their_provider_takes() -> None:
    shown = capabilities_of(Provider({}), AgentDescriptor(name="a", description="Helps"))
    assert shown == {
        "identity": {"name": "a", "description": "Helps", "type": "mine"},
        "transport": {"streaming": True, "resumable": True},
        "state": {"persistentState": True},
        "multimodal": {"input": {"image": True, "audio": True, "video": False, "pdf": False, "file": False}},
    }


def test_an_agent_s_own_declaration_wins_over_its_provider_s_key_by_key() -> None:
    declared = {"tools": {"supported": False}, "state": {"memory": True}, "custom": {"x": 1}}
    provider = Provider({"tools": {"supported": True, "clientProvided": True}, "state": {"snapshots": True}})
    shown = capabilities_of(provider, AgentDescriptor(name="a", capabilities=declared))
    assert shown["tools"] == {"supported": False, "clientProvided": True}
    assert shown["state"] == {"persistentState": True, "snapshots": True, "memory": True}
    assert shown["custom"] == {"x": 1}


def test_a_provider_that_fails_hides_neither_the_agent_nor_what_it_declares() -> None:
    shown = capabilities_of(Provider(RuntimeError("no")), AgentDescriptor(name="a", capabilities={"custom": {"x": 1}}))
    assert shown == {"custom": {"x": 1}}

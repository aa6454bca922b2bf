"""The provider conformance suite on every provider but CrewAI's, which has a folder with settings of its own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.testing import AGENT, CHECKS, Behaviour, Guest
from tests.integration.agui.guests import HttpGuest, InProcessGuest
from tests.integration.langgraph.scripted_model import ScriptedModel
from tests.integration.remote.guests import RemoteGuest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from copilotkit_runtime.testing import Check


class EchoState(MessagesState):
    echo: str


class GraphGuest(Guest):
    name = "langgraph"
    behaviours = frozenset(Behaviour) - {Behaviour.GARBAGE}
    working = 0

    @asynccontextmanager
    async def serve(self, behaviour: Behaviour) -> AsyncIterator[LangGraphProvider]:
        async def behave(state: EchoState) -> dict[str, Any]:
            self.working += 1
            try:
                return await self._behave(behaviour, str(state["messages"][-1].content))
            finally:
                self.working -= 1

        graph: Any = StateGraph(EchoState)
        graph.add_node("behave", behave)
        graph.add_edge(START, "behave")
        yield LangGraphProvider({AGENT: graph.compile()})

    async def _behave(self, behaviour: Behaviour, text: str) -> dict[str, Any]:
        pieces = {Behaviour.ECHO: text.partition(" "), Behaviour.FLOOD: ("x",) * self.flood_tokens}
        model = ScriptedModel(script=[pieces.get(behaviour, ("begun",))])
        answer = await model.ainvoke(text)
        if behaviour is Behaviour.RAISE:
            raise ValueError("secret-detail")
        if behaviour is Behaviour.HANG:
            await asyncio.Event().wait()
        return {"messages": [answer], "echo": text}


GUESTS = [GraphGuest(), InProcessGuest(), HttpGuest(), RemoteGuest("crewai"), RemoteGuest("langgraph")]


@pytest.mark.parametrize("guest", GUESTS, ids=lambda guest: guest.name)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_provider_conforms(check: Check, guest: Guest) -> None:
    await check(guest)

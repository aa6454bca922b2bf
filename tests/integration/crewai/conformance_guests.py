"""A crew and a flow that behave as the conformance suite wants."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from crewai.flow import Flow, start

from copilotkit_runtime.providers.crewai import CopilotKitState, CrewAIProvider, copilotkit_stream
from copilotkit_runtime.testing import AGENT, Behaviour, Guest

from .guests import crew_of
from .openai_service import OpenAIService, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def crew_threads() -> int:
    """How many runs of crews and flows still work."""
    return sum(thread.name == "crewai-run" for thread in threading.enumerate())


class CrewGuest(Guest):
    """A crew whose model behaves; its tokens come over HTTP and through the OpenAI SDK, so there are fewer."""

    name = "crewai-crew"
    behaviours = frozenset(Behaviour) - {Behaviour.GARBAGE}
    keeps_state = False
    flood_tokens = 5_000

    @property
    def working(self) -> int:
        return crew_threads()

    @asynccontextmanager
    async def serve(self, behaviour: Behaviour) -> AsyncIterator[CrewAIProvider]:
        def model(asked: dict[str, Any]) -> Reply:
            text = asked["messages"][-1]["content"].split("about ")[1].split("\n")[0]
            if behaviour is Behaviour.ECHO:
                return Reply(tokens=text.partition(" "))
            if behaviour is Behaviour.FLOOD:
                return Reply(tokens=("x",) * self.flood_tokens)
            return Reply(tokens=("begun",), hang=behaviour is Behaviour.HANG)

        async with OpenAIService(model) as service:
            options = {"callback": _fail} if behaviour is Behaviour.RAISE else {}
            # Its model answers at once, so that its crews compute all the time, as no crew in earnest does.
            yield CrewAIProvider({AGENT: crew_of(service.base_url, **options)}, max_runs=16)


def _fail(_output: Any) -> None:
    raise ValueError("secret-detail")


class EchoState(CopilotKitState):  # type: ignore[misc]
    """What the flow knows."""

    echo: str = ""


class FlowGuest(Guest):
    name = "crewai-flow"
    behaviours = frozenset(Behaviour) - {Behaviour.GARBAGE}

    @property
    def working(self) -> int:
        return crew_threads()

    @asynccontextmanager
    async def serve(self, behaviour: Behaviour) -> AsyncIterator[CrewAIProvider]:
        flood = self.flood_tokens

        class Behaving(Flow[EchoState]):
            @start()
            async def behave(self) -> None:
                text = self.state.messages[-1]["content"]
                pieces = {Behaviour.ECHO: text.partition(" "), Behaviour.FLOOD: ("x",) * flood}
                await copilotkit_stream(_chunks(pieces.get(behaviour, ("begun",))))
                if behaviour is Behaviour.RAISE:
                    raise ValueError("secret-detail")
                if behaviour is Behaviour.HANG:
                    await asyncio.Event().wait()
                self.state.echo = text

        yield CrewAIProvider({AGENT: Behaving})


def _chunks(pieces: tuple[str, ...]) -> Iterator[Any]:
    for piece in pieces:
        delta = SimpleNamespace(content=piece, tool_calls=None)
        yield SimpleNamespace(id=None, choices=[SimpleNamespace(delta=delta, finish_reason=None)])

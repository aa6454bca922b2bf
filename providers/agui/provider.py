"""AG-UI agents behind the provider interface."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

from ...runtime.errors import AgentNotFoundError, MisuseError
from ...runtime.provider import AgentDescriptor, AgentProvider
from .decoding import decode_stream
from .http import AGUIHttpAgent
from .input import run_agent_input

if TYPE_CHECKING:
    from ...runtime.context import RunContext, RunInput
    from ...runtime.events import Event


@runtime_checkable
class InProcessAgent(Protocol):
    """An agent in this process: ``run`` takes a ``RunAgentInput`` and yields AG-UI events in any form.

    One that has a ``clone()`` is cloned for each run; any other must be able to do several runs at a time.
    """

    def run(self, input: Any, /) -> Any:
        """Returns an iterator of events, async or not, or a coroutine for one."""


AgentSource: TypeAlias = str | AGUIHttpAgent | InProcessAgent | Callable[..., Any]


class AGUIProvider(AgentProvider):
    """Serves AG-UI agents.

    Args:
        agents: By name: a URL, an ``AGUIHttpAgent``, an object with ``run(input)``, a function of the input
            that yields events, or a function without parameters that makes such an object for each run.
        name: The provider's name.

    Raises:
        MisuseError: If an agent is none of these.
    """

    def __init__(self, agents: Mapping[str, AgentSource], *, name: str = "agui") -> None:
        self.name = name
        self._agents = {agent_name: _agent(agent_name, source) for agent_name, source in agents.items()}

    async def list_agents(self) -> list[AgentDescriptor]:
        """The agents by their names."""
        return [AgentDescriptor(name=name, description=agent.description or "") for name, agent in self._agents.items()]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Runs an agent.

        Raises:
            AgentNotFoundError: If there is none of that name.
            CopilotKitError: As the agent's failure demands.
        """
        agent = self._agents.get(agent_name)
        if agent is None:
            raise AgentNotFoundError(agent_name, list(self._agents))
        async with aclosing(agent.events(run, context)) as stream:
            async for event in stream:
                yield event

    async def stop(self) -> None:
        """Closes the connections to the agents."""
        for agent in self._agents.values():
            await agent.aclose()


class _LocalAgent:
    def __init__(self, source: InProcessAgent | Callable[..., Any]) -> None:
        self._source = source
        self.description = str(getattr(source, "description", None) or "")

    async def events(self, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        produced = self._runner()(_as_model(run_agent_input(run, context)))
        if inspect.isawaitable(produced):
            produced = await produced
        async with aclosing(decode_stream(_items(produced))) as decoded:
            async for event in decoded:
                yield event

    async def aclose(self) -> None:
        """There is nothing to close: the agent is its giver's."""

    def _runner(self) -> Callable[[Any], Any]:
        source: Any = self._source
        if inspect.isclass(source):
            source = source()
        elif not hasattr(source, "run"):
            if inspect.signature(source).parameters:
                return cast("Callable[[Any], Any]", source)
            source = source()
        elif hasattr(source, "clone"):
            source = source.clone()
        return cast("Callable[[Any], Any]", source.run)


def _agent(name: str, source: AgentSource) -> AGUIHttpAgent | _LocalAgent:
    if isinstance(source, AGUIHttpAgent):
        return source
    if isinstance(source, str):
        return AGUIHttpAgent(source)
    if isinstance(source, InProcessAgent) or callable(source):
        return _LocalAgent(source)
    raise MisuseError(f"Agent '{name}' is neither a URL nor anything with run(input): {type(source).__name__}")


def _as_model(payload: dict[str, Any]) -> Any:
    """The input as ``ag_ui.core`` has it where that package is installed, for that is what agents expect."""
    try:
        core = importlib.import_module("ag_ui.core")
    except ImportError:
        return payload
    return core.RunAgentInput.model_validate(payload)


async def _items(produced: Any) -> AsyncGenerator[Any]:
    if hasattr(produced, "__aiter__"):
        iterator = produced.__aiter__()
        try:
            async for item in iterator:
                yield item
        finally:
            if hasattr(iterator, "aclose"):
                await iterator.aclose()
        return
    if not hasattr(produced, "__iter__"):
        raise MisuseError(f"An AG-UI agent's run() must yield events, not return {type(produced).__name__}.")
    async for item in _in_thread(iter(produced)):
        yield item


async def _in_thread(iterator: Iterator[Any]) -> AsyncGenerator[Any]:
    end = object()
    while (item := await asyncio.to_thread(next, iterator, end)) is not end:
        yield item

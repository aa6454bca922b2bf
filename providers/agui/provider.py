"""AG-UI agents behind the provider interface."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

from ...runtime.descriptions import described
from ...runtime.errors import MisuseError
from ...runtime.events import MessagesSnapshot
from ...runtime.media import other_forms
from ...runtime.provider import AgentDescriptor, AgentProvider
from ..agent_names import check_names
from ..threaded_iterator import in_thread
from .decoding import decode_stream
from .http import AGUIHttpAgent
from .input import run_agent_input
from .open_calls import OpenCalls

if TYPE_CHECKING:
    from ...runtime.context import RunContext, RunInput
    from ...runtime.events import Event


@runtime_checkable
class InProcessAgent(Protocol):
    """An agent in this process: ``run`` takes a ``RunAgentInput`` and yields AG-UI events in any form.

    One that has a ``clone()`` is cloned for each run; any other must be able to do several runs at a time.
    """

    def run(self, input: Any, /) -> Any:
        """Return an iterator of events, async or not, or a coroutine for one."""


AgentSource: TypeAlias = str | AGUIHttpAgent | InProcessAgent | Callable[..., Any]


class AGUIProvider(AgentProvider):
    """Serves AG-UI agents.

    Args:
        agents: By name: a URL, an ``AGUIHttpAgent``, an object with ``run(input)``, a function of the input
            that yields events, or a function without parameters that makes such an object for each run.
        name: The provider's name.
        forward_node_name: The agents that are sent ``nodeName``, the node that the client saw last: graphs with
            static breakpoints (``interrupt_before``, ``interrupt_after``) behind an adapter that goes on from there.
            Any other graph would end at once from its second turn on.

    Raises:
        MisuseError: If an agent is none of these, or ``forward_node_name`` names an agent that is not there.
    """

    takes = frozenset({"image_url", "audio", "video", "document"})

    def __init__(
        self, agents: Mapping[str, AgentSource], *, name: str = "agui", forward_node_name: Collection[str] = ()
    ) -> None:
        check_names("AGUIProvider", agents, example='"https://…"')
        self.name = name
        self._agents = {agent_name: _agent(agent_name, source) for agent_name, source in agents.items()}
        self._continued = frozenset(forward_node_name)
        if unknown := sorted(self._continued - set(self._agents)):
            raise MisuseError(f"forward_node_name names agents that are not there: {', '.join(unknown)}.")

    async def list_agents(self) -> list[AgentDescriptor]:
        """List the agents."""
        return [AgentDescriptor(name=name, description=agent.description or "") for name, agent in self._agents.items()]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Run an agent.

        Raises:
            CopilotKitError: As the agent's failure demands.
        """
        payload = run_agent_input(run, context, forward_node_name=agent_name in self._continued)
        calls = OpenCalls(run.messages)
        async with aclosing(self._agents[agent_name].events(payload, context)) as stream:
            async for event in stream:
                if isinstance(event, MessagesSnapshot):
                    yield _without_system_messages(event)
                elif not calls.repeats(event):
                    yield calls.named(event)

    @property
    def keeps_threads_elsewhere(self) -> bool:
        """Whether an agent is reached over HTTP: it may remember threads, which the protocol has no question for."""
        return any(isinstance(agent, AGUIHttpAgent) for agent in self._agents.values())

    @property
    def deletes_threads(self) -> bool:
        """False: the protocol has no way to delete what an agent remembers."""
        return False

    async def start(self) -> None:
        """Import the models of agents in this process, which would otherwise hold up all runs during their first."""
        if any(isinstance(agent, _LocalAgent) for agent in self._agents.values()):
            await asyncio.to_thread(_models)

    async def stop(self) -> None:
        """Close the connections to the agents."""
        for agent in self._agents.values():
            await agent.aclose()


class _LocalAgent:
    def __init__(self, source: InProcessAgent | Callable[..., Any]) -> None:
        self._source = source
        self.description = str(getattr(source, "description", None) or "")

    async def events(self, payload: dict[str, Any], context: RunContext) -> AsyncGenerator[Event]:
        produced = self._runner()(_as_model(payload))
        if inspect.isawaitable(produced):
            produced = await produced
        async with aclosing(decode_stream(_items(produced))) as decoded:
            async for event in decoded:
                yield event

    async def aclose(self) -> None:
        """Do nothing: the agent is its giver's."""

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


def _without_system_messages(event: MessagesSnapshot) -> MessagesSnapshot:
    """Return the thread without instructions: clients do not show them, and send their own with every request."""
    return MessagesSnapshot(messages=[message for message in event.messages if message.get("role") != "system"])


def _agent(name: str, source: AgentSource) -> AGUIHttpAgent | _LocalAgent:
    if isinstance(source, AGUIHttpAgent):
        return source
    if isinstance(source, str):
        return AGUIHttpAgent(source)
    if isinstance(source, InProcessAgent) or callable(source):
        return _LocalAgent(source)
    raise MisuseError(f"Agent '{name}' is neither a URL nor anything with run(input): it is {described(source)}.")


def _as_model(payload: dict[str, Any]) -> Any:
    """Return the input as a model of ``ag_ui.core`` where that package is installed: what agents expect."""
    core = _models()
    if core is None:
        return payload
    try:
        return core.RunAgentInput.model_validate(payload)
    except ValueError:
        # Which form attachments have depends on the package's version: none takes both.
        for messages in other_forms(payload["messages"]):
            with suppress(ValueError):
                return core.RunAgentInput.model_validate({**payload, "messages": messages})
        raise


def _models() -> ModuleType | None:
    """Return ``ag_ui.core``, if it is installed. Blocks while it is imported."""
    try:
        return importlib.import_module("ag_ui.core")
    except ImportError:
        return None


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
    async with aclosing(in_thread(iter(produced))) as items:
        async for item in items:
            yield item

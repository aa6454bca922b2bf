"""Sources of actions: lists, remote endpoints, chains, MCP servers."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ..context import RunContext, Tool
from ..errors import MisuseError
from .action import Action, action

Given: TypeAlias = object
ActionsOf: TypeAlias = Callable[[RunContext], Iterable[Given] | Awaitable[Iterable[Given]]]


class ActionSource(ABC):
    """Something that offers actions. A request goes on without the actions of a source that fails."""

    name: str = "actions"
    seconds: float = 0.0
    """How long it may take to list its actions, if that is more than the runtime's setting."""
    waits: bool = True
    """Whether it may have to wait for something to list them."""

    @abstractmethod
    async def actions(self, context: RunContext) -> Sequence[Action]:
        """Return what it offers to the request.

        Raises:
            CopilotKitError: They cannot be listed.
        """

    def guidance(self, offered: Sequence[Action]) -> str | None:
        """Return what models should learn about ``offered`` beside their descriptions."""
        return None

    async def start(self) -> None:
        """Prepare; called once, before the first request."""

    async def stop(self) -> None:
        """Clean up; called once, after the last request."""


class RemoteActionLike(Protocol):
    """An action as a remote endpoint describes it."""

    @property
    def name(self) -> str:
        """What it is called by."""

    @property
    def description(self) -> str | None:
        """What it does."""

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """The contract's list of parameters."""


@runtime_checkable
class ActionEndpoint(Protocol):
    """A CopilotKit remote endpoint, as far as actions go: ``providers.remote`` has one."""

    async def list_actions(self, context: RunContext | None = None) -> Sequence[RemoteActionLike]:
        """Return its actions, as it lists them to ``context``'s caller."""

    async def execute_action(
        self, name: str, arguments: dict[str, Any], properties: dict[str, Any], *, context: RunContext | None = None
    ) -> Any:
        """Do one of them, once."""


@runtime_checkable
class Chain(Protocol):
    """A LangServe chain: ``providers.langserve`` has one."""

    name: str

    async def describe(self, context: RunContext | None = None) -> Tool:
        """Return the chain as a tool."""

    async def invoke(self, arguments: dict[str, Any], context: RunContext | None = None) -> Any:
        """Call it, once."""

    async def aclose(self) -> None:
        """Close the connections to it."""


class ListedActions(ActionSource):
    """A fixed list of actions."""

    waits = False

    def __init__(self, listed: Iterable[Action]) -> None:
        self._listed = tuple(listed)

    async def actions(self, context: RunContext) -> Sequence[Action]:
        """Return all of them."""
        return self._listed


class ComputedActions(ActionSource):
    """Actions that a function picks for each request."""

    def __init__(self, pick: ActionsOf) -> None:
        self._pick = pick

    async def actions(self, context: RunContext) -> Sequence[Action]:
        """Return what the function returns. It runs on the event loop, and must not block it.

        Raises:
            MisuseError: It returned something that is not an action.
        """
        picked = self._pick(context)
        given = await picked if inspect.isawaitable(picked) else picked
        return [one for source in sources_of(given) for one in await source.actions(context)]


class EndpointActions(ActionSource):
    """The actions of a remote endpoint."""

    def __init__(self, name: str, endpoint: ActionEndpoint) -> None:
        self.name = name
        self._endpoint = endpoint

    async def actions(self, context: RunContext) -> Sequence[Action]:
        """Return what the endpoint lists to the request's caller.

        Raises:
            CopilotKitError: It cannot be reached, or refuses.
        """
        return [self._action(remote) for remote in await self._endpoint.list_actions(context)]

    def _action(self, remote: RemoteActionLike) -> Action:
        async def execute(context: RunContext, /, **arguments: Any) -> Any:
            return await self._endpoint.execute_action(remote.name, arguments, context.properties, context=context)

        return Action(remote.name, remote.description or "", execute, remote.parameters)


class ChainActions(ActionSource):
    """A LangServe chain as one action."""

    def __init__(self, chain: Chain) -> None:
        self.name = chain.name
        self._chain = chain

    async def actions(self, context: RunContext) -> Sequence[Action]:
        """Return the chain as an action.

        Raises:
            CopilotKitError: It was given no parameters, and the chain cannot be asked for them.
        """

        async def invoke(context: RunContext, /, **arguments: Any) -> Any:
            return await self._chain.invoke(arguments, context)

        tool = await self._chain.describe(context)
        return [Action(tool.name, tool.description, invoke, tool.parameters)]

    async def stop(self) -> None:
        """Close the connections to the chain."""
        await self._chain.aclose()


def sources_of(given: Iterable[Given]) -> list[ActionSource]:
    """Return what users list as actions: actions, plain functions, chains, remote endpoints and sources of their own.

    Raises:
        MisuseError: Something else is among them.
    """
    return [_source_of(one) for one in given]


def _source_of(given: Given) -> ActionSource:
    match given:
        case ActionSource():
            return given
        case Action():
            return ListedActions([given])
        case Chain():
            return ChainActions(given)
        case ActionEndpoint():
            return EndpointActions(str(getattr(given, "name", "remote")), given)
        case _ if callable(given):
            return ListedActions([action(given)])
        case _:
            raise MisuseError(
                f"{type(given).__name__} is not an action: pass an Action, a function, or an ActionSource."
            )

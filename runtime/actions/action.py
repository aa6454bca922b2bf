"""A server-side action: a typed Python callable that models and agents may call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias, overload

from ..context import RunContext, Tool
from ..errors import MisuseError
from ..thread_pool import Workers
from .parameters import parameters_schema
from .signature import Signature

Handler: TypeAlias = Callable[..., Any]
Parameters: TypeAlias = Mapping[str, Any] | Iterable[Mapping[str, Any]]

DEFAULT_SECONDS = 60.0


class Action:
    """Something that the runtime does when a model or agent asks for it.

    Args:
        name: What it is called by.
        description: What it does, for models and agents.
        handler: What does it: a function of keyword arguments, sync (it runs in a thread) or async. A parameter
            annotated with ``RunContext`` is given the request's context. It may return whatever JSON can express.
        parameters: A JSON Schema object, or the contract's list of ``{name, type, ...}``; None for what the handler's
            signature gives.
        return_direct: Whether a text that the handler returns is also shown to the user.
        timeout: Seconds that the handler may take.
        agents: The agents that may use it, the model as ``default``; None for all.

    Raises:
        MisuseError: The name is missing; or the handler cannot be called with keyword arguments, or its annotations
            cannot be understood.
    """

    def __init__(
        self,
        name: str,
        description: str,
        handler: Handler,
        parameters: Parameters | None = None,
        *,
        return_direct: bool = False,
        timeout: float = DEFAULT_SECONDS,
        agents: Collection[str] | None = None,
    ) -> None:
        if not callable(handler):
            raise MisuseError(f"The handler of the action '{name}' is {type(handler).__name__}, which is not callable.")
        if not name or name == "<lambda>":
            raise MisuseError("An action needs a name.")
        self.name = name
        self.description = description
        self.handler = handler
        self.return_direct = return_direct
        self.timeout = timeout
        self.agents = None if agents is None else frozenset(agents)
        self._signature = Signature(handler)
        self.tool = Tool(name=name, description=description, parameters=self._schema(parameters))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the handler itself, as if it were no action."""
        return self.handler(*args, **kwargs)

    def is_for(self, agent: str) -> bool:
        """Return whether an agent, or the model as ``default``, may use it."""
        return self.agents is None or agent in self.agents

    async def invoke(self, arguments: dict[str, Any], context: RunContext, workers: Workers) -> Any:
        """Do it, once.

        Args:
            arguments: By name, as the model gave them.
            context: Given to handlers that take one.
            workers: The threads that sync handlers run in.

        Returns:
            What the handler returns.

        Raises:
            InvalidArgumentsError: ``arguments`` do not fit.
            Exception: Whatever the handler raises.
        """
        given, named = self._signature.fit(arguments, context)
        if _is_async(self.handler):
            return await self.handler(*given, **named)
        value = await workers.run(partial(self.handler, *given, **named))
        return await value if inspect.isawaitable(value) else value

    def _schema(self, parameters: Parameters | None) -> dict[str, Any]:
        if parameters is None:
            return self._signature.schema()
        return dict(parameters) if isinstance(parameters, Mapping) else parameters_schema(parameters)


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004


@overload
def action(handler: Handler, /) -> Action: ...


@overload
def action(
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Parameters | None = None,
    return_direct: bool = False,
    timeout: float = DEFAULT_SECONDS,
) -> Callable[[Handler], Action]: ...


def action(
    handler: Handler | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Parameters | None = None,
    return_direct: bool = False,
    timeout: float = DEFAULT_SECONDS,
) -> Action | Callable[[Handler], Action]:
    """Make a function an action, as ``@action`` or ``@action(name=..., ...)``.

    Args:
        handler: The function.
        name: What models call it; None for the function's name.
        description: What models read about it; None for the function's docstring.
        parameters: As in ``Action``.
        return_direct: As in ``Action``.
        timeout: As in ``Action``.

    Returns:
        The action, or with keyword arguments a decorator that makes it.

    Raises:
        MisuseError: As ``Action``.
    """

    def decorate(function: Handler) -> Action:
        return Action(
            name or str(getattr(function, "__name__", type(function).__name__)),
            (inspect.getdoc(function) or "") if description is None else description,
            function,
            parameters,
            return_direct=return_direct,
            timeout=timeout,
        )

    return decorate if handler is None else decorate(handler)

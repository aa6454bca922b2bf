"""Async functions as agents. Copy this, and put your framework where the functions are."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from importlib import import_module
from typing import Any, TypeAlias
from uuid import uuid4

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, errors, events

Answer: TypeAlias = str | dict[str, Any]
Function: TypeAlias = Callable[[RunInput], AsyncGenerator[Answer]]


class FunctionProvider(AgentProvider):
    """Serves async generator functions.

    Args:
        functions: By agent name. A function yields pieces of its answer as strings, and the agent's state as
            dicts. Its docstring is the agent's description.
        name: The provider's name.
    """

    def __init__(self, functions: Mapping[str, Function], *, name: str = "functions") -> None:
        self.name = name
        self._functions = dict(functions)

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the functions by their names."""
        return [
            AgentDescriptor(name=name, description=function.__doc__ or "") for name, function in self._functions.items()
        ]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Run a function.

        The runtime adds the run's beginning and end, closes the message, and turns an exception into the
        run's failure: none of that is done here.

        Raises:
            AgentNotFoundError: No agent has that name.
        """
        function = self._functions.get(agent_name)
        if function is None:
            raise errors.AgentNotFoundError(agent_name, list(self._functions))
        message_id = str(uuid4())
        begun = False
        # A stopped run closes this generator where it waits: aclosing passes that on to the function.
        async with aclosing(function(run)) as answers:
            async for answer in answers:
                if isinstance(answer, dict):
                    yield events.StateSnapshot(snapshot=answer)
                    continue
                if not begun:
                    begun = True
                    yield events.TextMessageStart(message_id=message_id)
                yield events.TextMessageContent(message_id=message_id, delta=answer)


def from_environment() -> FunctionProvider:
    """Serve, as the entry point, the functions that ``FUNCTION_AGENTS`` names, as ``agent=module:function,…``."""
    named = (entry.partition("=") for entry in os.environ.get("FUNCTION_AGENTS", "").split(",") if entry)
    return FunctionProvider({name.strip(): _function(path.strip()) for name, _, path in named})


def _function(path: str) -> Function:
    module, _, attribute = path.partition(":")
    function: Function = getattr(import_module(module), attribute)
    return function

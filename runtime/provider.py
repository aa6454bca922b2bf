"""The provider interface: how a framework, or anything else that can answer, becomes an agent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec

from .context import RunContext, RunInput
from .events import Event
from .stores.interface import AgentState, StateStore


class AgentDescriptor(msgspec.Struct, kw_only=True, frozen=True):
    """How an agent presents itself to clients.

    ``capabilities`` are AG-UI's (https://docs.ag-ui.com/concepts/capabilities), shown to clients as they are. ``queue``
    names the queue whose workers run the agent, where a queue executes runs; clients do not see it.
    """

    name: str
    description: str = ""
    capabilities: dict[str, Any] = {}
    queue: str = "default"


class StateSchemas(msgspec.Struct, frozen=True):
    """JSON Schemas of an agent's state; None where they are not known.

    Args:
        shown: What clients see of the state.
        taken: What clients may set of it.
    """

    shown: dict[str, Any] | None = None
    taken: dict[str, Any] | None = None


class AgentProvider(ABC):
    """A source of agents.

    ``execute_run`` is an async generator, which the runtime closes. It may leave out ``RunStarted`` and
    ``RunFinished``, may leave messages, tool calls and steps open when it returns, and reports failure by raising: the
    runtime completes the stream (``runtime.runs.verifier``). When the run is cancelled the generator is closed at its
    current ``yield`` or ``await``, and must release the framework's work within a second. Instances are shared by all
    runs, so that nothing about a run may live on ``self``.
    """

    name: str = "provider"
    keeps_state: ClassVar[bool] = False
    """True if the framework keeps states itself, so that the runtime need not save them after a run."""
    reports_extensions: ClassVar[bool] = False
    """True if a run may begin with ``Custom(name=events.EXTENSIONS)``: the answer then waits for its first event."""
    takes: ClassVar[frozenset[str]] = frozenset()
    """What agents take besides texts, tool calls and pictures: ``image_url``, ``audio``, ``video``, ``document``,
    ``reasoning`` (``runtime.media``)."""
    declares_config: ClassVar[bool] = False
    """True if the provider compares the names in a client's ``configurable`` and ``context`` with those that its agents
    declare (``runtime.client_config``); otherwise the runtime leaves ordinary names in them."""
    store: StateStore | None = None
    """Where states are kept otherwise; the runtime sets it."""
    client_config_keys: frozenset[str] = frozenset()
    """What clients may set though no agent declares it; the runtime sets it."""

    def accepts(self, agent_name: str) -> frozenset[str]:
        """Return the kinds of attachments that an agent takes, and ``reasoning``; by default ``takes`` and pictures.

        A run with an attachment of another kind is refused, and the client learns why.
        """
        del agent_name
        return self.takes | {"image"}

    def capabilities(self, agent_name: str) -> dict[str, Any]:
        """Return what is known of an agent's abilities, in AG-UI's categories; called often, so that it must be quick.

        By default nothing. What an ``AgentDescriptor`` declares wins over it.
        """
        del agent_name
        return {}

    @abstractmethod
    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the agents this provider can run now."""

    @abstractmethod
    def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncIterator[Event]:
        """Run an agent, and yield what happens, as it happens.

        Args:
            agent_name: The agent; "" for a model.
            run: The thread, the messages, the state and the tools.
            context: The caller, and what came with the request.
        """

    async def state_schemas(self, agent_name: str) -> StateSchemas:
        """Return the schemas of an agent's state, for clients' types. By default, they are not known."""
        del agent_name
        return StateSchemas()

    def can_resume(self, agent_name: str) -> bool:
        """Return whether ``resume_run`` can go on with a run of this agent that another process began."""
        del agent_name
        return False

    def resume_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncIterator[Event]:
        """Go on with a run whose process has gone, from what the agent keeps of it; yield what happens.

        Called for agents that ``can_resume``, with the input and context that the run began with. What was not kept is
        done again. The runtime leaves out what was shown before, and expects the first event about the state to be a
        snapshot.

        Raises:
            NotImplementedError: The provider cannot.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot go on with runs of other processes.")

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        """Return what the agent last knew on this thread, or None. By default, what the runtime's store holds."""
        if self.store is None:
            return None
        return await self.store.load(thread_id, agent_name)

    async def save_state(self, thread_id: str, agent_name: str, state: AgentState) -> None:
        """Replace an agent's state and messages on a thread. By default, in the runtime's store.

        Args:
            thread_id: The thread.
            agent_name: The agent.
            state: The new state and messages.
        """
        if self.store is not None:
            await self.store.save(thread_id, agent_name, state)

    @property
    def keeps_threads_elsewhere(self) -> bool:
        """Whether conversations are kept where the runtime's store is not, and may outlive it."""
        return False

    @property
    def deletes_threads(self) -> bool:
        """Whether ``delete_thread`` removes all that agents keep of a thread.

        Where it cannot, nobody else may ever begin a thread of the same id.
        """
        return True

    async def keeps_thread(self, thread_id: str) -> bool:
        """Return whether the framework, or a service, keeps a conversation of its own under this thread's id.

        A client may only begin a thread that is kept nowhere: what has no owner is nobody's.
        """
        del thread_id
        return False

    async def delete_thread(self, thread_id: str) -> None:
        """Remove every trace of a thread that is kept elsewhere than in the runtime's store; do nothing if none is."""

    async def delete_owner(self, owner: str) -> None:
        """Remove what agents remember of a person across threads; do nothing if they remember nothing."""

    async def compact_thread(self, thread_id: str) -> None:
        """Let go of what no later run of a thread needs; do nothing if there is nothing of the kind."""

    async def start(self) -> None:
        """Prepare; called once, before the first run."""

    async def stop(self) -> None:
        """Clean up; called once, after the last run."""

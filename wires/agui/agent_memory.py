"""What an agent remembers of a thread by itself, be it in a service that does not answer now."""

from __future__ import annotations

import structlog

from ...runtime.patience import within
from ...runtime.stores.errors import StoreUnavailableError
from ...runtime.stores.interface import AgentState
from .agents import Agent

MEMORY_SECONDS = 5.0
"""How long an agent may take to remember: a client takes a server for dead that sends no headers for 10 s."""

log = structlog.get_logger(__name__)


async def remembered(agent: Agent, thread_id: str) -> AgentState | None:
    """Return what an agent remembers of a thread; None if that cannot be had now, for which the log has the reason.

    Raises:
        StoreUnavailableError: The runtime's own store does not answer.
    """
    if agent.name is None:
        return AgentState()
    try:
        return await within(MEMORY_SECONDS, agent.provider.load_state(thread_id, agent.name)) or AgentState()
    except StoreUnavailableError:
        raise
    except Exception as error:
        log.warning("agent_memory_not_read", agent=agent.name, thread_id=thread_id, exc_info=error)
        return None

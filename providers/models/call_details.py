"""What vendors want back with the calls of an answer: Google's signatures, DeepSeek's reasoning, signed thinking.

Clients never see it. It is kept by thread and call id in the runtime's store, so that another process can go on with
the thread, and goes only to where it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from ...runtime.context import RunInput
from ...runtime.errors import StoreError
from ...runtime.messages import ToolCallMessage
from ...runtime.stores.errors import StoreConflictError
from ...runtime.stores.interface import AgentState, StateStore

AGENT_NAME = "copilotkit:call-details"
MAX_CALLS = 500
MAX_BYTES = 2 * 1024 * 1024

_ATTEMPTS = 5

log = structlog.get_logger(__name__)


class CallDetails:
    """The details of the calls of one thread.

    Args:
        kept: What is kept, by call id.
    """

    def __init__(self, kept: Mapping[str, Any] | None = None) -> None:
        self._kept = dict(kept or {})
        self.added: dict[str, Any] = {}

    def of(self, call_id: str, origin: str) -> Mapping[str, Any]:
        """Return what ``origin`` sent with a call: ``call`` belongs to the call, ``message`` to the whole answer."""
        kept = self._kept.get(call_id)
        return kept if isinstance(kept, Mapping) and kept.get("origin") == origin else {}

    def of_call(self, call_id: str, origin: str) -> dict[str, Any]:
        """Return the call's part of ``of``."""
        return dict(self.of(call_id, origin).get("call") or {})

    def of_message(self, calls: list[ToolCallMessage], origin: str) -> dict[str, Any]:
        """Return the answer's part of ``of``, for the answer that made ``calls``."""
        parts = (self.of(call.id, origin).get("message") for call in calls)
        return dict(next((part for part in parts if part), {}))

    def keep(self, origin: str, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Add what ``origin`` sent with calls, by their ids."""
        for call_id, details in found.items():
            self.added[call_id] = {"origin": origin, **details}


class DetailsStore:
    """Keeps details in a state store. An outage is logged: the vendor then refuses the thread's next turn, if it must.

    Args:
        store: The store; None to keep nothing.
    """

    def __init__(self, store: StateStore | None) -> None:
        self._store = store

    async def load(self, run: RunInput) -> CallDetails:
        """Return the details of the calls of a run's thread."""
        if self._store is None or not any(isinstance(message, ToolCallMessage) for message in run.messages):
            return CallDetails()
        try:
            state = await self._store.load(run.thread_id, AGENT_NAME)
        except StoreError as error:
            log.warning("call_details_not_loaded", thread_id=run.thread_id, error=error.message)
            return CallDetails()
        return CallDetails(state.state if state is not None else None)

    async def save(self, run: RunInput, details: CallDetails) -> None:
        """Keep what a run has added, and as much of the older details as there is room for."""
        if self._store is None or not details.added:
            return
        try:
            await self._merge(self._store, run.thread_id, details.added)
        except StoreError as error:
            log.warning("call_details_not_saved", thread_id=run.thread_id, error=error.message)

    async def _merge(self, store: StateStore, thread_id: str, added: dict[str, Any]) -> None:
        for attempt in range(_ATTEMPTS):
            kept = await store.load(thread_id, AGENT_NAME) or AgentState()
            merged = AgentState(state=_newest({**kept.state, **added}))
            try:
                await store.save(thread_id, AGENT_NAME, merged, expected_version=kept.version)
            except StoreConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return


def _newest(details: dict[str, Any]) -> dict[str, Any]:
    room = MAX_BYTES
    newest: list[tuple[str, Any]] = []
    for call_id, kept in reversed(details.items()):
        room -= len(call_id) + len(msgspec.json.encode(kept))
        if room < 0 or len(newest) == MAX_CALLS:
            break
        newest.append((call_id, kept))
    return dict(reversed(newest))

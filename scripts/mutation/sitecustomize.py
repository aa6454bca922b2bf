"""Breaks the runtime on purpose in every Python process that has this folder on its path; see ``scripts/mutate``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from copilotkit_runtime.runtime import errors, events
from copilotkit_runtime.runtime.runs.log import RunLog
from copilotkit_runtime.runtime.service import RuntimeService
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.records import RecordStore


def _replace(owner: Any, method: Any) -> None:
    setattr(owner, method.__name__, method)


def refuse_every_run() -> None:
    """Refuse each run before it begins."""

    async def start(_service: RuntimeService, _request: Any) -> Any:
        raise errors.MisuseError("Every run is refused.")

    _replace(RuntimeService, start)


def empty_every_stream() -> None:
    """Drop all events but those that begin and end a run."""

    def append_nowait(_log: RunLog, _event: events.Event) -> bool:
        return True

    _replace(RunLog, append_nowait)


def empty_every_state() -> None:
    """Load each state without content."""
    original = RecordStore.load_many

    async def load_many(store: RecordStore, keys: Sequence[tuple[str, str]]) -> list[AgentState | None]:
        return [state and AgentState(version=state.version) for state in await original(store, keys)]

    _replace(RecordStore, load_many)


MUTATIONS = {"refused": refuse_every_run, "silent": empty_every_stream, "forgetful": empty_every_state}

if mutation := os.environ.get("COPILOTKIT_TEST_MUTATION"):
    MUTATIONS[mutation]()

"""The agent's state as clients see it: the graph's, overlaid with what it is about to become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...runtime.events import Custom, Event, StateSnapshot
from .encoding import Encoder, Json
from .schema import OWN_KEYS, GraphSchema

ENCODING_ERROR = "error"


class ShownState:
    """Follows one run's state; every change comes out as a snapshot, nothing else does.

    Args:
        schema: The graph's keys.
    """

    def __init__(self, schema: GraphSchema) -> None:
        self._schema = schema
        self._values: dict[str, Json] = {}
        self._emitted: dict[str, Json] | None = None
        self._emitter: str | None = None
        self._predicted: dict[str, Json] = {}
        self._shown: dict[str, Json] = {}
        self._reported: set[str] = set()

    def values(self, values: Any) -> list[Event]:
        """Return the events for the graph's state after a step."""
        if not isinstance(values, Mapping):
            return []
        encoder = Encoder()
        self._values = {key: encoder.encode(values[key], key) for key in values if self._schema.shows(key)}
        return [*self.report(encoder.failures.values()), *self._changes()]

    def emitted(self, state: Json, task_id: str | None) -> list[Event]:
        """Show a state that the agent emitted by hand: its keys stand for the graph's until its task ends."""
        if not isinstance(state, dict):
            return []
        self._emitted = {key: value for key, value in state.items() if key not in OWN_KEYS}
        self._emitter = task_id
        return self._changes()

    def predicted(self, key: str, value: Json) -> list[Event]:
        """Return the events for a key's value in a streaming tool call, which shows until a task writes the key."""
        self._predicted[key] = value
        return self._changes()

    def task_ended(self, task_id: str, writes: Any) -> None:
        """Note that a root task ended, having written the given keys."""
        if self._emitter in (task_id, None):
            self._emitted = None
        for key in writes if isinstance(writes, Mapping) else ():
            self._predicted.pop(key, None)

    def final(self) -> list[Event]:
        """Return the events for the state that the run ended with: only what the graph itself holds."""
        self._emitted = None
        self._predicted = {}
        return self._changes()

    def report(self, failures: Iterable[str]) -> list[Event]:
        """Name what could not be encoded, once each."""
        new = [failure for failure in failures if failure not in self._reported]
        self._reported.update(new)
        return [Custom(name=ENCODING_ERROR, value={"message": f"State cannot be shown: {text}."}) for text in new]

    def _changes(self) -> list[Event]:
        state = self._values
        if self._emitted or self._predicted:
            state = {**state, **(self._emitted or {}), **self._predicted}
        if state == self._shown:
            return []
        self._shown = dict(state)
        return [StateSnapshot(snapshot=self._shown)]

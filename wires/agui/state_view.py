"""The agent's state as the client sees it."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ...runtime import events
from ...runtime.errors import ProtocolError
from ...runtime.runs.state import StateTracker
from ...runtime.shown_state import HIDDEN, shown_state

PREDICTION_SECONDS = 0.1
"""How often state that grows with a tool's arguments is shown at most."""


class StateView:
    """Leaves out of an agent's state what clients have otherwise, and shows what a tool call is about to write."""

    __slots__ = ("_predicted", "_sent", "_sent_at", "_shown", "_unsent")

    def __init__(self) -> None:
        self._shown: dict[str, Any] | None = None
        self._predicted: StateTracker | None = None
        """What calls are about to write, while that is predicted."""
        self._unsent: dict[str, Any] | None = None
        self._sent: dict[str, Any] = {}
        self._sent_at = 0.0

    def snapshot(self, value: Any) -> list[dict[str, Any]]:
        """Return the event for a whole state; none if the client has it, or if it is not an object."""
        if not isinstance(value, dict):
            return []
        state = shown_state(value)
        if state == self._shown and not self._sent:
            return []
        self._shown = state
        self._sent, self._unsent = {}, None
        return [{"type": "STATE_SNAPSHOT", "snapshot": state}]

    def delta(self, patch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the event for a change; none if it changes nothing that the client sees."""
        seen = [operation for operation in patch if _key_of(operation.get("path")) not in HIDDEN]
        if not seen or not self._apply(seen):
            return []
        return [{"type": "STATE_DELTA", "delta": seen}]

    def _apply(self, patch: list[dict[str, Any]]) -> bool:
        """Follow a change; return whether there is one."""
        if self._shown is None:
            return True
        tracker = StateTracker()
        tracker.state = self._shown
        try:
            tracker.delta(events.StateDelta(delta=patch))
        except ProtocolError:
            return True  # the client knows more of its state than this run has sent
        changed = tracker.state != self._shown
        self._shown = tracker.state
        return changed

    def predict(self, event: events.Custom) -> None:
        """Take note of which tools' arguments are shown in which keys."""
        if self._predicted is None:
            self._predicted = StateTracker()
        self._predicted.predict(event)

    def call_started(self, event: events.ToolCallStart) -> None:
        """Take note of a call."""
        if self._predicted is not None:
            self._predicted.tool_call_started(event)

    def call_arguments(self, event: events.ToolCallArgs) -> list[dict[str, Any]]:
        """Return the event for what a call's arguments show by now."""
        if self._predicted is None or not self._predicted.tool_call_arguments(event):
            return []
        self._unsent = self._predicted.state
        return self._predictions() if monotonic() - self._sent_at >= PREDICTION_SECONDS else []

    def call_ended(self, event: events.ToolCallEnd) -> list[dict[str, Any]]:
        """Return the event for what was not shown yet of complete arguments."""
        if self._predicted is not None and self._predicted.tool_call_ended(event):
            self._unsent = self._predicted.state
        return self._predictions() if self._unsent is not None else []

    def step_finished(self) -> list[dict[str, Any]]:
        """Return the true state in place of the predicted one."""
        predicted, self._predicted, self._unsent = bool(self._sent), None, None
        if not predicted or self._shown is None:
            return []
        self._sent = {}
        return [{"type": "STATE_SNAPSHOT", "snapshot": self._shown}]

    def _predictions(self) -> list[dict[str, Any]]:
        state, self._unsent = self._unsent or {}, None
        changed = {key: value for key, value in state.items() if key not in self._sent or self._sent[key] != value}
        if not changed:
            return []
        self._sent = {**self._sent, **changed}
        self._sent_at = monotonic()
        patch = [{"op": "add", "path": f"/{_escaped(key)}", "value": value} for key, value in changed.items()]
        return [{"type": "STATE_DELTA", "delta": patch}]


def _key_of(path: Any) -> str:
    return str(path).removeprefix("/").partition("/")[0].replace("~1", "/").replace("~0", "~")


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")

"""An agent's state as the events of one run tell it, with what the model is about to write into it."""

from __future__ import annotations

from typing import Any

import pydantic_core

from .. import events
from ..errors import ProtocolError
from .json_patch import JsonPatchError, apply_patch


class StateTracker:
    """Follows the state events of one run.

    The state starts empty, not as the client's (docs/contract.md, section 6.1). While a tool call streams whose tool is
    named by a ``PredictState`` event, its partial arguments show in the state ahead of the agent's own update.
    """

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self._predictions: dict[str, list[dict[str, Any]]] = {}
        self._tool_names: dict[str, str] = {}
        self._arguments: dict[str, str] = {}

    def snapshot(self, event: events.StateSnapshot) -> None:
        """Takes over a whole state. The thread's messages have their own events and stay out."""
        value = event.snapshot
        self.state = {k: v for k, v in value.items() if k != "messages"} if isinstance(value, dict) else {}

    def delta(self, event: events.StateDelta) -> None:
        """Applies a JSON Patch.

        Raises:
            ProtocolError: The patch does not fit the state.
        """
        try:
            patched = apply_patch(self.state, event.delta)
        except JsonPatchError as error:
            raise ProtocolError("The agent sent a state delta that does not fit its state.") from error
        self.state = patched if isinstance(patched, dict) else {}

    def predict(self, event: events.Custom) -> None:
        """Arms the prediction: ``value`` lists ``{state_key, tool, tool_argument?}``."""
        self._predictions = {}
        for rule in event.value if isinstance(event.value, list) else ():
            self._predictions.setdefault(rule["tool"], []).append(rule)

    def forget_predictions(self) -> None:
        """Disarms the prediction, as a change of step does."""
        self._predictions = {}
        self._arguments = {}

    def tool_call_started(self, event: events.ToolCallStart) -> None:
        """Takes note of a call's tool."""
        if event.tool_call_name in self._predictions:
            self._tool_names[event.tool_call_id] = event.tool_call_name
            self._arguments[event.tool_call_id] = ""

    def tool_call_arguments(self, event: events.ToolCallArgs) -> bool:
        """Follows a call's arguments; true if the state shows more of them now."""
        if event.tool_call_id not in self._arguments:
            return False
        text = self._arguments[event.tool_call_id] + event.delta
        self._arguments[event.tool_call_id] = text
        try:
            arguments = pydantic_core.from_json(text, allow_partial="trailing-strings")
        except ValueError:
            return False
        return isinstance(arguments, dict) and self._show(self._tool_names[event.tool_call_id], arguments)

    def _show(self, tool: str, arguments: dict[str, Any]) -> bool:
        shown = False
        for rule in self._predictions.get(tool, ()):
            argument = rule.get("tool_argument")
            if argument and argument not in arguments:
                continue
            self.state = {**self.state, rule["state_key"]: arguments[argument] if argument else arguments}
            shown = True
        return shown

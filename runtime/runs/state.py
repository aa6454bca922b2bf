"""An agent's state as the events of one run report it, with what the model is about to write into it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from .. import events
from ..errors import ProtocolError
from ..predictions import PartialArguments, Prediction, parse_predictions, predicted_values
from .json_patch import JsonPatchError, apply_patch


class StateTracker:
    """The state events of one run, followed.

    The state starts empty, not as the client's (docs/contract.md, section 6.1). While a tool call streams whose tool is
    named by a ``PredictState`` event, its partial arguments show in the state ahead of the agent's own update.
    """

    __slots__ = ("_calls", "_predictions", "state")

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self._predictions: list[Prediction] = []
        self._calls: dict[str, _PredictingCall] = {}

    def snapshot(self, event: events.StateSnapshot) -> None:
        """Take over a whole state. The thread's messages have their own events and stay out."""
        value = event.snapshot
        self.state = {k: v for k, v in value.items() if k != "messages"} if isinstance(value, dict) else {}

    def delta(self, event: events.StateDelta) -> None:
        """Apply a JSON Patch.

        Raises:
            ProtocolError: The patch does not fit the state.
        """
        try:
            patched = apply_patch(self.state, event.delta)
        except JsonPatchError as error:
            raise ProtocolError("The agent sent a state delta that does not fit its state.") from error
        self.state = patched if isinstance(patched, dict) else {}

    def predict(self, event: events.Custom) -> None:
        """Arm the prediction: ``value`` lists ``{state_key, tool, tool_argument?}``."""
        self._predictions = list(parse_predictions(event.value))

    def forget_predictions(self) -> None:
        """Disarm the prediction, as a change of step does."""
        self._predictions = []
        self._calls = {}

    def tool_call_started(self, event: events.ToolCallStart) -> None:
        """Take note of a call's tool."""
        if any(prediction.tool == event.tool_call_name for prediction in self._predictions):
            self._calls[event.tool_call_id] = _PredictingCall(event.tool_call_name)

    def tool_call_arguments(self, event: events.ToolCallArgs) -> bool:
        """Follow a call's arguments.

        Returns:
            Whether the state shows more of them now.
        """
        call = self._calls.get(event.tool_call_id)
        if call is None:
            return False
        call.arguments.append(event.delta)
        return self._show(call, call.arguments.read_grown())

    def tool_call_ended(self, event: events.ToolCallEnd) -> bool:
        """Show the last of a call's arguments.

        Returns:
            Whether the state shows more of them now.
        """
        call = self._calls.pop(event.tool_call_id, None)
        return call is not None and self._show(call, call.arguments.read_rest())

    def _show(self, call: _PredictingCall, arguments: dict[str, Any] | None) -> bool:
        predictions = [prediction for prediction in self._predictions if prediction.tool == call.tool]
        values = [] if arguments is None else predicted_values(predictions, arguments)
        if values:
            self.state = {**self.state, **dict(values)}
        return bool(values)


class _PredictingCall(Struct):
    tool: str
    arguments: PartialArguments = field(default_factory=PartialArguments)

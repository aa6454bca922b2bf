"""State that a model is about to write, from the arguments of a tool call that still streams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pydantic_core

from ...runtime.events import Event
from .model_call import StreamedCall
from .policy import Prediction
from .shown_state import ShownState

# A predicted value is shown again when its text grew by this share: what is sent stays linear in the text.
_GROWTH = 128


class Predictions:
    """Shows what tool calls predict.

    Args:
        state: Where it shows.
    """

    def __init__(self, state: ShownState) -> None:
        self._state = state

    def grown(self, call: StreamedCall) -> list[Event]:
        """Return the events of a call whose arguments grew, if they grew enough."""
        if call.length - call.shown_at <= call.shown_at // _GROWTH:
            return []
        return self._parsed(call)

    def last(self, call: StreamedCall) -> list[Event]:
        """Return the events of a call whose arguments are complete."""
        return self._parsed(call) if call.predictions and call.shown_at < call.length else []

    def show(self, predictions: Iterable[Prediction], arguments: Any) -> list[Event]:
        """Return the events of predictions from a call's arguments."""
        if not isinstance(arguments, dict):
            return []
        shown: list[Event] = []
        for prediction in predictions:
            if not prediction.argument:
                shown.extend(self._state.predicted(prediction.state_key, arguments))
            elif prediction.argument in arguments:
                shown.extend(self._state.predicted(prediction.state_key, arguments[prediction.argument]))
        return shown

    def _parsed(self, call: StreamedCall) -> list[Event]:
        call.shown_at = call.length
        call.arguments = ["".join(call.arguments)]
        try:
            arguments = pydantic_core.from_json(call.arguments[0], allow_partial="trailing-strings")
        except ValueError:
            return []
        return self.show(call.predictions, arguments)

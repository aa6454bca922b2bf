"""The state that a client gives a run, as what the agent's first change builds on."""

from __future__ import annotations

from .. import events
from ..context import RunInput

STATES = frozenset((events.StateSnapshot, events.StateDelta))


class GivenState:
    """Completes a run whose agent reports changes of the state that it was given, and never the whole.

    Args:
        run: The run's input.
        begun: Whether the state has been reported before, by another process.
    """

    __slots__ = ("_state",)

    def __init__(self, run: RunInput, *, begun: bool) -> None:
        self._state = run.state if run.builds_on_state and not begun else None

    def before(self, event: events.Event) -> events.StateSnapshot | None:
        """Return what has to be reported before the run's next event about its state."""
        state, self._state = self._state, None
        return events.StateSnapshot(snapshot=state, given=True) if state and type(event) is events.StateDelta else None

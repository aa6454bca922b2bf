"""Whether an answer that has come to its end is one."""

from __future__ import annotations

from .vendor_errors import NoAnswerError

_REGULAR = frozenset(
    {
        "complete",
        "completed",
        "end",
        "end_turn",
        "endofturn",
        "eos",
        "eos_token",
        "finish_reason_stop",
        "stop",
        "stop_sequence",
        "stop_token",
    }
)
_CALLS = frozenset({"function_call", "tool_calls", "tool_use"})
_FAILURES = frozenset({"error", "network_error", "insufficient_system_resource"})


def check_end(reason: str | None, *, empty: bool, explanation: str | None = None) -> None:
    """Check that an answer which ended for ``reason`` is one.

    Args:
        reason: Why the vendor ended the answer, in its own words, if it gave a reason.
        empty: Whether the answer has neither text nor a call.
        explanation: The vendor's own explanation.

    Raises:
        NoAnswerError: The vendor withheld the answer, or ended it without having written anything.
    """
    word = (reason or "").lower()
    if word in _FAILURES:
        raise NoAnswerError(explanation or f"The answer ended with the reason '{reason}'.")
    if not empty or word in _REGULAR:
        return
    if not word:
        raise NoAnswerError(explanation or "The stream ended without an answer.")
    if word in _CALLS:
        raise NoAnswerError(f"The answer ended with the reason '{reason}', but calls no tool by name.")
    raise NoAnswerError(_with_reason(explanation, str(reason)))


def _with_reason(explanation: str | None, reason: str) -> str:
    return f"{explanation} ({reason})" if explanation else f"The model gave no answer, for the reason '{reason}'."

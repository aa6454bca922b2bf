"""The questions that a run leaves open, as clients are asked them."""

from __future__ import annotations

from typing import Any, TypeGuard

from ...runtime import events


def is_question(event: events.Event) -> TypeGuard[events.Custom]:
    """Return whether an event asks a person something."""
    return isinstance(event, events.Custom) and event.name in events.QUESTIONS


class Interrupts:
    """Collects a run's questions until it ends.

    Args:
        run_id: The run that asks.
    """

    __slots__ = ("_run_id", "_values")

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._values: list[Any] = []

    def add(self, event: events.Custom) -> None:
        """Take a question."""
        self._values.append(_sdk_value(event.value) if event.name == events.COPILOTKIT_INTERRUPT else event.value)

    def legacy(self) -> list[dict[str, Any]]:
        """Return the CUSTOM event that asks. Clients keep only the last, so that several questions are one list."""
        if not self._values:
            return []
        value = self._values[0] if len(self._values) == 1 else self._values
        return [{"type": "CUSTOM", "name": events.INTERRUPT, "value": value}]

    def outcome(self) -> dict[str, Any] | None:
        """Return the outcome of RUN_FINISHED with the open interrupts, or None without any."""
        if not self._values:
            return None
        return {"type": "interrupt", "interrupts": self._as_standard()}

    def by_id(self) -> dict[str, Any]:
        """Return what is asked, in order, by the ids in the outcome."""
        return {interrupt["id"]: value for interrupt, value in zip(self._as_standard(), self._values, strict=True)}

    def _as_standard(self) -> list[dict[str, Any]]:
        return [self._standard(value, number) for number, value in enumerate(self._values)]

    def _standard(self, value: Any, number: int) -> dict[str, Any]:
        if isinstance(value, dict) and isinstance(value.get("id"), str) and isinstance(value.get("reason"), str):
            return {key: value[key] for key in _STANDARD_KEYS if value.get(key) is not None}
        text = value.get("message") if isinstance(value, dict) else value
        message = {"message": text} if isinstance(text, str) else {}
        return {"id": f"{self._run_id}-{number}", "reason": "input", **message, "metadata": {"value": value}}


_STANDARD_KEYS = ("id", "reason", "message", "toolCallId", "responseSchema", "expiresAt", "metadata")


def _sdk_value(value: Any) -> Any:
    data = value.get("data", value) if isinstance(value, dict) else value
    return data.get("value") if isinstance(data, dict) and "value" in data else data

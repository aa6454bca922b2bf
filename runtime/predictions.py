"""State that a model is about to write, from the arguments of a tool call that still streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pydantic_core
from msgspec import Struct

_GROWTH = 128
"""Arguments are read again when their text grew by this share of itself: all reading stays linear in the text."""


class Prediction(Struct, frozen=True):
    """A state key that shows a tool call's argument while it streams; all of them if ``argument`` is None."""

    state_key: str
    tool: str
    argument: str | None = None

    def values(self, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield the state's key and its value, if the arguments hold one."""
        if self.argument is None:
            yield self.state_key, arguments
        elif self.argument in arguments:
            yield self.state_key, arguments[self.argument]


def parse_predictions(rules: Any) -> Iterator[Prediction]:
    """Yield the predictions of a list of ``{state_key, tool, tool_argument?}``, without what is not of this form."""
    for rule in rules if isinstance(rules, list | tuple) else ():
        if isinstance(rule, Mapping) and "state_key" in rule and "tool" in rule:
            argument = rule.get("tool_argument")
            yield Prediction(str(rule["state_key"]), str(rule["tool"]), str(argument) if argument else None)


def predicted_values(predictions: Iterable[Prediction], arguments: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the state's keys and values that a tool call's arguments predict."""
    return [shown for prediction in predictions for shown in prediction.values(arguments)]


class PartialArguments:
    """The arguments of one tool call, as far as they have streamed."""

    __slots__ = ("_length", "_parts", "_read_length")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._read_length = 0

    def append(self, delta: str) -> None:
        """Take the text that follows."""
        self._parts.append(delta)
        self._length += len(delta)

    @property
    def text(self) -> str:
        """The whole text so far."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def read_grown(self) -> dict[str, Any] | None:
        """Return the arguments if their text grew enough since they were last read, and is an object so far."""
        return self._read() if self._length - self._read_length > self._read_length // _GROWTH else None

    def read_rest(self) -> dict[str, Any] | None:
        """Return the complete arguments if some of their text was not read yet, and they are an object."""
        return self._read() if self._length > self._read_length else None

    def _read(self) -> dict[str, Any] | None:
        self._read_length = self._length
        try:
            arguments = pydantic_core.from_json(self.text, allow_partial="trailing-strings")
        except ValueError:
            return None
        return arguments if isinstance(arguments, dict) else None

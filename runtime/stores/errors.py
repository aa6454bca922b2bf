"""Errors of stores, below ``StoreError``."""

from __future__ import annotations

from ..errors import ErrorCode, StoreError


class StoreConflictError(StoreError):
    """The entry has another version than the writer expected: somebody else wrote in between.

    Args:
        expected: The version that the writer had read; 0 for "nothing yet".
    """

    def __init__(self, expected: int) -> None:
        super().__init__(f"The agent's state changed since version {expected} was read.")
        self.expected = expected


class StoreUnavailableError(StoreError):
    """The store did not answer, or broke off. Whether a write took place is unknown."""

    def __init__(self, message: str = "The state store does not answer.") -> None:
        super().__init__(message)


class StoreFullError(StoreUnavailableError):
    """The store has no room, for now: its disk or its memory is full."""

    def __init__(self) -> None:
        super().__init__("The state store has no room.")


class StoreNotOpenError(StoreError):
    """The store is used before it was started, or after it was stopped."""

    def __init__(self) -> None:
        super().__init__("The state store is not open. Use the runtime within `async with runtime:`.")


class NotStoredError(StoreError):
    """A run's answer is whole, but the store was away for too long to keep it."""

    def __init__(self) -> None:
        super().__init__("The answer could not be stored, because the state store does not answer.", status_code=503)


class StateTooLargeError(StoreError):
    """An entry is larger than the store may keep.

    Args:
        size: The entry's encoded size, in bytes.
        limit: The largest size allowed, in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"The agent's state and messages take {size} bytes; the limit is {limit} bytes.")
        self.size = size
        self.limit = limit


class StateEncodingError(StoreError):
    """A state holds what JSON cannot express, or a kept entry cannot be read."""


class StoreKeyError(StoreError):
    """A thread id, agent name or owner is empty, too long, or no text that every store can hold."""

    default_code = ErrorCode.MISUSE

"""What waits for a store that is away, in memory and within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

WAITING_SECONDS = 3600.0
"""How long anything waits."""
MOST_WAITING = 1_000
"""How many do: each with what a run said,"""
MOST_BYTES = 64 << 20
"""and how many bytes all of them take."""


class _Place(NamedTuple):
    size: int
    deadline: float


class Backlog(Generic[T]):
    """Holds what is to be stored once the store is back, the oldest first.

    Args:
        crowded_out: Called with the oldest when there is no more room for it, after it has been taken out.
    """

    def __init__(self, crowded_out: Callable[[T], object]) -> None:
        self._places: dict[T, _Place] = {}
        self._bytes = 0
        self._crowded_out = crowded_out

    def __contains__(self, item: object) -> bool:
        return item in self._places

    def __iter__(self) -> Iterator[T]:
        """Return what waits at this moment."""
        return iter(list(self._places))

    def __len__(self) -> int:
        return len(self._places)

    def add(self, item: T, size: int) -> None:
        """Have something wait that takes ``size`` bytes."""
        self.remove(item)
        self._places[item] = _Place(size, monotonic() + WAITING_SECONDS)
        self._bytes += size
        while len(self._places) > MOST_WAITING or self._bytes > MOST_BYTES:
            oldest = next(iter(self._places))
            self.remove(oldest)
            self._crowded_out(oldest)

    def remove(self, item: T) -> bool:
        """Take something out; return whether it was waiting."""
        place = self._places.pop(item, None)
        if place is not None:
            self._bytes -= place.size
        return place is not None

    def has_waited_too_long(self, item: T) -> bool:
        """Return whether something is to be given up."""
        place = self._places.get(item)
        return place is not None and place.deadline <= monotonic()

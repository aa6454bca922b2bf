"""Rates: the size and refill speed of a token bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_RATE = re.compile(r"(\d+)\s*/\s*(second|minute|hour|day)(?:\s+burst\s+(\d+))?")


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` times in ``seconds``, and ``burst`` at once."""

    count: int
    seconds: int
    burst: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read ``60/minute`` or ``10/second burst 50``; without a burst, it is the count.

        Raises:
            ValueError: The text is not a rate.
        """
        match = _RATE.fullmatch(text.strip())
        if match is None or not int(match[1]) or match[3] == "0":
            raise ValueError("must be like '60/minute' or '10/second burst 50'")
        count = int(match[1])
        return cls(count, _SECONDS[match[2]], int(match[3] or count))

    @property
    def per_second(self) -> float:
        """Tokens that come back in a second."""
        return self.count / self.seconds

    def __str__(self) -> str:
        unit = next(name for name, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.count}/{unit} burst {self.burst}"

"""The clock of leases in a file that all processes of one machine share: nobody can set it forward or back."""

from __future__ import annotations

import time

_LEASES_AHEAD = 10


def machine_seconds() -> float:
    """Return the seconds since the machine started, time asleep included where the system counts it."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def living(lease: float) -> tuple[float, float]:
    """Return between which times a lease that goes on can end.

    One that ends much later was written before the machine started anew, or by an earlier release by the wall clock.
    """
    present = machine_seconds()
    return present, present + _LEASES_AHEAD * lease

"""The garbage collector, set for a process that does nothing but serve."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 10_000
"""How many more objects than before are made until the young ones are looked at.

CPython's own 700 suits a script. A thousand streams make more than that in each turn of the loop, and nearly all of it
goes away by itself: with 700, a fifth of the server's time was spent looking.
"""


def settle() -> None:
    """Leaves what start-up made out of all later collections, and makes those rarer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)

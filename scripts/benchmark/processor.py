"""The processor time that a process has used."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_USER_TIME = 11  # proc(5): utime is field 14, counted from 1; two fields precede the cut at the command's name


def seconds(pid: int) -> float:
    """User and system time of all threads that a process has or had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[_USER_TIME : _USER_TIME + 2]) / _TICKS

"""The processor time that a process has used."""

from __future__ import annotations

from pathlib import Path


def seconds(pid: int) -> float:
    """Return the time of all threads that a process has, in steps of a nanosecond (proc(5), ``schedstat``)."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9

"""Who may ask how much, and what was sent."""

from __future__ import annotations

from typing import Any

ARCHIVE: dict[str, list[Any]] = {}


async def over_quota(identity: str | None) -> bool:
    """Whether somebody has asked too much."""
    return identity == "greedy"


def archive(thread_id: str, message: Any) -> None:
    """Keeps a message."""
    ARCHIVE.setdefault(thread_id, []).append(message)

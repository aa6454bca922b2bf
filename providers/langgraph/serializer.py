"""How checkpoints are written and read: only types that are known are made again, and no text is refused."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ...runtime.json_text import scrub_all

# It came with langgraph-checkpoint 4.0.1; before, what a checkpoint names is imported and called.
HAS_ALLOW_LIST = "allowed_msgpack_modules" in inspect.signature(JsonPlusSerializer).parameters


def allowing(saver: BaseCheckpointSaver[Any], types: Collection[type]) -> BaseCheckpointSaver[Any]:
    """Return a saver that makes these types again, too, where it is strict about them."""
    if not HAS_ALLOW_LIST:
        return saver
    return saver.with_allowlist([(each.__module__, each.__name__) for each in types])


class CheckpointSerializer(JsonPlusSerializer):
    """LangGraph's serializer, for texts that have no UTF-8 too.

    Args:
        strict: Whether types outside of LangGraph's own list of safe ones are made only if ``with_msgpack_allowlist``
            has named them; others are given as the plain data that was stored, with a warning.
    """

    def __init__(self, *, strict: bool) -> None:
        if strict and HAS_ALLOW_LIST:
            super().__init__(allowed_msgpack_modules=None)
        else:
            super().__init__()

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return a value's type and bytes; halves of characters become U+FFFD, in keys as elsewhere.

        Raises:
            TypeError: The value cannot be stored.
        """
        try:
            return super().dumps_typed(obj)
        except TypeError as error:  # LangGraph replaces halves of characters itself, but for those in keys
            if "surrogates" not in str(error):
                raise
            return super().dumps_typed(scrub_all(obj))

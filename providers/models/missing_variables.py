"""Environment variables that a vendor's library misses, by what it raises."""

from __future__ import annotations

import re

from ...runtime.error_texts import missing_key

_QUOTED = re.compile(r"(?:Missing|Must provide)\b.*?`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`", re.DOTALL)
_MAX_CHARACTERS = 2_000


def missing_variable(error: Exception) -> str | None:
    """Return the variable that a model cannot be set up without: its key, address, version or region; or None.

    Args:
        error: What the vendor's library raised when the model was made.
    """
    text = str(error)[:_MAX_CHARACTERS]
    if "must specify a region" in text:
        return "AWS_REGION"
    if (key := missing_key(error)) is not None:
        return key
    quoted = _QUOTED.search(text)
    return None if quoted is None else quoted[1]

"""Names that vendors would refuse, with others for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

_MAX_CHARACTERS = 64
_DIGEST_CHARACTERS = 8
_NOT_TAKEN = re.compile(r"[^a-zA-Z0-9_-]+")


def vendor_names(names: Iterable[str], taken: re.Pattern[str]) -> dict[str, str]:
    """Return the names that vendors would refuse, with others for them that differ from all that are in use.

    Args:
        names: The names.
        taken: What vendors take.
    """
    known = dict.fromkeys(names)
    used = {name for name in known if taken.fullmatch(name)}
    sent: dict[str, str] = {}
    for name in known:
        if name not in used:
            sent[name] = _free(name, used)
            used.add(sent[name])
    return sent


def _free(name: str, used: set[str]) -> str:
    cleaned = _NOT_TAKEN.sub("_", name)
    cleaned = cleaned if cleaned[:1].isalpha() or cleaned[:1] == "_" else f"_{cleaned}"
    if len(cleaned) <= _MAX_CHARACTERS and cleaned not in used:
        return cleaned
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{cleaned[: _MAX_CHARACTERS - _DIGEST_CHARACTERS - 1]}_{digest}"

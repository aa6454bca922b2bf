"""Names in place of what differs from run to run: generated ids, moments, stacks."""

from __future__ import annotations

import re
from typing import Any

_UUID = re.compile(r"(ck-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|<(message )?id \d+>")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Placeholders:
    """Gives each generated id a name by the order in which it appears; the same id keeps its name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def put(self, value: Any) -> Any:
        """``value`` with its generated parts replaced."""
        if isinstance(value, dict):
            return {key: "<stack>" if key == "stack" else self.put(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.put(item) for item in value]
        if isinstance(value, str):
            return _UUID.sub(self._name, _MOMENT.sub("<moment>", value))
        return value

    def _name(self, match: re.Match[str]) -> str:
        kind = "message id" if match[1] or match[2] else "id"
        return self._names.setdefault(match[0], f"<{kind} {len(self._names) + 1}>")

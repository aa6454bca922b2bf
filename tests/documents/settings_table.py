"""Writes the table of settings into docs/configuration.md: ``python -m tests.documents.settings_table``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from copilotkit_runtime import RuntimeConfig
from copilotkit_runtime.runtime.rates import Rate

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
_PLACE = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)


def _default(value: Any) -> str:
    if value is None or value == ():
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    return (
        ", ".join(value)
        if isinstance(value, tuple)
        else str(value)
        if isinstance(value, Rate)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def table() -> str:
    """All settings, each with its default and meaning."""
    rows = [
        f"| `{name}` | `{_default(field.default)}` | {(field.description or '').replace('``', '`')} |"
        for name, field in RuntimeConfig.model_fields.items()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows, ""])


def written(text: str) -> str:
    """The document with the table as it must be."""
    return _PLACE.sub(lambda _match: table(), text)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")

"""Writes the table of differences into docs/parity.md: ``python -m tests.parity.document``."""

from __future__ import annotations

import re

from tests.parity.differences import DIFFERENCES
from tests.parity.servers import ROOT

DOCUMENT = ROOT / "docs" / "parity.md"
_BETWEEN = re.compile(r"(<!-- differences -->\n).*(<!-- /differences -->)", re.DOTALL)


def table() -> str:
    """The differences as a Markdown table."""
    rows = [f"| `{difference.scenarios}` | {difference.reason} |" for difference in DIFFERENCES]
    return "\n".join(["| scenarios | here |", "|---|---|", *rows, ""])


def written(text: str) -> str:
    """The document's text with the table of today."""
    return _BETWEEN.sub(lambda match: f"{match[1]}{table()}{match[2]}", text)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")

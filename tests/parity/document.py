"""Writes the tables of differences into docs/parity.md: ``python -m tests.parity.document``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.parity.agui import differences as agui
from tests.parity.differences import DIFFERENCES, Difference
from tests.parity.servers import ROOT

DOCUMENT = ROOT / "docs" / "parity.md"
_PLACES = {"differences": DIFFERENCES, "agui differences": agui.DIFFERENCES}


def _table(differences: Sequence[Difference | agui.Difference]) -> str:
    """Return differences as a Markdown table, one row for what several of them share."""
    rows = dict.fromkeys(f"| `{difference.scenarios}` | {difference.reason} |" for difference in differences)
    return "\n".join(["| scenarios | here |", "|---|---|", *rows, ""])


def written(text: str) -> str:
    """Return the document's text with the tables of today."""
    for place, differences in _PLACES.items():
        start, end = f"<!-- {place} -->\n", f"<!-- /{place} -->"
        between = re.compile(f"({start}).*({end})", re.DOTALL)
        table = _table(differences)
        text = between.sub(lambda match, table=table: f"{match[1]}{table}{match[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")

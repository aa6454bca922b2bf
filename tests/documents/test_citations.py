"""Sections of docs/contract.md that the code cites exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents.blocks import ROOT

FOLDERS = ("schema", "resolvers", "runtime", "wires", "server", "providers", "testing", "tests", "scripts")
CITATION = re.compile(r"docs/contract\.md,\s+([^)]*?)\)")
PLACE = re.compile(r"\b(\d+(?:\.\d+)?|[A-Z])\b")
HEADING = re.compile(r"^#+ (?:Appendix )?(\d+(?:\.\d+)?|[A-Z])\.? ", re.MULTILINE)


def cited(text: str) -> set[str]:
    return {place for places in CITATION.findall(text) for place in PLACE.findall(places)}


def sources() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) if path != Path(__file__)]


def test_every_section_that_the_code_cites_exists() -> None:
    sections = set(HEADING.findall((ROOT / "docs" / "contract.md").read_text(encoding="utf-8")))
    by_file = {path: cited(path.read_text(encoding="utf-8")) for path in sources()}
    assert sum(len(places) for places in by_file.values()) > 30
    assert not {str(path): places - sections for path, places in by_file.items() if places - sections}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("(docs/contract.md, section 9.9)", {"9.9"}),
        ("(docs/contract.md, sections 4.5,\n6.1, appendix B)", {"4.5", "6.1", "B"}),
    ],
)
def test_citations_are_read_from_prose(text: str, places: set[str]) -> None:
    assert cited(text) == places

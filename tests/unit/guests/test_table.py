"""The table of guests: the kept one can be read, and a wrong entry is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.guests.sources import ROOT
from scripts.guests.table import TableError, read_table

ENTRY = """
[[application]]
name = "a"
framework = "f"
repository = "o/n"
commit = "c"
folder = "."
served = "x:y"
"""


def test_the_table_has_what_the_nights_are_for() -> None:
    applications = read_table()
    wanted = {"LangGraph", "CrewAI", "pydantic-ai", "agno", "llama-index", "ADK", "strands", "ag2"}
    wanted |= {"Mastra", "Microsoft Agent Framework"}
    assert {application.framework for application in applications} >= wanted
    assert sum(len(application.guests) for application in applications) >= 20
    for application in applications:
        assert all(re.fullmatch(r"[\w.,\[\]-]+==[\w.]+", one) for one in application.requirements)
        assert all(re.fullmatch(r"(@[\w-]+/)?[\w-]+@[\d.]+", one) for one in application.packages)


def test_a_guest_is_at_a_commit_of_its_authors_or_among_these_files() -> None:
    for application in read_table():
        if application.repository:
            assert re.fullmatch(r"[0-9a-f]{40}", application.commit)
            assert re.fullmatch(r"[\w.-]+/[\w.-]+", application.repository)
        else:
            assert (ROOT / application.folder).is_dir()


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("served_by = 1", "served_by"),
        ('[[application.guest]]\nname = "g"\nfails = { flying = "no" }', "flying"),
        ('[[application.guest]]\nname = "g"\nroute = "/"', "route"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, more: str, named: str) -> None:
    table = tmp_path / "table.toml"
    table.write_text(ENTRY + more, encoding="utf-8")
    with pytest.raises(TableError, match=named):
        read_table(table)

"""docs/architecture.md shows the code as it is."""

from __future__ import annotations

import re

import pytest

from scripts.imports import DOCUMENT, arrows_in, drawn, mermaid, without_implied
from tests.documents.blocks import ROOT

TEXT = DOCUMENT.read_text(encoding="utf-8")
PATH = re.compile(r"`((?:server|resolvers|wires|providers|runtime|schema|testing|tests)/[\w./]*)`")


def test_the_drawings_are_those_of_the_code() -> None:
    assert drawn(TEXT) == TEXT


def test_a_changed_drawing_is_noticed() -> None:
    assert drawn(TEXT.replace("    server --> resolvers\n", "", 1)) == TEXT


@pytest.mark.parametrize("path", sorted(set(PATH.findall(TEXT))))
def test_a_path_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_implied_arrows_are_left_out_and_circles_are_not() -> None:
    assert without_implied({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}
    assert without_implied({"a": {"b"}, "b": {"a"}}) == {"a": {"b"}, "b": {"a"}}


def test_a_drawing_lists_rooms_and_arrows() -> None:
    assert "    a_b --> c" in mermaid({"a/b": {"c"}})


def test_rooms_are_packages_and_modules_below_the_package() -> None:
    import grimp

    graph = grimp.ImportGraph()
    for name in ("p", "p.a", "p.a.x", "p.b"):
        graph.add_module(name)
    graph.add_import(importer="p.a.x", imported="p.b")
    assert arrows_in(graph, "p") == {"a": {"b"}, "b": set()}

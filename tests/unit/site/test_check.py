"""The check of the built site finds what a reader would run into."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.site.check import faults


def site(folder: Path, body: str) -> Path:
    (folder / "other.html").write_text('<h2 id="there">There</h2>')
    (folder / "page.html").write_text(f'<h1 id="top">Page</h1>{body}')
    return folder


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="nowhere.html">x</a>', "page.html: nowhere.html leads nowhere"),
        ('<a href="/nowhere/">x</a>', "page.html: /nowhere/ leads nowhere"),
        ('<a href="other.html#here">x</a>', "page.html: other.html#here has no such anchor"),
        ('<a href="#here">x</a>', "page.html: #here has no such anchor"),
        ('<img src="gone.png">', "page.html: gone.png leads nowhere"),
        ('<script src="https://cdn.example.com/x.js"></script>', "page.html: https://cdn.example.com/x.js is loaded"),
        ('<link rel="stylesheet" href="//fonts.example.com/x">', "page.html: //fonts.example.com/x is loaded"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, body: str, fault: str) -> None:
    (found,) = faults(site(tmp_path, body))
    assert found.startswith(fault)


def test_what_is_right_passes(tmp_path: Path) -> None:
    body = '<a href="other.html#there">a</a><a href="#top">b</a><a href="https://example.com/">c</a>'
    assert list(faults(site(tmp_path, body))) == []

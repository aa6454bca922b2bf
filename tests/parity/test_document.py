"""docs/parity.md tells what the parity tests accept."""

from tests.parity.document import DOCUMENT, written


def test_the_document_lists_every_difference() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text

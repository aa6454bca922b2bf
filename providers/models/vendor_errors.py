"""Failures of vendors, before they are put in the runtime's terms."""

from __future__ import annotations


class VendorError(Exception):
    """A vendor reported a failure inside a stream that had begun well.

    Args:
        message: The vendor's words.
        status_code: The HTTP status that it would have been, if the vendor gives one.
    """

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code


class NoAnswerError(Exception):
    """A vendor ended an answer without having given one."""


class BrokenStreamError(Exception):
    """A vendor's stream stopped before the answer was complete."""

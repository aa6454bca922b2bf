"""One call of an operation, whether by path or by envelope."""

from __future__ import annotations

from typing import Any

import msgspec

from ...runtime.errors import InputTooLargeError
from ...runtime.json_text import decode_client_json
from ..http.refusal import refusal
from .refusals import invalid_body
from .routing import Target


class GivenBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a call: a JSON value, or why it cannot be read."""

    data: Any = None
    text: str = ""
    fault: str | None = None


def given_body(value: Any) -> GivenBody:
    """Read the body of a call: bytes or text are the text of a JSON value, all else is one.

    Raises:
        Refusal: It has too many values.
    """
    if not isinstance(value, bytes | str):
        return GivenBody(data=value)
    if not value.strip():
        return GivenBody(fault="The body is empty.")
    try:
        return GivenBody(data=decode_client_json(value))
    except InputTooLargeError as error:
        raise refusal(error, 413) from error
    except msgspec.DecodeError as error:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return GivenBody(text=text, fault=str(error))


class Call(msgspec.Struct, kw_only=True):
    """One call: the operation, what its path names, its body, also as it came by path, and its query."""

    target: Target
    body: GivenBody
    raw: bytes = b""
    query: str = ""
    single_route: bool = False

    @property
    def json(self) -> Any:
        """Return the body.

        Raises:
            JsonRefusal: The body is missing, or not JSON.
        """
        if self.body.fault is not None:
            raise invalid_body(self.body.fault)
        return self.body.data

    def release(self) -> None:
        """Let go of the body, once it has been read: an answer may be streamed for minutes."""
        self.body, self.raw = GivenBody(), b""

    @property
    def optional_json(self) -> Any:
        """Return the body, or None if it is empty. What is not JSON is returned as it came, a text."""
        return self.body.data if self.body.fault is None else self.body.text or None

"""Forms with files (RFC 7578), within bounds: the standard library's parser of mail takes seconds for many parts."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import NamedTuple

MOST_PARTS = 50
HEAD_BYTES = 4096
"""Of one part, whose head names its field and its file."""


class FormPart(NamedTuple):
    """A field of a form: its name, its file's name and type, both empty if it has none, and what it holds."""

    name: str
    filename: str
    content_type: str
    data: bytes


def form_parts(content_type: str, raw: bytes) -> Iterator[FormPart]:
    """Yield the parts of a form, the first ``MOST_PARTS`` of them.

    Args:
        content_type: The type of the body, with the boundary.
        raw: The body. What is no part of a form is passed over.
    """
    kind = Message()
    kind["content-type"] = content_type
    boundary = _parameter(kind, "content-type", "boundary")
    if not boundary:
        return
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
    for piece in (b"\r\n" + raw).split(delimiter, MOST_PARTS + 1)[1 : MOST_PARTS + 1]:
        if piece.startswith(b"--"):
            return
        head, separator, data = piece.partition(b"\r\n\r\n")
        if separator and len(head) <= HEAD_BYTES:
            yield _part(head.decode("utf-8", "replace"), data)


def _part(head: str, data: bytes) -> FormPart:
    message = HeaderParser().parsestr(head.lstrip())
    disposition = "content-disposition"
    return FormPart(
        name=_parameter(message, disposition, "name"),
        filename=_parameter(message, disposition, "filename"),
        content_type=message.get_content_type() if "content-type" in message else "",
        data=data,
    )


def _parameter(message: Message, header: str, name: str) -> str:
    return collapse_rfc2231_value(message.get_param(name, "", header))

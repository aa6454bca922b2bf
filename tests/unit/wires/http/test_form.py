"""Forms with files, read within bounds."""

from __future__ import annotations

from functools import partial

import pytest

from copilotkit_runtime.wires.http.form import HEAD_BYTES, MOST_PARTS, FormPart, form_parts
from tests.support.executed_lines import lines_of

TYPE = "multipart/form-data; boundary=b"


def form(*parts: tuple[str, bytes]) -> bytes:
    """Return a form of parts, each of a head and what it holds."""
    written = [b"--b\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts]
    return b"".join(written) + b"--b--\r\n"


def named(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"'


@pytest.mark.parametrize(
    ("head", "filename", "kind"),
    [
        ('; filename="a.wav"\r\nContent-Type: audio/wav;codecs=1', "a.wav", "audio/wav"),
        ('; filename="\u00e4 \\" b.wav"', '\u00e4 " b.wav', ""),
        ("; filename*=utf-8''%c3%a4.wav", "\u00e4.wav", ""),
        ("\r\nX: y\r\ncontent-type: AUDIO/OGG", "", "audio/ogg"),
    ],
)
def test_a_part_has_its_names_its_type_and_every_byte(head: str, filename: str, kind: str) -> None:
    data = b"\r\n\x0b--b\r\n\xff\r\n"
    assert list(form_parts(TYPE, form((named("audio") + head, data)))) == [FormPart("audio", filename, kind, data)]


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", "x; boundary=c", ""])
def test_what_is_no_form_has_no_parts(content_type: str) -> None:
    assert list(form_parts(content_type, form((named("audio"), b"hi")))) == []


def test_a_form_has_so_many_parts_and_no_more() -> None:
    parts = list(form_parts(TYPE, form(*((named(str(number)), b"") for number in range(MOST_PARTS + 10)))))
    assert [part.name for part in parts] == [str(number) for number in range(MOST_PARTS)]


def test_a_part_with_too_long_a_head_is_passed_over() -> None:
    found = form_parts(TYPE, form((named("x" * HEAD_BYTES), b""), (named("audio"), b"hi")))
    assert [part.name for part in found] == ["audio"]


@pytest.mark.parametrize("filling", ["\r\n--b\r\n\r\n", "\r\n--b", "\r\n--", "\r", "; a=b", "(", '"', "=?utf-8?q?x?= "])
def test_twice_the_form_costs_no_more(filling: str) -> None:
    bodies = [form((named("audio") + filling * number, b"")) for number in (10_000, 20_000)]
    small, large = (lines_of(partial(list, form_parts(TYPE, body))) for body in bodies)
    assert large <= 1.1 * small + 20

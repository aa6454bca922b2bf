"""JSON from clients is bounded before it is decoded, and half a character does not make it unreadable."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.runtime.errors import InputTooLargeError
from copilotkit_runtime.runtime.json_text import (
    MAX_NESTING,
    MAX_NODES,
    count_nodes,
    decode_client_json,
    decode_json,
    scrub,
)

texts = st.lists(st.sampled_from(["a", "\\", "u", "d83d", '"', "\ud83d", "\ude00", "ü", "😀"]), max_size=8).map("".join)


def whole(value: str) -> str:
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(texts)
def test_a_half_is_replaced_and_nothing_else(value: str) -> None:
    assert decode_json(json.dumps({"a": [value]})) == {"a": [whole(value)]}
    assert decode_json(json.dumps({"a": [value]}).encode()) == {"a": [whole(value)]}


@given(texts)
def test_halves_that_are_no_escapes_are_replaced_too(value: str) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert decode_json(text) == whole(value)


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert decode_json(b'{"a":"caf\xe9"}') == {"a": "caf\ufffd"}


@pytest.mark.parametrize("text", ["", "{", b"\xff", '"\\ud83', '"\\ud83d', "NaN", '["\\ud83d", NaN]', "[" * 100_000])
def test_what_is_not_json_is_refused(text: Any) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_json(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "\\ud83d"}', {"a": "\ufffd"}),
        ('["\\ude80x", "\\ud83d\\ude80"]', ["\ufffdx", "\U0001f680"]),
        ('{"\\ud83d": 1}', {"\ufffd": 1}),
        ('"\\\\ud83d"', "\\ud83d"),
        (b'"\xff"', "\ufffd"),
        ("[1, null, true]", [1, None, True]),
    ],
)
def test_what_javascript_writes_is_read(text: str | bytes, value: object) -> None:
    assert decode_json(text) == value


@pytest.mark.parametrize("item", ["[]", "{}", "1", '""'])
def test_too_many_values_are_refused_before_they_are_decoded(item: str) -> None:
    with pytest.raises(InputTooLargeError):
        decode_json("[" + ",".join([item] * (MAX_NODES + 2)) + "]")


@pytest.mark.parametrize("text", ["a,b" * MAX_NODES, "[{" * MAX_NODES, '\\",' * MAX_NODES])
def test_punctuation_in_texts_is_not_a_value(text: str) -> None:
    assert count_nodes(f'{{"a": "{text}"}}'.encode()) == 1


@pytest.mark.parametrize("end", [b"", b"\\", b'"'])
def test_a_text_that_is_not_closed_is_read_once(end: bytes) -> None:
    raw = b'[1,"' + b'\\"' * 300_000 + b"," * MAX_NODES + end
    assert count_nodes(raw) == 2


@pytest.mark.parametrize("wrap", [str, str.encode])
def test_whole_numbers_beyond_64_bits_are_floats_as_in_javascript(wrap: Any) -> None:
    numbers = [2**64 - 1, -(2**63), 2**64, -(2**63) - 1, 2**70, 10**300]
    text = wrap(json.dumps({"a": [*numbers, "1" * 30, True]}))
    decoded = decode_client_json(text)["a"]
    assert decode_json(text)["a"][:6] == numbers
    assert decoded == [2**64 - 1, -(2**63), float(2**64), -float(2**63), float(2**70), 1e300, "1" * 30, True]
    assert [type(each) for each in decoded[:6]] == [int, int, float, float, float, float]
    with pytest.raises(msgspec.DecodeError):
        decode_client_json(wrap("1" + "0" * 400))


def test_whole_characters_stay() -> None:
    assert scrub("naïve \U0001f680") == "naïve \U0001f680"
    assert scrub("\ud83d\ude80 \ud83d!") == "\U0001f680 \ufffd!"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
@pytest.mark.parametrize("decode", [decode_json, decode_client_json])
def test_what_nests_deeper_than_encoders_can_follow_is_refused(decode: Any, opening: str, closing: str) -> None:
    levels = opening.count("[") + opening.count("{")
    most = MAX_NESTING // levels
    decode(opening * most + "1" + closing * most)
    for times in (most + 1, 100 * most):
        for text in (opening * times + "1" + closing * times, opening * times):
            for sent in (text, text.encode()):
                with pytest.raises(msgspec.DecodeError):
                    decode(sent)

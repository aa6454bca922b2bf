from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.runtime.json_text import decode_json

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


@pytest.mark.parametrize("text", ["", "{", b"\xff", '"\\ud83', '"\\ud83d'])
def test_what_is_not_json_is_refused(text: Any) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_json(text)

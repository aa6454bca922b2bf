"""Entries as bytes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.stores.encoding import decode, encode
from copilotkit_runtime.runtime.stores.errors import StateEncodingError, StateTooLargeError
from copilotkit_runtime.runtime.stores.interface import AgentState

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON), st.text())
def test_whatever_json_can_hold_comes_back_as_it_was(state: dict[str, Any], said: str) -> None:
    entry = AgentState(state=state, messages=[TextMessage(role="user", content=said)])

    decoded = decode(encode(entry, 10**9))

    assert (decoded.state, decoded.messages) == (entry.state, entry.messages)


def test_an_entry_reads_as_json_for_whoever_looks_into_the_store() -> None:
    entry = AgentState(state={"a": 1}, messages=[TextMessage(id="m", role="user", content="hi")], version=7, owner="o")

    plain = msgspec.json.decode(encode(entry, 1000))

    assert plain.keys() == {"state", "messages"}
    assert plain["state"] == {"a": 1}
    assert plain["messages"][0]["type"] == "TextMessage"


def test_the_limit_itself_is_allowed() -> None:
    entry = AgentState(state={"a": 1})
    size = len(encode(entry, 1000))

    assert encode(entry, size)
    with pytest.raises(StateTooLargeError) as caught:
        encode(entry, size - 1)
    assert (caught.value.size, caught.value.limit) == (size, size - 1)


def _endless() -> dict[str, Any]:
    state: dict[str, Any] = {}
    state["self"] = state
    return state


@pytest.mark.parametrize("state", [{"a": object()}, {"a": "\udfff"}, {object(): 1}, _endless()])
def test_what_json_cannot_hold_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(StateEncodingError):
        encode(AgentState(state=state), 10**9)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"state":{},"messages":[{"type":"Nonsense"}]}', b"\xff"])
def test_what_was_not_encoded_here_is_refused(payload: bytes) -> None:
    with pytest.raises(StateEncodingError):
        decode(payload)

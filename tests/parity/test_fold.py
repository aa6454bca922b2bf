"""The fold, and the reader of parts, take exactly what the published client takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.parity.fold import FoldError, fold, shrinks, states, view
from tests.parity.wire import FramingError, PartReader

RESPONSE = "generateCopilotResponse"
TEXT = {"__typename": "TextMessageOutput", "id": "m-1", "createdAt": "", "role": "assistant", "content": []}


def _first(*messages: dict[str, Any]) -> dict[str, Any]:
    response = {"threadId": "t", "runId": None, "extensions": None, "messages": [*messages], "metaEvents": []}
    return {"data": {RESPONSE: response}, "hasNext": True}


def _entry(place: list[str | int], **content: Any) -> dict[str, Any]:
    return {"incremental": [{**content, "path": [RESPONSE, *place]}], "hasNext": True}


def _framed(*parts: Any) -> bytes:
    framed = b"\r\n---"
    for part in parts:
        content = json.dumps(part, ensure_ascii=False).encode()
        framed += b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
        framed += content + b"\r\n---"
    return framed + b"--\r\n"


def test_tokens_may_share_an_entry() -> None:
    parts = [_first(TEXT), _entry(["messages", 0, "content", 0], items=["Hel", "lo"])]
    assert view(fold(parts))["messages"][0]["content"] == "Hello"


def test_a_message_without_status_is_pending() -> None:
    assert view(fold([_first(TEXT)]))["messages"][0]["status"] == {"code": "Pending"}


def test_only_an_agents_newest_state_is_shown_where_its_first_stood() -> None:
    first, second = (
        {"__typename": "AgentStateMessageOutput", "agentName": "a", "createdAt": "", "state": state}
        for state in ('{"n":1}', '{"n":2}')
    )
    shown = view(fold([_first(first, TEXT, second)]))["messages"]
    assert [message.get("state") for message in shown] == [{"n": 2}, None]


def test_folding_leaves_the_parts_as_they_were() -> None:
    parts = [_first(), _entry(["messages", 0], items=[TEXT]), _entry(["messages", 0, "content", 0], items=["a"])]
    assert fold(parts) == fold(parts)


def test_a_child_before_its_parent_is_refused() -> None:
    with pytest.raises(FoldError, match="before its parent"):
        fold([_first(), _entry(["messages", 0, "content", 0], items=["a"])])


def test_a_gap_in_a_list_is_refused() -> None:
    with pytest.raises(FoldError, match="does not continue a list of 0"):
        fold([_first(TEXT), _entry(["messages", 0, "content", 1], items=["a"])])


def test_a_list_that_failed_is_refused() -> None:
    with pytest.raises(FoldError, match="failed"):
        fold([_first(), _entry(["messages", 0], items=None, errors=[{"message": "no"}])])


@pytest.mark.parametrize(
    ("change", "shrunk"),
    [({"content": ["a", "b"]}, False), ({"content": []}, True), ({"id": "m-2"}, True), ({"status": {}}, False)],
)
def test_a_message_shrinks_when_its_text_is_gone(change: dict[str, Any], shrunk: bool) -> None:
    before, after = states([_first({**TEXT, "content": ["a"]}), _first({**TEXT, "content": ["a"], **change})])
    assert shrinks(before, after) is shrunk


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_parts_are_read_however_the_stream_is_cut(size: int) -> None:
    stream, reader = _framed({"text": "ü\r\n--"}, {"hasNext": False}), PartReader()
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    parts = [part for chunk in chunks for part in reader.feed(chunk)]
    assert (parts, reader.finished) == ([{"text": "ü\r\n--"}, {"hasNext": False}], True)


def test_a_part_is_read_as_soon_as_the_boundary_behind_it_is_there() -> None:
    assert PartReader().feed(_framed({"hasNext": True}).removesuffix(b"--\r\n")) == [{"hasNext": True}]


def test_a_wrong_length_is_refused() -> None:
    with pytest.raises(FramingError, match="Content-Length 1 for 2 bytes"):
        PartReader().feed(_framed({}).replace(b"Length: 2", b"Length: 1"))

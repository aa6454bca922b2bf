from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime.providers.langgraph.chat import ChatStream
from copilotkit_runtime.providers.langgraph.schema import schema_of
from copilotkit_runtime.providers.langgraph.shown_state import ShownState
from copilotkit_runtime.providers.langgraph.thread_calls import ThreadCalls, unique_calls
from copilotkit_runtime.runtime import events as ev

SCHEMA = schema_of(StateGraph(MessagesState).add_node("n", lambda _: {}).add_edge(START, "n").compile())


CALL: dict[str, Any] = {"ls_provider": "scripted"}


def stream(*earlier: BaseMessage) -> ChatStream:
    calls = ThreadCalls()
    return ChatStream(ShownState(SCHEMA), calls, unique_calls(earlier, calls))


def chunk(*parts: dict[str, Any], id_: str = "m", last: bool = False) -> AIMessageChunk:
    whole: list[Any] = [{"name": None, "args": None, "id": None, "index": None, **part} for part in parts]
    return AIMessageChunk("", id=id_, tool_call_chunks=whole, chunk_position="last" if last else None)


def told(chat: ChatStream, *chunks: AIMessageChunk) -> list[tuple[str, str]]:
    """What is sent of calls: each one's name, and its arguments by its id."""
    events = [event for each in chunks for event in chat.translate(each, CALL)]
    calls = [(event.tool_call_id, event.tool_call_name) for event in events if isinstance(event, ev.ToolCallStart)]
    return calls + [(event.tool_call_id, event.delta) for event in events if isinstance(event, ev.ToolCallArgs)]


@pytest.mark.parametrize("index", [0, "0", None])
@pytest.mark.parametrize("repeated", ["1", None])
def test_a_call_s_parts_belong_together_by_index_or_by_id(index: Any, repeated: str | None) -> None:
    first = {"name": "paint", "id": "1", "args": "{", "index": index}
    second = {"id": repeated, "args": "}", "index": index}
    assert told(stream(), chunk(first), chunk(second)) == [("1", "paint"), ("1", "{"), ("1", "}")]


def test_a_call_whose_name_comes_late_is_sent_whole() -> None:
    first, second = {"id": "1", "args": "{", "index": 0}, {"name": "paint", "args": "}", "index": 0}
    assert told(stream(), chunk(first), chunk(second)) == [("1", "paint"), ("1", "{"), ("1", "}")]


def test_a_call_without_an_id_gets_one() -> None:
    ((id_, name), *_) = told(stream(), chunk({"name": "paint", "args": "{}", "index": 0}))
    assert id_
    assert name == "paint"


def test_messages_may_stream_at_the_same_time() -> None:
    chat = stream()
    metadata = {"a": dict(CALL), "b": dict(CALL)}
    parts: list[tuple[str, str, Any]] = [("a", "1", None), ("b", "2", None), ("a", "3", "last"), ("b", "4", "last")]
    events = [
        event
        for id_, text, last in parts
        for event in chat.translate(AIMessageChunk(text, id=id_, chunk_position=last), metadata[id_])
    ]
    said = [(event.message_id, event.delta) for event in events if isinstance(event, ev.TextMessageContent)]
    assert said == [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4")]
    assert len([event for event in events if isinstance(event, ev.TextMessageStart)]) == 2


def test_what_is_still_open_is_closed() -> None:
    chat = stream()
    chat.translate(AIMessageChunk("half", id="a"), CALL)
    assert chat.close() == [ev.TextMessageEnd(message_id="a")]
    assert chat.close() == []


def test_a_result_of_an_earlier_run_s_call_is_named_after_it() -> None:
    earlier = AIMessage("", id="e", tool_calls=[{"name": "earlier", "id": "old", "args": {}}])
    (event,) = stream(earlier).returned([ToolMessage("x", id="r", tool_call_id="old")])
    assert isinstance(event, ev.ToolCallResult)
    assert event.tool_call_name == "earlier"


def test_a_call_that_was_sent_is_not_sent_again_when_its_message_is_returned() -> None:
    call = {"name": "paint", "id": "1", "args": {}}
    chat = stream()
    told(chat, chunk({"name": "paint", "id": "1", "args": "{}", "index": 0}, last=True))
    assert chat.returned([AIMessage("", id="other", tool_calls=[call])]) == []


def test_messages_of_people_are_not_sent_back_to_them() -> None:
    assert stream().returned([HumanMessage("hi", id="h")]) == []


def test_a_whole_message_of_a_policy_that_hides_it_predicts_all_the_same() -> None:
    metadata = CALL | {
        "copilotkit:emit-messages": False,
        "copilotkit:emit-tool-calls": False,
        "predict_state": [{"state_key": "doc", "tool": "write", "tool_argument": "text"}],
    }
    call = {"name": "write", "id": "1", "args": {"text": "all"}}
    events = stream().translate(AIMessage("hidden", tool_calls=[call]), metadata)
    assert events == [ev.StateSnapshot(snapshot={"doc": "all"})]

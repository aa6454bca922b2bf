from __future__ import annotations

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from copilotkit_runtime.providers.langgraph.history import CheckpointMessages, unknown
from copilotkit_runtime.providers.langgraph.message_groups import merged
from copilotkit_runtime.providers.langgraph.thread_calls import ThreadCalls, unique_calls
from copilotkit_runtime.runtime.call_ids import vendor_id
from copilotkit_runtime.runtime.messages import Message, TextMessage, ToolResultMessage


def calling(id_: str, *calls: str) -> AIMessage:
    return AIMessage("", id=id_, tool_calls=[{"name": "look", "id": call, "args": {"by": id_}} for call in calls])


def result(call_id: str, text: str) -> ToolMessage:
    return ToolMessage(text, id=f"r-{text}", tool_call_id=call_id)


def ids(messages: list[BaseMessage]) -> list[str | None]:
    """The ids of calls and results in their order."""
    found: list[str | None] = []
    for message in messages:
        found.extend(call["id"] for call in getattr(message, "tool_calls", []))
        found.extend([message.tool_call_id] if isinstance(message, ToolMessage) else [])
    return found


THREAD: list[BaseMessage] = [
    calling("a", "call_0"),
    result("call_0", "one"),
    calling("b", "call_0", "call_1"),
    result("call_1", "two"),
    result("call_0", "three"),
    calling("c", "call_0"),
]


def test_each_call_of_a_thread_has_an_id_of_its_own_and_its_own_result() -> None:
    first, r1, again, other, r_other, r_again, last = ids(unique_calls(THREAD, ThreadCalls()))
    assert (first, r1) == ("call_0", "call_0")
    assert (other, r_other) == ("call_1", "call_1")
    assert again == r_again
    assert len({first, again, last}) == 3
    assert {vendor_id(each or "") for each in (first, again, last)} == {"call_0"}


def test_every_process_finds_the_same_ids() -> None:
    assert ids(unique_calls(THREAD, ThreadCalls())) == ids(unique_calls(THREAD, ThreadCalls()))


def test_one_message_may_hold_one_id_twice() -> None:
    twice: list[BaseMessage] = [calling("a", "x", "x"), result("x", "one"), result("x", "two")]
    first, second, r1, r2 = ids(unique_calls(twice, ThreadCalls()))
    assert first != second
    assert (r1, r2) == (first, second)


def test_messages_whose_ids_are_unique_stay_the_same_objects() -> None:
    thread: list[BaseMessage] = [HumanMessage("hi", id="h"), calling("a", "x"), result("x", "one")]
    assert all(a is b for a, b in zip(thread, unique_calls(thread, ThreadCalls()), strict=True))


def test_a_result_under_a_client_s_id_reaches_the_graph_under_the_vendor_s() -> None:
    known = CheckpointMessages(THREAD)
    waiting = known.calls.waiting("call_0")
    assert waiting is not None
    said: list[Message] = [ToolResultMessage(id="new", tool_call_id=waiting, tool_name="look", result="four")]
    whole = [known.original(message) for message in merged(known.messages, unknown(known, said))]
    assert whole[:-1] == THREAD
    assert isinstance(whole[-1], ToolMessage)
    assert (whole[-1].tool_call_id, whole[-1].content) == ("call_0", "four")


def answers(*texts: tuple[str, str]) -> list[Message]:
    return [TextMessage(id=id_, role="assistant", content=text) for id_, text in texts]


def test_a_client_s_copy_of_what_streamed_is_recognised() -> None:
    human = TextMessage(id="h", role="user", content="hi")
    known = CheckpointMessages([HumanMessage("hi", id="h"), AIMessage("42", id="kept"), AIMessage("end", id="e")])
    said = [human, *answers(("lc_run--1", "42"), ("lc_run--2", "half an ans"), ("e", "end"), ("lc_run--3", "other"))]
    assert [message.id for message in known.recognise(said)] == ["h", "e", "lc_run--3"]
    assert [message.id for message in CheckpointMessages([]).recognise(said)] == [message.id for message in said]


def test_a_text_that_was_sent_twice_is_recognised_as_often_as_it_is_kept() -> None:
    known = CheckpointMessages([HumanMessage("hi", id="h"), AIMessage("ok", id="kept")])
    human = TextMessage(id="h", role="user", content="hi")
    said = [human, *answers(("x", "ok"), ("y", "ok"))]
    assert [message.id for message in known.recognise(said)] == ["h", "y"]

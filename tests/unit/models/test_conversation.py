from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.providers.models.conversation import UNANSWERED, Exchange, Picture, TextTurn, turns
from copilotkit_runtime.runtime.agui_messages import messages_from_agui
from copilotkit_runtime.runtime.call_ids import vendor_id
from copilotkit_runtime.runtime.messages import (
    AgentStateMessage,
    ImageMessage,
    Message,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
)


def text(role: str, content: str, message_id: str = "m") -> Message:
    return TextMessage(id=message_id, role=role, content=content)  # type: ignore[arg-type]


def call(call_id: str, parent: str | None = None) -> ToolCallMessage:
    return ToolCallMessage(id=call_id, name="act", arguments={}, parent_message_id=parent)


def result(call_id: str, content: str = "done") -> Message:
    return ToolResultMessage(tool_call_id=call_id, tool_name="act", result=content)


def outline(messages: list[Message]) -> list[object]:
    return [[call.id for call in turn.calls] if isinstance(turn, Exchange) else turn for turn in turns(messages)]


def test_texts_and_pictures_of_one_message_keep_their_order() -> None:
    one, other = (
        {"type": "image", "source": {"type": "data", "value": data, "mimeType": "image/png"}}
        for data in ("QUJD", "REVG")
    )
    content = [one, {"type": "text", "text": "this"}, other, {"type": "text", "text": "?"}]
    shown = turns(messages_from_agui([{"id": "u", "role": "user", "content": content}]))
    assert shown == [
        Picture(format="png", data="QUJD"),
        TextTurn(role="user", text="this", id="u-1"),
        Picture(format="png", data="REVG"),
        TextTurn(role="user", text="?", id="u-3"),
    ]


def test_texts_and_pictures_stay_as_they_are() -> None:
    picture = ImageMessage(role="user", format="png", bytes="QUJD")
    assert turns([text("user", "look"), picture]) == [
        TextTurn(role="user", text="look", id="m"),
        Picture(format="png", data="QUJD"),
    ]


def test_calls_of_one_parent_are_one_exchange_even_when_results_stand_between() -> None:
    thread = [call("a", "p"), result("a", "1"), call("b", "p"), result("b", "2")]
    [exchange] = turns(thread)
    assert isinstance(exchange, Exchange)
    assert ([call.id for call in exchange.calls], exchange.results) == (["a", "b"], ["1", "2"])


def test_calls_of_different_parents_are_exchanges_of_their_own() -> None:
    assert outline([call("a", "p"), call("b", "q"), result("b"), result("a")]) == [["a"], ["b"]]


def test_neighbouring_calls_without_a_parent_are_one_exchange() -> None:
    assert outline([call("a"), call("b"), text("user", "x"), call("c")]) == [
        ["a", "b"],
        TextTurn(role="user", text="x", id="m"),
        ["c"],
    ]


def test_the_text_before_its_calls_joins_them() -> None:
    [exchange] = turns([text("assistant", "Let me see.", "p"), call("a", "p")])
    assert isinstance(exchange, Exchange)
    assert exchange.text == "Let me see."


def test_another_answers_text_stays_apart() -> None:
    assert outline([text("assistant", "Hello."), call("a", "p")]) == [
        TextTurn(role="assistant", text="Hello.", id="m"),
        ["a"],
    ]


def test_a_call_without_a_result_is_sent_as_unanswered() -> None:
    [exchange] = turns([call("a")])
    assert isinstance(exchange, Exchange)
    assert exchange.results == [UNANSWERED]


def test_the_first_of_several_results_counts_and_a_call_counts_once() -> None:
    [exchange] = turns([call("a"), call("a"), result("a", "first"), result("a", "second")])
    assert isinstance(exchange, Exchange)
    assert (len(exchange.calls), exchange.results) == (1, ["first"])


def test_what_no_vendor_takes_is_left_out() -> None:
    state = AgentStateMessage(
        thread_id="t", agent_name="a", node_name="n", run_id="r", active=True, running=True, role="assistant", state={}
    )
    assert turns([result("nobody"), text("assistant", "  "), text("tool", "loose"), state]) == []


ids = st.sampled_from(["a", "b", "c"])
parents = st.none() | st.sampled_from(["p", "q"])
messages = st.lists(
    st.builds(text, st.sampled_from(["user", "assistant", "system"]), st.sampled_from(["", "x"]), ids)
    | st.builds(call, ids, parents)
    | st.builds(result, ids)
)


@given(messages)
def test_every_call_is_reported_once_with_one_result(thread: list[Message]) -> None:
    exchanges = [turn for turn in turns(thread) if isinstance(turn, Exchange)]
    told = [call.id for exchange in exchanges for call in exchange.calls]
    called = {message.id for message in thread if isinstance(message, ToolCallMessage)}
    assert len(told) == len(set(told))
    assert {vendor_id(call_id) for call_id in told} == called
    shown = [exchange.id_of(call) for exchange in exchanges for call in exchange.calls]
    assert len(shown) == len(set(shown))
    assert all(len(exchange.calls) == len(exchange.results) > 0 for exchange in exchanges)

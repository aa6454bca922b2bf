"""What clients send becomes a run request: leniently read, and nothing passed on that agents must not see."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.runtime.context import RunContext
from copilotkit_runtime.runtime.messages import TextMessage, ToolResultMessage
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.sent_messages import join_history
from copilotkit_runtime.wires.agui.forwarded_headers import forwarded_headers
from copilotkit_runtime.wires.agui.requests import first_words, input_messages, read_run_input, run_request
from copilotkit_runtime.wires.http.refusal import Refusal

MOST_MESSAGES = 100
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def request(**more: Any) -> RunRequest:
    """The request of a run input with these keys."""
    given_ = read_run_input({"threadId": "t", "runId": "r", **more}, MOST_MESSAGES)
    return run_request(given_, "agent", RunContext(), input_messages(given_))


def test_what_clients_send_reaches_its_place() -> None:
    props = {
        "color": "blue",
        "configurable": {"user": "ann"},
        "config": {"recursion_limit": 5},
        "model": "m",
        "temperature": 0,
        "maxTokens": 7.0,
        "stop": ["x"],
        "toolChoice": "required",
    }
    tools = [{"name": "f", "description": None}, {"name": ""}, 3]
    context = [{"description": "d", "value": {"n": 1}}, None]
    read = request(forwardedProps=props, tools=tools, context=context, state={"n": 1})
    assert read.context.properties["color"] == "blue"
    assert "configurable" not in read.context.properties
    assert read.input.config == {"configurable": {"user": "ann"}, "recursion_limit": 5}
    forwarded = read.input.forwarded
    assert (forwarded.model, forwarded.temperature, forwarded.max_tokens) == ("m", 0.0, 7)
    assert (forwarded.stop, forwarded.tool_choice) == (["x"], "required")
    assert [action.tool.name for action in read.frontend_actions] == ["f"]
    assert [(item.description, item.value) for item in read.input.context] == [("d", '{"n":1}')]
    assert read.input.state == {"n": 1}


@pytest.mark.parametrize("answer", [False, None, "", "true", True, 0, {"a": [1]}])
def test_every_answer_is_one(answer: Any) -> None:
    [legacy] = request(forwardedProps={"command": {"resume": answer, "interruptEvent": {"q": 1}}}).input.resume
    assert (legacy.answer, legacy.value) == (answer, '{"q":1}')
    [standard] = request(resume=[{"interruptId": "i", "status": "resolved", "payload": answer}]).input.resume
    assert (standard.answer, standard.interrupt_id) == (answer, "i")


def test_a_cancelled_question_has_no_answer() -> None:
    [resume] = request(resume=[{"interruptId": "i", "status": "cancelled"}]).input.resume
    assert (resume.answer, resume.response, resume.cancelled) == (None, None, True)


def test_a_cancelled_question_has_the_answer_that_the_application_sets() -> None:
    cancelled = [{"interruptId": "i", "status": "cancelled"}]
    given_ = read_run_input({"threadId": "t", "runId": "r", "resume": cancelled}, MOST_MESSAGES)
    [resume] = run_request(given_, "agent", RunContext(), [], cancelled="no").input.resume
    assert (resume.answer, resume.response, resume.cancelled) == ("no", "no", True)


def test_a_run_without_an_answer_resumes_nothing() -> None:
    assert request(forwardedProps={"command": {}}, resume=[]).input.resume == []


def test_suggestions_are_recognised_by_the_tool_that_they_choose() -> None:
    choice = {"type": "function", "function": {"name": "copilotkitSuggest"}}
    assert request(forwardedProps={"toolChoice": choice}).input.request_type == "Suggestion"
    assert request().input.request_type == "Chat"


@given(st.dictionaries(st.sampled_from(["tools", "context", "state", "forwardedProps", "resume", "parentRunId"]), JSON))
def test_wrong_types_of_what_is_optional_mean_nothing(more: dict[str, Any]) -> None:
    assert request(**more).input.thread_id == "t"


def test_too_many_messages_are_refused() -> None:
    with pytest.raises(Refusal) as refused:
        request(messages=[{"role": "user"}] * (MOST_MESSAGES + 1))
    assert refused.value.status == 413


def test_a_thread_is_named_after_the_only_message_of_its_user() -> None:
    assert first_words([{"role": "user", "content": "  long\n" + "x" * 80}]) == "long " + "x" * 55
    assert first_words([{"role": "user", "content": [{"type": "text", "text": "hi"}]}]) == "hi"
    assert first_words([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]) is None
    assert first_words([{"role": "user"}]) is None


HEADERS = {
    "authorization": "Bearer t",
    "x-page": "1",
    "x-forwarded-for": "1.2.3.4",
    "x-vercel-id": "v",
    "x-api-key": "k",
    "x-copilotcloud-public-api-key": "c",
    "cookie": "s",
    "accept": "*/*",
}


@pytest.mark.parametrize(
    ("patterns", "denied", "seen"),
    [
        (("x-*",), (), {"authorization", "x-page"}),
        (("x-*",), ("auth*",), {"x-page"}),
        (("x-*", "x-vercel-id"), (), {"authorization", "x-page", "x-vercel-id"}),
        (("X-Page",), (), {"x-page"}),
        (("*",), (), {"authorization", "x-page", "x-forwarded-for", "x-vercel-id", "accept"}),
        ((), (), set()),
    ],
)
def test_agents_see_the_headers_that_are_meant_for_them(
    patterns: tuple[str, ...], denied: tuple[str, ...], seen: set[str]
) -> None:
    assert forwarded_headers(HEADERS, patterns, denied).keys() == seen


def said(*ids: str, role: Any = "user") -> list[TextMessage]:
    return [TextMessage(id=id_, role="assistant" if id_.startswith("a") else role, content=id_) for id_ in ids]


@pytest.mark.parametrize(
    ("kept", "sent", "joined"),
    [
        ("", "u1", "u1"),
        ("u1 a1", "u1 a1 u2", "u1 a1 u2"),
        ("u1 a1", "u2", "u1 a1 u2"),
        ("u1 a1 u2 a2", "a2 u3", "u1 a1 u2 a2 u3"),
        ("u1 a1 u2 a2", "u1 a1 u2", "u1 a1 u2"),
        ("u1 a1 u2 a2", "u1", "u1"),
        ("u1 a1", "", "u1 a1"),
        ("u1 a1", "u1 u2", "u1 a1 u2"),
        ("u1 a1 u2 a2", "u1 a1 u3", "u1 a1 u2 a2 u3"),
        ("u1 a1 u2 a2", "u1 a9 u2 a2 u3", "u1 a9 a1 u2 a2 u3"),
        ("u1 a1", "u1 a9 u2 u3", "u1 a9 a1 u2 u3"),
    ],
)
def test_what_a_client_leaves_out_is_still_there(kept: str, sent: str, joined: str) -> None:
    assert [m.id for m in join_history(said(*kept.split()), said(*sent.split()))] == joined.split()


def test_a_known_message_with_another_text_is_an_edit() -> None:
    edited = TextMessage(id="u1", role="user", content="better")
    assert join_history(said("u1", "a1"), [edited, *said("a1", "u2")])[0] == edited


def test_an_answer_that_the_agent_keeps_under_another_id_is_the_same_one() -> None:
    kept = [*said("u1"), *(TextMessage(id=id_, role="assistant", content="ok") for id_ in ("k1", "k2"))]
    streamed = TextMessage(id="s1", role="assistant", content="ok")
    assert [m.id for m in join_history(kept, [*said("u1"), streamed, *said("u2")])] == ["u1", "k1", "k2", "u2"]


def test_a_result_comes_behind_its_call() -> None:
    result = ToolResultMessage(id="t1", tool_call_id="c", tool_name="f", result="ok")
    assert [m.id for m in join_history(said("u1", "a1"), [*said("u1", "a1"), result])] == ["u1", "a1", "t1"]

from __future__ import annotations

from typing import Any

import pytest
from langgraph.types import Interrupt

from copilotkit_runtime.providers.langgraph.interrupts import resume_map
from copilotkit_runtime.providers.langgraph.reviews import review_answer
from copilotkit_runtime.runtime.context import Resume


def review(*allowed: tuple[str, ...]) -> dict[str, Any]:
    """A request of LangChain's middleware for so many actions, with the decisions that each allows."""
    names = [f"tool{i}" for i in range(len(allowed))]
    return {
        "action_requests": [{"name": name, "args": {}} for name in names],
        "review_configs": [
            {"action_name": name, "allowed_decisions": list(each)} for name, each in zip(names, allowed, strict=True)
        ],
    }


ALL = ("approve", "edit", "reject", "respond")
APPROVE = {"type": "approve"}


@pytest.mark.parametrize(
    ("asked", "answer", "shaped"),
    [
        (review(ALL), "approve", {"decisions": [APPROVE]}),
        (review(ALL), "Approved!", {"decisions": [APPROVE]}),
        (review(ALL), True, {"decisions": [APPROVE]}),
        (review(ALL), False, {"decisions": [{"type": "reject"}]}),
        (review(ALL), "reject: too dear", {"decisions": [{"type": "reject", "message": "too dear"}]}),
        (review(ALL, ALL), "approve", {"decisions": [APPROVE, APPROVE]}),
        (review(ALL, ALL), ["approve", "reject"], {"decisions": [APPROVE, {"type": "reject"}]}),
        (review(ALL), APPROVE, {"decisions": [APPROVE]}),
        (
            review(("approve", "respond")),
            "Take the train.",
            {"decisions": [{"type": "respond", "message": "Take the train."}]},
        ),
        ({"type": "tool_approval", "name": "t", "args": {}}, "approve", APPROVE),
        (
            {"action_request": {"action": "a"}, "config": {"allow_accept": True}},
            "yes",
            [{"type": "accept", "args": None}],
        ),
        ([{"action_request": {}, "config": {"allow_ignore": True}}], "ignore", [{"type": "ignore", "args": None}]),
        ([{"action_request": {}, "config": {"allow_respond": True}}], "later", [{"type": "response", "args": "later"}]),
    ],
)
def test_an_answer_gets_the_shape_that_the_review_takes(asked: Any, answer: Any, shaped: Any) -> None:
    assert review_answer(asked, answer) == shaped


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (review(ALL), "perhaps"),
        (review(("reject",)), "approve"),
        (review(ALL, ("reject",)), "approve"),
        (review(ALL, ALL), ["approve"]),
        (review(ALL), "approve: but only once"),
        (review(ALL), {"decisions": [APPROVE]}),
        (review(ALL), None),
        ("Approve?", "approve"),
        ({"question": "Approve?"}, "approve"),
        ([], "approve"),
        ({"action_requests": "odd"}, "approve"),
        (None, True),
    ],
)
def test_an_answer_stays_as_it_is_where_there_is_a_doubt(asked: Any, answer: Any) -> None:
    assert review_answer(asked, answer) == answer


@pytest.mark.parametrize(
    ("asked", "answer", "given"),
    [
        (review(ALL, ALL), None, {"decisions": [{"type": "reject"}, {"type": "reject"}]}),
        (review(ALL), "reject: too dear", {"decisions": [{"type": "reject", "message": "too dear"}]}),
        (review(ALL), "cancelled", {"decisions": [{"type": "reject"}]}),
        (review(("approve",)), None, None),
        ({"question": "Sure?"}, None, None),
        ({"question": "Sure?"}, "cancelled", "cancelled"),
    ],
)
def test_a_review_that_is_cancelled_is_rejected(asked: Any, answer: Any, given: Any) -> None:
    cancelled = Resume(name="on_interrupt", value="", answer=answer, cancelled=True)
    assert resume_map([Interrupt(value=asked, id="i")], [cancelled]) == {"i": given}

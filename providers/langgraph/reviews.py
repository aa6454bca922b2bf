"""A person's answer to a review as the decisions that the reviewing code takes.

LangChain's human-in-the-loop middleware and LangGraph's older review interrupts take objects. People type a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .encoding import Json

_APPROVE = frozenset({"approve", "approved", "accept", "accepted", "yes"})
_REJECT = frozenset({"reject", "rejected", "deny", "denied", "no"})


def review_answer(question: Any, answer: Json) -> Json:
    """Return ``answer`` in the shape that a review takes, or as it is where its meaning is in doubt.

    Args:
        question: The interrupt's value.
        answer: A word of decision, perhaps with a reason (``reject: too dear``); true or false; a decision or a list
            of them; or any other answer.
    """
    decided = decisions(question, answer)
    return answer if decided is None else decided


def cancelled_review(question: Any, answer: Json) -> Json:
    """Return what a review takes for an interrupt that was cancelled: unless ``answer`` decides, a rejection.

    Args:
        question: The interrupt's value.
        answer: What the settings have agents get for a cancelled interrupt, by default null.
    """
    rejected = decisions(question, answer) or decisions(question, False)
    return answer if rejected is None else rejected


def decisions(question: Any, answer: Json) -> Json | None:
    """Return what a review takes for ``answer``; None if ``question`` is not a review, or the answer leaves a doubt."""
    if isinstance(question, Mapping) and question.get("type") == "tool_approval":
        return _decision(answer, {"approve", "reject"})
    if isinstance(question, Mapping) and isinstance(question.get("action_requests"), list):
        return _batch(question, answer)
    requests = question if isinstance(question, list) else [question]
    if requests and all(isinstance(each, Mapping) and "action_request" in each for each in requests):
        return _responses(requests, answer)
    return None


def _batch(question: Mapping[str, Any], answer: Json) -> Json | None:
    allowed = _allowed(question)
    if isinstance(answer, dict) and "decisions" in answer:
        return answer
    answers = answer if isinstance(answer, list) else [answer] * len(allowed)
    if len(answers) != len(allowed):
        return None
    decided = [_decision(each, names) for each, names in zip(answers, allowed, strict=True)]
    return None if None in decided else {"decisions": decided}


def _allowed(question: Mapping[str, Any]) -> Sequence[set[str]]:
    """Return the decisions that each action may get."""
    configs = [each for each in question.get("review_configs") or () if isinstance(each, Mapping)]
    by_name = {each.get("action_name"): set(each.get("allowed_decisions") or ()) for each in configs}
    return [by_name.get(_name(each), set()) for each in question["action_requests"]]


def _name(request: Any) -> Any:
    return request.get("name", request.get("action")) if isinstance(request, Mapping) else None


def _decision(answer: Json, allowed: set[str]) -> Json | None:
    if isinstance(answer, dict):
        return answer if "type" in answer else None
    word, reason = _word(answer)
    if word == "approve" and word in allowed and not reason:
        return {"type": "approve"}
    if word == "reject" and word in allowed:
        return {"type": "reject", **({"message": reason} if reason else {})}
    if isinstance(answer, str) and allowed - {"approve", "edit"} == {"respond"}:
        return {"type": "respond", "message": answer}
    return None


def _word(answer: Json) -> tuple[str | None, str]:
    """Return the decision that an answer names, and the reason that it gives."""
    if isinstance(answer, bool):
        return ("approve" if answer else "reject"), ""
    if not isinstance(answer, str):
        return None, ""
    head, _, reason = answer.strip().partition(":")
    word = head.strip().rstrip(".!").lower()
    words = {**dict.fromkeys(_APPROVE, "approve"), **dict.fromkeys(_REJECT, "reject")}
    return words.get(word), reason.strip()


def _responses(requests: Iterable[Mapping[str, Any]], answer: Json) -> Json | None:
    """Answer in the shape of ``langgraph.prebuilt.interrupt``: a list of responses, one a request."""
    if isinstance(answer, list):
        return answer
    decided = [_response(each, answer) for each in requests]
    return None if None in decided else decided


def _response(request: Mapping[str, Any], answer: Json) -> Json | None:
    config = request.get("config")
    allows = config if isinstance(config, Mapping) else {}
    if isinstance(answer, dict):
        return answer if "type" in answer else None
    word, reason = _word(answer)
    if word == "approve" and not reason and allows.get("allow_accept"):
        return {"type": "accept", "args": None}
    if answer == "ignore" or (word == "reject" and not reason):
        return {"type": "ignore", "args": None} if allows.get("allow_ignore") else None
    return {"type": "response", "args": answer} if isinstance(answer, str) and allows.get("allow_respond") else None

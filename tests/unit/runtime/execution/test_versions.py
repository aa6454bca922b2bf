"""Web processes and workers of neighbouring versions: what each reads of the other's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.execution.envelope import VERSION, Envelope, UnreadableEnvelopeError, seal, unseal
from copilotkit_runtime.runtime.execution.published import Answer, Call, WorkerCard
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.about import ENVELOPE

FIRST = {
    "version": 1,
    "queue": "default",
    "request": {
        "input": {
            "thread_id": "t",
            "run_id": "r",
            "messages": [{"type": "TextMessage", "id": "m", "role": "user", "content": "hello"}],
        },
        "agent_name": "echo",
        "context": {"identity": "ann", "properties": {"colour": "red"}},
    },
}
"""What a web process of version 0.1 hands over, without what may be left out."""


def sealed(**more: Any) -> dict[str, Any]:
    said = TextMessage(id="m", role="user", content="hello")
    request = RunRequest(
        input=RunInput(thread_id="t", run_id="r", messages=[said]), agent_name="echo", context=RunContext()
    )
    return seal(Envelope(request=request, queue="default", **more), 100_000)


def test_what_a_web_process_of_version_0_1_hands_over_is_read() -> None:
    envelope = unseal({ENVELOPE: FIRST})
    assert envelope.request.input.messages[0].content == "hello"  # type: ignore[union-attr]
    assert (envelope.request.agent_name, envelope.request.context.identity) == ("echo", "ann")
    assert (envelope.hook_called, envelope.judged, envelope.trace) == (False, False, {})


def _with_unknown_fields(value: Any) -> Any:
    match value:
        case dict() if value:
            return {"added_later": {"x": [1]}, **{key: _with_unknown_fields(each) for key, each in value.items()}}
        case list():
            return [_with_unknown_fields(each) for each in value]
        case _:
            return value


def test_fields_that_a_later_version_adds_are_ignored_at_every_depth() -> None:
    older = sealed(judged=True)
    newer = _with_unknown_fields(older)
    read = msgspec.to_builtins(unseal({ENVELOPE: newer}))
    assert read["request"]["input"]["messages"] == older["request"]["input"]["messages"]
    assert read["judged"] is True


@pytest.mark.parametrize("kept", [None, 7, "text", {}, {"version": "one"}, {**FIRST, "request": {"input": 3}}])
def test_what_cannot_be_read_is_an_error(kept: Any) -> None:
    with pytest.raises(UnreadableEnvelopeError, match="cannot read"):
        unseal({ENVELOPE: kept})


def test_a_form_that_is_newer_names_both_versions_and_what_to_do() -> None:
    newer = {**sealed(), "version": VERSION + 1}
    with pytest.raises(
        UnreadableEnvelopeError, match=f"version {VERSION + 1}.*reads version {VERSION}: update workers before web"
    ):
        unseal({ENVELOPE: newer})


def test_the_version_goes_with_the_run_and_with_the_worker_s_card() -> None:
    assert sealed()["version"] == VERSION
    assert msgspec.to_builtins(WorkerCard(queues=[]))["version"] == 1


def test_questions_and_answers_of_a_later_version_are_read() -> None:
    asked = msgspec.convert({"method": "load_state", "provider": "p", "later": 1}, Call)
    assert (asked.method, asked.arguments) == ("load_state", [])
    assert msgspec.convert({"later": [1]}, Answer) == Answer()

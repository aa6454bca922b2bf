"""What is kept of a run that has ended does not repeat the runs before it."""

from __future__ import annotations

from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.runs.compaction import without_earlier_turns


def _message(role: str, id_: str) -> dict[str, str]:
    return {"id": id_, "role": role, "content": id_}


def test_a_snapshot_of_the_thread_is_kept_from_the_last_question_on() -> None:
    thread = [_message(role, f"{role}-{turn}") for turn in range(3) for role in ("user", "assistant")]
    run = [events.RunStarted(thread_id="t", run_id="r"), events.MessagesSnapshot(messages=thread)]

    started, snapshot = without_earlier_turns(run)

    assert started == run[0]
    assert snapshot == events.MessagesSnapshot(messages=thread[-2:])


def test_a_snapshot_without_question_is_kept_whole() -> None:
    run: list[events.Event] = [events.MessagesSnapshot(messages=[_message("assistant", "a"), _message("tool", "b")])]
    assert without_earlier_turns(run) == run

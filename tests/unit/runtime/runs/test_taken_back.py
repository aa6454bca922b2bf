"""Which runs of a thread a later one has taken back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from copilotkit_runtime import events, messages
from copilotkit_runtime.runtime.events import QUESTIONS
from copilotkit_runtime.runtime.runs.archive import RunArchive
from copilotkit_runtime.runtime.runs.taken_back import Attempt, without_taken_back
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.stores.urls import open_run_log


async def kept(*runs: tuple[str, Sequence[str]]) -> list[str]:
    """Return the names of the runs that are left of some that go on, each with the messages that came with it."""
    attempts = [
        Attempt(name, [messages.TextMessage(id=id_, role="user", content="x") for id_ in ids], None, None)
        for name, ids in runs
    ]
    return await without_taken_back(attempts, RunArchive(open_run_log(MemoryStore())))


async def test_a_later_answer_to_a_message_takes_back_the_earlier_ones_and_what_followed() -> None:
    assert await kept(("r1", ["u1"]), ("r2", ["u2"]), ("r3", ["u1"])) == ["r3"]
    assert await kept(("r1", ["u1"]), ("r2", ["u2"]), ("r3", ["u2"])) == ["r1", "r3"]


async def test_a_run_that_brings_an_earlier_message_besides_its_own_takes_back_nothing() -> None:
    assert await kept(("long", ["u1"]), ("short", ["u1", "u2"])) == ["long", "short"]


@pytest.mark.parametrize(
    ("name", "left"), [*((name, ["asked", "answered"]) for name in sorted(QUESTIONS)), ("other", ["answered"])]
)
async def test_the_answer_to_a_question_of_an_earlier_release_takes_back_nothing(name: str, left: list[str]) -> None:
    archive = RunArchive(open_run_log(MemoryStore()))
    brought = [messages.TextMessage(id="u1", role="user", content="x")]
    asked = await archive.store.open("t", run_id="asked", agent_name="a", owner="me")
    await archive.store.close(asked.key, "me", "finished", 1, [events.Custom(name=name, value="Go on?")])
    (record,) = await archive.runs("t")
    attempts = [Attempt("asked", brought, None, record), Attempt("answered", brought, None, None)]
    assert await without_taken_back(attempts, archive) == left

"""What a run's answers are answers to, where the client does not repeat what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...runtime.context import Resume
from ...runtime.runs.archive import RunArchive
from .interrupts import Interrupts, is_question
from .requests import as_text


async def asked_last(archive: RunArchive, thread_id: str, agent_key: str) -> list[Any]:
    """Return the questions with which an agent's last run in a thread ended, as clients were asked them."""
    records = [record for record in await archive.runs(thread_id) if record.agent_name == agent_key]
    if not records or records[-1].status == "running":
        return []
    asked = Interrupts(records[-1].run_id)
    for event in await archive.history(records[-1]):
        if is_question(event):
            asked.add(event)
    return asked.values


def lack_questions(answers: Sequence[Resume]) -> bool:
    """Return whether an answer comes without what was asked: clients before 1.54 do not repeat it."""
    return any(not answer.value for answer in answers)


def with_questions(answers: Sequence[Resume], asked: Sequence[Any]) -> list[Resume]:
    """Return answers with what was asked: by the interrupt's id, else by position; one answer may be for all."""
    if len(answers) == 1 and answers[0].interrupt_id is None:
        whole = asked[0] if len(asked) == 1 else list(asked)
        return [_to(answers[0], whole)] if asked else list(answers)
    named = {value["id"]: value for value in asked if isinstance(value, dict) and isinstance(value.get("id"), str)}
    placed = dict(enumerate(asked))
    return [
        _to(answer, named.get(answer.interrupt_id or "", placed.get(place))) for place, answer in enumerate(answers)
    ]


def _to(answer: Resume, question: Any) -> Resume:
    return answer if answer.value or question is None else msgspec.structs.replace(answer, value=as_text(question))

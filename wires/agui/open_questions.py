"""What a run's answers are answers to, where the client does not repeat what it was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...runtime.context import Resume
from ...runtime.runs.archive import RunArchive
from .interrupts import Interrupts, is_question
from .requests import as_text


async def asked_last(archive: RunArchive, thread_id: str, agent_key: str) -> dict[str, Any]:
    """Return the questions with which an agent's last run in a thread ended, in order, by the ids that clients got."""
    records = [record for record in await archive.runs(thread_id) if record.agent_name == agent_key]
    if not records or records[-1].status == "running":
        return {}
    interrupts = Interrupts(records[-1].run_id)
    for event in await archive.history_if_kept(records[-1]):
        if is_question(event):
            interrupts.add(event)
    return interrupts.by_id()


def lack_questions(answers: Sequence[Resume]) -> bool:
    """Return whether an answer comes without what was asked: clients before 1.54 do not repeat it."""
    return any(not answer.value for answer in answers)


def with_questions(answers: Sequence[Resume], questions: Mapping[str, Any]) -> list[Resume]:
    """Return answers with what was asked: by the interrupt's id, else by position; one answer may be for all."""
    values = list(questions.values())
    if len(answers) == 1 and answers[0].interrupt_id is None:
        whole = values[0] if len(values) == 1 else values
        return [_to(answers[0], whole)] if values else list(answers)
    placed = dict(enumerate(values))
    return [
        _to(answer, questions.get(answer.interrupt_id or "", placed.get(place))) for place, answer in enumerate(answers)
    ]


def _to(answer: Resume, question: Any) -> Resume:
    if answer.value or question is None:
        return answer
    return msgspec.structs.replace(answer, value=as_text(question), question=question)

"""What is shown of a run that a provider goes on with, behind what was shown before."""

from __future__ import annotations

from collections.abc import AsyncIterable

from copilotkit_runtime import events
from copilotkit_runtime.runtime.runs.continuation import Continuation
from copilotkit_runtime.runtime.runs.repetition import RepetitionStage
from copilotkit_runtime.runtime.runs.verifier import EventVerifier


async def gone_on(past: Continuation, stream: AsyncIterable[events.Event]) -> list[events.Event]:
    """Pass a provider's events through the stage that leaves out what was shown; check both ends of it."""
    log, provider = EventVerifier(), EventVerifier()
    for event in past.history:
        log.check(event)
    shown: list[events.Event] = []

    async def emit(event: events.Event) -> None:
        log.check(event)
        shown.append(event)

    for event in past.settle():
        await emit(event)
    stage = RepetitionStage(emit, past)
    async for event in stream:
        provider.check(event)
        await stage.feed(event)
    for event in provider.closing():
        await stage.feed(event)
    await stage.finish()
    assert log.closing() == []
    return shown

"""One run, wherever the graph runs: from its beginning to what it left behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig

from ...runtime.events import Event
from .graph_thread import GraphThread
from .interrupts import interrupt_events
from .run_plan import RunPlan
from .translation import Translator

StreamPart: TypeAlias = tuple[tuple[str, ...], str, Any]


async def run_events(
    plan: RunPlan,
    translator: Translator,
    stream: Callable[[RunPlan], AsyncGenerator[StreamPart, None]],
    thread: GraphThread,
    config: RunnableConfig,
) -> AsyncGenerator[Event, None]:
    """Run the graph if the turn needs it, and yield what happens.

    Args:
        plan: How the run begins.
        translator: Makes events of the stream's parts.
        stream: Starts the graph.
        thread: Gives the interrupts that wait at the end.
        config: The thread, without a checkpoint.
    """
    if not plan.runs:
        for event in (*translator.stand(), *interrupt_events(plan.interrupts)):
            yield event
        return
    async with aclosing(stream(plan)) as parts:
        async for namespace, mode, payload in parts:
            for event in translator.translate(namespace, mode, payload):
                yield event
    for event in translator.finish():
        yield event
    if translator.interrupted and thread.remembers:
        for event in interrupt_events((await thread.state(config)).interrupts):
            yield event

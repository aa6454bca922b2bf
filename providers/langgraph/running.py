"""One run, wherever the graph runs: from its beginning to what it left behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig

from ...runtime.events import Event
from .graph_thread import GraphThread
from .interrupts import interrupt_events
from .translation import Translator
from .turn import Turn

StreamPart: TypeAlias = tuple[tuple[str, ...], str, Any]


async def run_events(
    turn: Turn,
    translator: Translator,
    stream: Callable[[Turn], AsyncGenerator[StreamPart, None]],
    thread: GraphThread,
    config: RunnableConfig,
) -> AsyncGenerator[Event, None]:
    """Runs the graph if the turn says so; yields what happens.

    Args:
        turn: How the run begins.
        translator: Makes events of the stream's parts.
        stream: Starts the graph.
        thread: Tells at the end which interrupts wait.
        config: The thread, without a checkpoint.
    """
    if not turn.runs:
        for event in (*translator.stand(), *interrupt_events(turn.interrupts)):
            yield event
        return
    async with aclosing(stream(turn)) as parts:
        async for namespace, mode, payload in parts:
            for event in translator.translate(namespace, mode, payload):
                yield event
    for event in translator.finish():
        yield event
    if translator.interrupted and thread.remembers:
        for event in interrupt_events((await thread.state(config)).interrupts):
            yield event

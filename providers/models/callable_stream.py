"""Answers that a callable writes."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from ...runtime.call_ids import CallIds, CallRenamer
from ...runtime.context import RunInput
from ...runtime.errors import MisuseError
from ...runtime.events import BaseEvent, Event
from ..message_assembler import MessageAssembler
from ..threaded_iterator import in_thread
from .streams import closing

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from .langchain_chunks import ChunkReader


async def answer_events(pieces: AsyncIterable[Any] | Generator[Any], run: RunInput) -> AsyncGenerator[Event]:
    """Yield the events of an answer given as texts, events, LangChain messages, or any mix of them.

    Args:
        pieces: What the callable yields. A generator that is not async is run in a thread.
        run: The run that is answered.

    Raises:
        MisuseError: A piece is none of these.
    """
    answer = _Answer(run)
    source = in_thread(pieces) if isinstance(pieces, Generator) else aiter(pieces)
    async with closing(source):
        async for piece in source:
            for event in answer.add(piece):
                yield event
    for event in answer.end():
        yield event


class _Answer:
    def __init__(self, run: RunInput) -> None:
        ids = CallIds.of(run.messages)
        self._answer = MessageAssembler(ids=ids, tools=[tool.name for tool in run.tools])
        self._renamer = CallRenamer(ids)
        self._reader: ChunkReader | None = None
        self.end = self._answer.end

    def add(self, piece: Any) -> Iterable[Event]:
        if isinstance(piece, str):
            return self._answer.text(piece)
        if isinstance(piece, BaseEvent):
            return (self._renamer.rename(piece),)  # type: ignore[arg-type]
        if is_message(piece):
            return self._chunks().read(piece)
        kind = type(piece).__name__
        raise MisuseError(f"A model callable may yield texts, events and LangChain messages, not {kind}.")

    def _chunks(self) -> ChunkReader:
        if self._reader is None:
            from .langchain_chunks import ChunkReader

            self._reader = ChunkReader(self._answer)
        return self._reader


def is_message(piece: object) -> bool:
    """Return whether ``piece`` is a LangChain message. Does not import LangChain."""
    messages = sys.modules.get("langchain_core.messages")
    if messages is None:
        return False
    kind: type[BaseMessage] = messages.BaseMessage
    return isinstance(piece, kind)

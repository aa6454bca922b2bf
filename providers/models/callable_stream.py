"""Answers that a callable writes itself."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from ...runtime.errors import MisuseError
from ...runtime.events import BaseEvent, Event
from .message_assembler import MessageAssembler
from .streams import closing

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from .langchain_chunks import ChunkReader


async def spoken(pieces: AsyncIterable[Any] | Generator[Any]) -> AsyncGenerator[Event]:
    """The events of an answer given as texts, events, LangChain messages, or any mix of them.

    Args:
        pieces: What the callable yields. A generator that is not async is run in a thread.

    Raises:
        MisuseError: A piece is none of these.
    """
    page = _Page()
    source = _threaded(pieces) if isinstance(pieces, Generator) else aiter(pieces)
    async with closing(source):
        async for piece in source:
            for event in page.add(piece):
                yield event
    for event in page.end():
        yield event


class _Page:
    def __init__(self) -> None:
        self._answer = MessageAssembler()
        self._reader: ChunkReader | None = None
        self.end = self._answer.end

    def add(self, piece: Any) -> Iterable[Event]:
        if isinstance(piece, str):
            return self._answer.text(piece)
        if isinstance(piece, BaseEvent):
            return (piece,)  # type: ignore[return-value]
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
    """Whether ``piece`` is a LangChain message. Does not import LangChain."""
    messages = sys.modules.get("langchain_core.messages")
    if messages is None:
        return False
    kind: type[BaseMessage] = messages.BaseMessage
    return isinstance(piece, kind)


async def _threaded(pieces: Generator[Any]) -> AsyncGenerator[Any]:
    try:
        while (piece := await asyncio.to_thread(next, pieces, _END)) is not _END:
            yield piece
    finally:
        if inspect.getgeneratorstate(pieces) != inspect.GEN_RUNNING:
            pieces.close()


_END = object()

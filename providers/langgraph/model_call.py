"""One model call as it streams: its text, its reasoning and the parts of its tool calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages.ai import UsageMetadata
from msgspec import Struct, field

from ...runtime.predictions import PartialArguments, Prediction
from .history import RUN_ID_PREFIX
from .policy import EmitPolicy


class StreamedCall(Struct):
    """One tool call. ``client_id`` is the id under which it was started, None before."""

    id: str | None = None
    name: str = ""
    client_id: str | None = None
    arguments: PartialArguments = field(default_factory=PartialArguments)
    hidden: bool = False
    predictions: tuple[Prediction, ...] = ()


class ModelCall(Struct):
    """One model call.

    ``metadata`` is the call's, of which LangGraph makes one object a call: all that comes with it is one message,
    whatever ids its chunks have. ``id`` is the one that the finished message will keep.
    """

    metadata: Mapping[str, Any]
    policy: EmitPolicy
    id: str = ""
    begun: bool = False
    shows_text: bool = False
    shows_reasoning: bool = False
    texts: list[str] = field(default_factory=list)
    calls: list[StreamedCall] = field(default_factory=list)
    call_at: dict[Any, StreamedCall] = field(default_factory=dict)
    usage: UsageMetadata | None = None

    def identify(self, id_: str | None) -> None:
        """Take over a chunk's id as LangChain does when it adds chunks: a vendor's before one of its own."""
        if id_ and not self.begun and (not self.id or self.id.startswith(RUN_ID_PREFIX)):
            self.id = id_

    def call_of(self, part: Mapping[str, Any]) -> StreamedCall:
        """Return the call that a part belongs to: by its index, else by its id; with neither, the last one."""
        id_, index = part.get("id"), part.get("index")
        key = id_ if index is None else index
        call = self.call_at.get(key)
        if call is None and key is None and self.calls:
            call = self.calls[-1]
        if call is None or (id_ and call.id and call.id != id_):
            call = StreamedCall(id=id_)
            self.calls.append(call)
            self.call_at[key] = call
        call.id = call.id or id_
        return call

    def place_of(self, call: StreamedCall) -> int:
        """Return how many earlier calls of the message have the same id."""
        return sum(1 for each in self.calls[: self.calls.index(call)] if each.id == call.id)

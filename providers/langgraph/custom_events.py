"""LangChain's custom events (``adispatch_custom_event``), brought into the graph's own stream.

They reach callbacks only. A synchronous, inline handler writes them to the stream where the agent dispatched
them, so that they keep their order among the tokens; a queue beside the stream would not.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.config import get_stream_writer
from msgspec import Struct

from .encoding import Encoder, Json


class DispatchedEvent(Struct, frozen=True):
    """One custom event: what was dispatched, already encoded, and the id of the root task it came from."""

    name: str
    data: Json
    task_id: str | None
    failures: tuple[str, ...] = ()


def root_task_id(metadata: dict[str, Any] | None) -> str | None:
    """The id of the root graph's task in which something happened (``langgraph_checkpoint_ns``)."""
    namespace: str = (metadata or {}).get("langgraph_checkpoint_ns") or ""
    return namespace.partition("|")[0].partition(":")[2] or None


class CustomEventHandler(BaseCallbackHandler):
    """Puts dispatched events into the stream of the run that they belong to. One serves all runs.

    The data is encoded at once: agents go on changing the objects that they emitted.
    """

    run_inline = True
    raise_error = False
    ignore_llm = True
    ignore_chat_model = True
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True

    def on_custom_event(
        self, name: str, data: Any, *, run_id: UUID, metadata: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Writes the event to the graph's stream."""
        encoder = Encoder()
        encoded = encoder.encode(data)
        event = DispatchedEvent(name, encoded, root_task_id(metadata), tuple(encoder.failures.values()))
        get_stream_writer()(event)


HANDLER: Final = CustomEventHandler()

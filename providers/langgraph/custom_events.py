"""What LangChain reports to callbacks only, brought into the graph's own stream.

These are custom events (``adispatch_custom_event``) and model calls that failed in the middle. A synchronous, inline
handler writes them to the stream where they happen, so that they keep their order among the tokens; a queue beside
the stream would not.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, Final
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from langgraph.config import get_stream_writer
from msgspec import Struct

from .encoding import Encoder, Json

# Calls that nobody ends are forgotten when as many have begun after them.
_MOST_CALLS = 10_000


class DispatchedEvent(Struct, frozen=True):
    """One custom event: what was dispatched, already encoded, and the id of the root task it came from."""

    name: str
    data: Json
    task_id: str | None
    failures: tuple[str, ...] = ()


class BrokenCall(Struct, frozen=True):
    """A model call failed in the middle; ``metadata`` is the object that LangGraph streams with its chunks."""

    metadata: dict[str, Any]


def root_task_id(metadata: dict[str, Any] | None) -> str | None:
    """Return the id of the root graph's task in which something happened (``langgraph_checkpoint_ns``)."""
    namespace: str = (metadata or {}).get("langgraph_checkpoint_ns") or ""
    return namespace.partition("|")[0].partition(":")[2] or None


class CustomEventHandler(BaseCallbackHandler):
    """Puts what is reported into the stream of the run that it belongs to. One serves all runs.

    The data is encoded at once: agents go on changing the objects that they emitted.
    """

    run_inline = True
    raise_error = False
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True

    def __init__(self) -> None:
        self._calls: dict[UUID, dict[str, Any]] = {}
        self._lock = Lock()

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Note the call's metadata, by which its chunks are known."""
        if metadata is not None:
            with self._lock:
                self._calls[run_id] = metadata
                if len(self._calls) > _MOST_CALLS:
                    del self._calls[next(iter(self._calls))]

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Forget the call."""
        with self._lock:
            self._calls.pop(run_id, None)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Write to the graph's stream that the call broke off, unless the run is being stopped."""
        with self._lock:
            metadata = self._calls.pop(run_id, None)
        if metadata is not None and isinstance(error, Exception):
            get_stream_writer()(BrokenCall(metadata))

    def on_custom_event(
        self, name: str, data: Any, *, run_id: UUID, metadata: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Write the event to the graph's stream."""
        encoder = Encoder()
        encoded = encoder.encode(data)
        event = DispatchedEvent(name, encoded, root_task_id(metadata), tuple(encoder.failures.values()))
        get_stream_writer()(event)


HANDLER: Final = CustomEventHandler()

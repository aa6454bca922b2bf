"""Events that are folded into one: the pieces of a message or a call, the changes of a state or an activity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec

from .. import events
from ..errors import ProtocolError
from .growing_text import GrowingText
from .json_patch import JsonPatchError, apply_patch

Start: TypeAlias = events.TextMessageStart | events.ToolCallStart | events.ReasoningMessageStart
Content: TypeAlias = events.TextMessageContent | events.ToolCallArgs | events.ReasoningMessageContent
End: TypeAlias = events.TextMessageEnd | events.ToolCallEnd | events.ReasoningMessageEnd

Folded: TypeAlias = "StreamedText | FoldedState | FoldedActivity"


class StreamedText:
    """A text or arguments that come in pieces; without ``start``, the part that follows a messages snapshot."""

    __slots__ = ("content", "end", "id", "start", "text")

    def __init__(self, content: type[events.Event], id_: str, start: Start | None) -> None:
        self.content = content
        self.id = id_
        self.start = start
        self.text = GrowingText()
        self.end: End | None = None

    def join(self, rest: StreamedText) -> None:
        """Add the pieces that came after a messages snapshot."""
        self.text.add(rest.text)
        self.end = rest.end

    def parts(self) -> Iterator[events.Event]:
        """Yield the events that are left: a start, one piece, an end."""
        if self.start is not None:
            yield self.start
        text = self.text.value()
        if text:
            yield _content_event(self.content, self.id, text)
        if self.end is not None:
            yield self.end


def _patched(document: Any, delta: list[dict[str, Any]]) -> Any:
    try:
        return apply_patch(document, delta)
    except JsonPatchError as error:
        raise ProtocolError("The agent sent a delta that does not fit its state.") from error


class FoldedState:
    """One agent's state. What it was before is ``known`` to be empty, or else kept as changes until a snapshot."""

    __slots__ = ("_changes", "_document")

    def __init__(self, *, known: bool) -> None:
        self._document: Any = {}
        self._changes: list[dict[str, Any]] | None = None if known else []

    def change(self, event: events.StateSnapshot | events.StateDelta) -> None:
        """Take an event in.

        Raises:
            ProtocolError: A delta does not fit the state.
        """
        if isinstance(event, events.StateSnapshot):
            value = event.snapshot if isinstance(event.snapshot, dict) else {}
            self._document = {k: v for k, v in value.items() if k != "messages"}
            self._changes = None
        elif self._changes is not None:
            self._changes += event.delta
        else:
            self._document = _patched(self._document, event.delta)

    def parts(self) -> Iterator[events.Event]:
        """Yield the one event that is left."""
        if self._changes is None:
            yield events.StateSnapshot(snapshot=self._document)
        else:
            yield events.StateDelta(delta=list(self._changes))


class FoldedActivity:
    """What is shown of something that goes on: the last snapshot with the deltas folded in."""

    __slots__ = ("_document", "_snapshot")

    def __init__(self, snapshot: events.ActivitySnapshot) -> None:
        self._snapshot = snapshot
        self._document: Any = snapshot.content

    def change(self, event: events.ActivitySnapshot | events.ActivityDelta) -> None:
        """Take an event in; a change that does not fit changes nothing."""
        if isinstance(event, events.ActivityDelta):
            # A change that does not fit changes nothing, as at clients: it is no reason to lose the run.
            with suppress(JsonPatchError):
                self._document = apply_patch(self._document, event.patch)
        elif event.replace:
            self._snapshot, self._document = event, event.content

    def parts(self) -> Iterator[events.Event]:
        """Yield the one event that is left."""
        yield msgspec.structs.replace(self._snapshot, content=self._document)


CONTENT_OF: dict[type[events.Event], type[events.Event]] = {
    events.TextMessageStart: events.TextMessageContent,
    events.TextMessageEnd: events.TextMessageContent,
    events.ToolCallStart: events.ToolCallArgs,
    events.ToolCallEnd: events.ToolCallArgs,
    events.ReasoningMessageStart: events.ReasoningMessageContent,
    events.ReasoningMessageEnd: events.ReasoningMessageContent,
}
CONTENTS = tuple(dict.fromkeys(CONTENT_OF.values()))


def id_of(event: Start | Content | End) -> str:
    """Return the id of the message or the call that an event belongs to."""
    if isinstance(event, (events.ToolCallStart, events.ToolCallArgs, events.ToolCallEnd)):
        return event.tool_call_id
    return event.message_id


def _content_event(kind: type[events.Event], id_: str, text: str) -> events.Event:
    if kind is events.ToolCallArgs:
        return events.ToolCallArgs(tool_call_id=id_, delta=text)
    if kind is events.TextMessageContent:
        return events.TextMessageContent(message_id=id_, delta=text)
    return events.ReasoningMessageContent(message_id=id_, delta=text)

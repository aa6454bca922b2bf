"""Leave out what a run sends a second time because another process goes on with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec
from typing_extensions import override

from .. import events
from .continuation import Continuation, Key, ShownItem, key_of, renamed
from .stages import Emit, Stage


class _Buffered:
    """Something that begins as what was shown before does, for as long as it does."""

    def __init__(self, starts: list[events.Event], candidates: list[ShownItem]) -> None:
        self.starts = starts
        self.candidates = candidates
        self.length = 0
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """All that has come of it."""
        return "".join(self._pieces)

    def add(self, delta: str) -> list[ShownItem]:
        """Take more text; return the candidates that it rules out."""
        matching = [each for each in self.candidates if _goes_on(each, delta, self.length)]
        ruled_out = [each for each in self.candidates if each not in matching]
        self.candidates = matching
        self.length += len(delta)
        self._pieces.append(delta)
        return ruled_out

    def reached(self) -> ShownItem | None:
        """Return the open one whose whole text has been sent again, unless it may still be another one."""
        if any(len(each.text) > self.length or not each.open for each in self.candidates):
            return None
        return self.longest()

    def equal(self) -> ShownItem | None:
        """Return the one whose text has come again and no more; an open one, which may yet go on, comes last."""
        equal = (each for each in self.candidates if each.text == self.text)
        return min(equal, key=lambda each: each.open, default=None)

    def longest(self) -> ShownItem | None:
        """Return the open one of which most has been sent again, if all of one has."""
        whole = (each for each in self.candidates if each.open and len(each.text) <= self.length)
        return max(whole, key=lambda each: len(each.text), default=None)


class RepetitionStage(Stage):
    """Holds back what a node that runs again has sent before, and goes on where it broke off.

    A text, tool call or reasoning text is held back while it is what was shown before. If that broke off in the
    middle, the rest follows in the same message; if it was whole, it is left out. What turns out to be something else
    is shown as a message of its own, and what broke off in its place ends as broken.

    Args:
        emit: Where events go on to.
        past: What was shown before.
    """

    def __init__(self, emit: Emit, past: Continuation) -> None:
        super().__init__(emit)
        self._past = past
        self._expected = past.expected()
        self._steps = dict(past.steps)
        self._buffered: dict[Key, _Buffered] = {}
        self._known = set(past.shown)
        self._dropped: set[Key] = set()
        self._continued: dict[Key, ShownItem] = {}
        self._thoughts: dict[str, events.ReasoningStart] = {}

    @override
    async def feed(self, event: events.Event) -> None:
        """Take the next event."""
        feeder = self._FEEDERS.get(type(event))
        if feeder is None:
            await self.emit(event)
        else:
            await feeder(self, event)

    @override
    async def finish(self) -> None:
        """Close what broke off and was not sent again."""
        for each in self._past.shown.values():
            if each.open and not any(each is item for item in self._continued.values()):
                await self._close(each)
        for id_ in list(self._past.thinking):
            await self._stop_thinking(id_)
        for name in reversed(self._steps):
            await self.emit(events.StepFinished(step_name=name))
        self._steps.clear()

    async def _start(self, event: Any) -> None:
        key = key_of(event)
        starts: list[events.Event] = [event]
        thought = self._thoughts.pop(key[1], None) if key[0] is events.ReasoningMessageStart else None
        if thought is not None:
            starts.insert(0, thought)
        candidates = self._candidates(event, key)
        if key in self._known and not candidates:
            self._dropped.add(key)
        elif candidates:
            self._buffered[key] = _Buffered(starts, candidates)
        else:
            await self._pass_all(starts)

    def _candidates(self, event: Any, key: Key) -> list[ShownItem]:
        name = getattr(event, "tool_call_name", "")
        alike = [each for each in self._expected if each.kind is key[0] and each.name == name]
        return [each for each in alike if each.id == key[1]] if key in self._known else alike

    async def _content(self, event: Any) -> None:
        key = key_of(event)
        buffered, continued = self._buffered.get(key), self._continued.get(key)
        if buffered is not None:
            await self._compare(key, buffered, event.delta)
        elif continued is not None:
            await self.emit(renamed(event, continued.id))
        elif key not in self._dropped:
            await self.emit(event)

    async def _compare(self, key: Key, buffered: _Buffered, delta: str) -> None:
        ruled_out = buffered.add(delta)
        if not buffered.candidates:
            await self._show(key, buffered, ruled_out)
            return
        item = buffered.reached()
        if item is not None:
            self._match(key, item)
            self._continued[key] = item
            rest = buffered.text[len(item.text) :]
            if rest:
                await self.emit(item.content(rest))

    async def _show(self, key: Key, buffered: _Buffered, ruled_out: list[ShownItem]) -> None:
        """Show what is something else; what broke off where it was expected has broken off for good."""
        del self._buffered[key]
        left = next((each for each in ruled_out if each.open), None)
        if left is not None:
            await self._close(left)
        shown = ShownItem(key[0], key[1])
        if key in self._known:
            shown.id = self._past.aliases[key[1]] = f"{key[1]}-again"
            self._continued[key] = shown
        await self._pass_all([renamed(event, shown.id) for event in buffered.starts])
        if buffered.length:
            await self.emit(shown.content(buffered.text))

    async def _end(self, event: Any) -> None:
        key = key_of(event)
        buffered, continued = self._buffered.get(key), self._continued.pop(key, None)
        if buffered is not None:
            await self._end_buffered(key, buffered, event)
        elif continued is not None:
            continued.open = False
            await self.emit(renamed(event, continued.id))
        elif key in self._dropped:
            self._dropped.discard(key)
        else:
            await self.emit(event)

    async def _end_buffered(self, key: Key, buffered: _Buffered, event: Any) -> None:
        text = buffered.text
        less = buffered.candidates[0] if text and buffered.candidates else None
        item = buffered.equal() or buffered.longest() or less
        if item is None:
            await self._show(key, buffered, buffered.candidates)
            await self._end(event)
            return
        self._match(key, item)
        if item.open:
            item.open = False
            rest = text[len(item.text) :]
            if rest:
                await self.emit(item.content(rest))
            await self.emit(item.end(broken=getattr(event, "broken", False)))

    def _match(self, key: Key, item: ShownItem) -> None:
        self._buffered.pop(key, None)
        self._expected.remove(item)
        for other in self._buffered.values():
            other.candidates = [each for each in other.candidates if each is not item]
        if item.id != key[1]:
            self._past.aliases[key[1]] = item.id

    async def _close(self, item: ShownItem) -> None:
        item.open = False
        await self.emit(item.end(broken=True))
        if item.kind is events.ReasoningMessageStart and item.id in self._past.thinking:
            await self._stop_thinking(item.id)

    async def _stop_thinking(self, id_: str) -> None:
        del self._past.thinking[id_]
        await self.emit(events.ReasoningEnd(message_id=id_))

    async def _result(self, event: events.ToolCallResult) -> None:
        call_id = self._past.aliases.get(event.tool_call_id, event.tool_call_id)
        if call_id not in self._past.answered:
            self._past.answered.add(call_id)
            await self.emit(event if call_id == event.tool_call_id else renamed(event, call_id))

    async def _step_started(self, event: events.StepStarted) -> None:
        if event.step_name in self._steps:
            del self._steps[event.step_name]
        else:
            await self.emit(event)

    async def _thought_began(self, event: events.ReasoningStart) -> None:
        if any(each.kind is events.ReasoningMessageStart for each in self._expected):
            self._thoughts[event.message_id] = event
        else:
            await self.emit(event)

    async def _thought_ended(self, event: events.ReasoningEnd) -> None:
        thought = self._thoughts.pop(event.message_id, None)
        if thought is not None:
            await self.emit(thought)
        old = self._past.aliases.get(event.message_id, event.message_id)
        if (events.ReasoningMessageStart, old) not in self._past.shown:
            await self.emit(event)
        elif old in self._past.thinking:
            await self._stop_thinking(old)

    async def _custom(self, event: events.Custom) -> None:
        if not self._past.repeats(event):
            await self.emit(event)

    async def _messages(self, event: events.MessagesSnapshot) -> None:
        aliases = self._past.aliases
        messages = [_under(message, aliases) for message in event.messages] if aliases else event.messages
        await self.emit(events.MessagesSnapshot(messages=messages))

    async def _pass_all(self, starts: list[events.Event]) -> None:
        for event in starts:
            parent = getattr(event, "parent_message_id", None)
            old = self._past.aliases.get(parent or "")
            await self.emit(event if old is None else msgspec.structs.replace(event, parent_message_id=old))

    _FEEDERS: ClassVar[dict[type, Callable[[Any, Any], Any]]] = {
        events.TextMessageStart: _start,
        events.ToolCallStart: _start,
        events.ReasoningMessageStart: _start,
        events.TextMessageContent: _content,
        events.ToolCallArgs: _content,
        events.ReasoningMessageContent: _content,
        events.TextMessageEnd: _end,
        events.ToolCallEnd: _end,
        events.ReasoningMessageEnd: _end,
        events.ToolCallResult: _result,
        events.StepStarted: _step_started,
        events.ReasoningStart: _thought_began,
        events.ReasoningEnd: _thought_ended,
        events.Custom: _custom,
        events.MessagesSnapshot: _messages,
    }


def _goes_on(item: ShownItem, delta: str, before: int) -> bool:
    """Return whether what was shown before has ``delta`` behind its first characters, or broke off within it."""
    overlap = item.text[before : before + len(delta)]
    return delta.startswith(overlap) and (len(overlap) == len(delta) or item.open)


def _under(message: Any, aliases: Mapping[str, str]) -> Any:
    """Return an AG-UI message under the ids that were shown."""
    if not isinstance(message, dict):
        return message
    changes: dict[str, Any] = {
        name: aliases[message[name]] for name in ("id", "toolCallId") if message.get(name) in aliases
    }
    calls = message.get("toolCalls")
    if isinstance(calls, list):
        changes["toolCalls"] = [{**call, "id": aliases.get(call["id"], call["id"])} for call in calls]
    return {**message, **changes}

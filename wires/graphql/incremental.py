"""Path-addressed incremental entries: the form that the published clients read (docs/contract.md, section 2).

An entry is ``{"items" | "data", "path", "label"?}``. A parent's entry comes before its children's, an element of a
list before the next one; neighbouring leaves of a list share an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import count as counter
from operator import attrgetter
from typing import Any, Protocol, TypeAlias

from graphql.execution.collect_fields import FieldDetails

from .response import PENDING, Channel, MessageOutput
from .selection import DeferredFragment, SelectedField, SelectionReader, Shape

Entry: TypeAlias = dict[str, Any]
ResponsePath: TypeAlias = list[str | int]


_rereads, _number = attrgetter("rereads"), attrgetter("number")


class _Follower(Protocol):
    number: int
    """Its place among all that followed: parts are written in that order."""

    @property
    def rereads(self) -> bool:
        """Whether lists that others have written may be part of what is still to come."""

    @property
    def sleeps_until(self) -> Channel[Any] | None:
        """The open list without a change of which nothing more can become ready; None if there is none."""

    def advance(self, entries: list[Entry]) -> bool:
        """Add what has become ready to ``entries``; true once nothing can follow."""


class IncrementalRenderer:
    """Writes an answer's parts as they become ready, for one operation's selections.

    Args:
        selections: What the operation selects.
    """

    __slots__ = (
        "_asleep",
        "_asleep_reread",
        "_awake",
        "_counts_elements",
        "_has_new_followers",
        "_numbers",
        "_selections",
    )

    def __init__(self, selections: SelectionReader) -> None:
        self._selections = selections
        self._numbers = counter()
        self._awake: list[_Follower] = []
        self._asleep: dict[Channel[Any] | None, list[_Follower]] = {}
        """What can only go on with an open text, by the text: it is not looked at for anything else."""
        self._asleep_reread = 0
        """How many of them may write once more what others have written."""
        self._has_new_followers = False
        self._counts_elements = False
        """Whether some part waits for the first elements of a list, so that one more of them may complete it."""

    @property
    def has_next(self) -> bool:
        """Whether more will follow."""
        return bool(self._awake or self._asleep)

    def advance(self, changed: Collection[Channel[Any] | None]) -> list[Entry]:
        """Return the entries that have become ready since the last call, in order.

        Args:
            changed: The texts that went on or ended since then, and ``ANSWER`` if that did; None if anything may have.
        """
        entries: list[Entry] = []
        if None in changed or self._counts_elements:
            self._look_at([*self._awake, *self._wake(list(self._asleep))], entries)
        elif self._has_new_followers or any(channel is not None and channel.closed for channel in changed):
            self._look_at([*self._awake, *self._wake(changed)], entries)
        else:
            for channel in changed:
                for leaves in self._leaves_of(channel):
                    leaves.advance(entries)
        return entries

    def leaves_of(self, channel: Channel[Any] | None) -> StreamedLeaves | None:
        """Return what writes a list's further leaves, if they can complete nothing else and are written once."""
        leaves = self._leaves_of(channel)
        if len(leaves) != 1 or self._has_new_followers or self._counts_elements:
            return None
        return leaves[0]

    @property
    def rereads(self) -> bool:
        """Whether what has been written of a list may be written once more, in another place."""
        return self._asleep_reread > 0 or any(map(_rereads, self._awake))

    def _leaves_of(self, channel: Channel[Any] | None) -> list[StreamedLeaves]:
        return [each for each in self._asleep.get(channel, ()) if isinstance(each, StreamedLeaves)]

    def _wake(self, channels: Collection[Channel[Any] | None]) -> list[_Follower]:
        woken = [follower for channel in channels for follower in self._asleep.pop(channel, ())]
        for follower in woken:
            self._asleep_reread -= follower.rereads
        return woken

    def _look_at(self, followers: list[_Follower], entries: list[Entry]) -> None:
        # A part that is written appends its own followers, so this loop reaches them too, behind their parent.
        self._awake = sorted(followers, key=_number)
        kept: list[_Follower] = []
        for follower in self._awake:
            if follower.advance(entries):
                continue
            channel = follower.sleeps_until
            if channel is None:
                kept.append(follower)
            else:
                self._asleep.setdefault(channel, []).append(follower)
                self._asleep_reread += follower.rereads
        self._awake = kept
        self._has_new_followers = False

    def _follow(self, *followers: _Follower) -> None:
        for follower in followers:
            follower.number = next(self._numbers)
        self._awake += followers
        self._has_new_followers = True

    def ready(self, shape: Shape, value: Any, details: list[FieldDetails]) -> bool:
        """Return whether ``value`` can be written: nothing of it that may not follow is still to come."""
        if value is PENDING:
            return False
        if value is None or shape.serialize is not None:
            return True
        if shape.item is not None:
            items, closed = (value.items, value.closed) if isinstance(value, Channel) else (value, True)
            return closed and all(self.ready(shape.item, item, details) for item in items)
        return self.fields_ready(value, self._selections.selection(shape, value, details).fields)

    def write(self, shape: Shape, value: Any, details: list[FieldDetails], path: ResponsePath) -> Any:
        """Return a ready value as JSON data; what may follow it is remembered."""
        if value is None:
            return None
        if shape.serialize is not None:
            return shape.serialize(value)
        if shape.item is not None:
            return [self.write(shape.item, item, details, [*path, i]) for i, item in enumerate(value)]
        selection = self._selections.selection(shape, value, details)
        data = self.write_fields(value, selection.fields, path)
        if selection.deferred:
            self._follow(*(_Deferred(self, value, fragment, path) for fragment in selection.deferred))
        return data

    def write_fields(self, value: Any, fields: list[SelectedField], path: ResponsePath) -> dict[str, Any]:
        """Return some fields of an object as JSON data."""
        data = {}
        for field in fields:
            given, serialize = field.read(value), field.shape.serialize
            if serialize is None or given is None:
                data[field.key] = self._write_field(field, given, [*path, field.key])
            else:
                data[field.key] = serialize(given)
        return data

    def fields_ready(self, value: Any, fields: list[SelectedField]) -> bool:
        """Return whether some fields of an object can be written."""
        for field in fields:
            given = field.read(value)
            if given is PENDING or (field.shape.serialize is None and not self._field_ready(field, given)):
                return False
        return True

    def _field_ready(self, field: SelectedField, value: Any) -> bool:
        if field.stream is None or value is None:
            return self.ready(field.shape, value, field.details)
        count = field.stream.initial_count
        if not count:
            return True
        self._counts_elements = True
        first = list(value)[:count]
        complete = len(first) == count or not isinstance(value, Channel) or value.closed
        return complete and all(self.ready(_item(field), item, field.details) for item in first)

    def _write_field(self, field: SelectedField, value: Any, path: ResponsePath) -> Any:
        if field.stream is None or value is None:
            return self.write(field.shape, value, field.details, path)
        channel = value if isinstance(value, Channel) else Channel.of(*value)
        count = min(field.stream.initial_count, len(channel))
        shape = _item(field)
        first = [self.write(shape, channel.items[i], field.details, [*path, i]) for i in range(count)]
        follower = StreamedLeaves if shape.serialize is not None else _Objects
        self._follow(follower(self, field, channel, path, count))
        return first


class _Deferred:
    __slots__ = ("_fragment", "_path", "_renderer", "_value", "number", "rereads")

    def __init__(
        self, renderer: IncrementalRenderer, value: Any, fragment: DeferredFragment, path: ResponsePath
    ) -> None:
        self._renderer = renderer
        self._value = value
        self._fragment = fragment
        self._path = path
        self.rereads = fragment.has_lists
        self.number = 0

    @property
    def sleeps_until(self) -> Channel[Any] | None:
        """What the message comes in, while it is open: it becomes ready when it ends."""
        value = self._value
        return value.pieces if isinstance(value, MessageOutput) and value.status is PENDING else None

    def advance(self, entries: list[Entry]) -> bool:
        fields = self._fragment.fields
        if not self._renderer.fields_ready(self._value, fields):
            return False
        data = self._renderer.write_fields(self._value, fields, self._path)
        entries.append(_entry("data", data, self._path, self._fragment.label))
        return True


class _Stream:
    __slots__ = ("_details", "_item", "_renderer", "channel", "label", "number", "path", "written")

    def __init__(
        self,
        renderer: IncrementalRenderer,
        field: SelectedField,
        channel: Channel[Any],
        path: ResponsePath,
        written: int,
    ) -> None:
        self._renderer = renderer
        self._details = field.details
        self._item = _item(field)
        self.label = field.stream.label if field.stream is not None else None
        self.channel = channel
        self.path = path
        self.written = written
        """How many elements have been written."""
        self.number = 0

    def _done(self) -> bool:
        return self.channel.closed and self.written == self.channel.count


class StreamedLeaves(_Stream):
    """The leaves of a list, those that come together in one entry."""

    __slots__ = ()

    rereads = False

    @property
    def sleeps_until(self) -> Channel[Any]:
        """The list."""
        return self.channel

    @property
    def serialize(self) -> Callable[[Any], Any] | None:
        """What makes a leaf's JSON value."""
        return self._item.serialize

    def advance(self, entries: list[Entry]) -> bool:
        """Add what has come to ``entries``; true once nothing can follow."""
        channel = self.channel
        if channel.count > self.written:
            items = channel.items[self.written - channel.dropped :]
            fresh = [self._renderer.write(self._item, item, self._details, self.path) for item in items]
            entries.append(_entry("items", fresh, [*self.path, self.written], self.label))
            self.written = channel.count
        return self._done()


class _Objects(_Stream):
    __slots__ = ()

    sleeps_until = None

    @property
    def rereads(self) -> bool:
        """Whether there are objects that have not been written, of which others may have written a part."""
        return self.written < len(self.channel.items)

    def advance(self, entries: list[Entry]) -> bool:
        for item in self.channel.items[self.written :]:
            if not self._renderer.ready(self._item, item, self._details):
                return False
            path = [*self.path, self.written]
            data = self._renderer.write(self._item, item, self._details, path)
            entries.append(_entry("items", [data], path, self.label))
            self.written += 1
        return self._done()


def _entry(kind: str, value: Any, path: ResponsePath, label: str | None) -> Entry:
    entry = {kind: value, "path": path}
    return entry if label is None else {**entry, "label": label}


def _item(field: SelectedField) -> Shape:
    if field.shape.item is None:
        raise TypeError(f"{field.key} is not a list")
    return field.shape.item

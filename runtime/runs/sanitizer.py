"""A run's events made fit for JSON and UTF-8, once, before the transcript, the log, the store and every wire."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import structlog

from .. import events
from ..json_text import MAX_EVENT_NESTING, nests_deeper, scrub
from .message_ids import MessageIds

log = structlog.get_logger(__name__)

_TEXTS = (events.TextMessageContent, events.ToolCallArgs, events.ReasoningMessageContent)
_REPLACEMENT = "\ufffd"
_encode = msgspec.json.Encoder().encode


class EventSanitizer:
    """Cleans one run's events.

    Half a surrogate pair becomes U+FFFD, unless its other half comes with the next piece of the same text. What JSON
    lacks is left out of states and other values, with a line in the log. Messages get ids that are used once.
    """

    __slots__ = ("_halves", "ids", "sees_all")

    def __init__(self) -> None:
        self.ids = MessageIds()
        self.sees_all = False
        """Whether even plain text must be cleaned: an id was not clean, or half a character waits for its other."""
        self._halves: dict[tuple[type, str], str] = {}

    def leaves(self, event: Any) -> bool:
        """Return whether an event is plain text, nearly all that comes, which is clean as it is."""
        return type(event) is events.TextMessageContent and not self.sees_all and event.delta.isascii()

    def clean(self, event: Any) -> Any:
        """Return ``event``, or a clean copy of it."""
        if not isinstance(event, msgspec.Struct):
            return event  # which the verifier will see
        event = self.ids.named(event)
        self.sees_all = self.sees_all or self.ids.renames
        if type(event) in _TEXTS:
            return self._clean_text(event)
        event = _with_texts(event)
        try:
            encoded = _encode(event)
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError, OverflowError):
            return self._cleaned(event)
        return self._cleaned(event) if _nests_too_deep(event, encoded) else event

    def _clean_text(self, event: Any) -> events.Event:
        if event.delta.isascii() and not self.sees_all:
            return event  # type: ignore[no-any-return]
        id_ = event.tool_call_id if type(event) is events.ToolCallArgs else event.message_id
        key = (type(event), id_)
        text = self._halves.pop(key, "") + event.delta
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._halves[key], text = text[-1], text[:-1]
            self.sees_all = True
        clean = msgspec.structs.replace(event, delta=scrub(text))
        return clean if id_.isascii() else self._cleaned(clean)

    def _cleaned(self, event: Any) -> events.Event:
        self.sees_all = True
        left_out: list[str] = []
        changes = {}
        for name in event.__struct_fields__:
            value = _fit(getattr(event, name), name, left_out, MAX_EVENT_NESTING)
            changes[name] = None if value is _UNFIT else value
        if left_out:
            log.warning("values_left_out", event_type=type(event).__name__, paths=left_out[:20])
        return type(event)(**changes)  # type: ignore[no-any-return]

    def closing(self, event: events.Event) -> events.Event | None:
        """Return what must come before ``event``, the end of a text whose last character never became whole."""
        if isinstance(event, events.TextMessageEnd | events.ReasoningMessageEnd):
            kind, id_ = _CONTENT_OF[type(event)], event.message_id
        elif isinstance(event, events.ToolCallEnd):
            kind, id_ = events.ToolCallArgs, event.tool_call_id
        else:
            return None
        if self._halves.pop((kind, id_), None) is None:
            return None
        field = "tool_call_id" if kind is events.ToolCallArgs else "message_id"
        return kind(**{field: scrub(id_), "delta": _REPLACEMENT})  # type: ignore[no-any-return]


@lru_cache(maxsize=64)
def _text_fields(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Return the names of an event's texts, each with the type or types that it may have."""
    fields = ((field.name, field.type) for field in msgspec.structs.fields(kind))
    return tuple((name, type_) for name, type_ in fields if type_ in (str, str | None))


def _with_texts(event: Any) -> Any:
    """Return ``event`` with a text wherever there must be one: an agent's result is often its value instead."""
    kind: Any = type(event)
    wrong = [name for name, type_ in _text_fields(kind) if not isinstance(getattr(event, name), type_)]
    if not wrong:
        return event
    left_out: list[str] = []
    fit = {name: _fit(getattr(event, name), name, left_out, MAX_EVENT_NESTING) for name in wrong}
    texts = {name: "" if value is _UNFIT or value is None else _text(value) for name, value in fit.items()}
    return msgspec.structs.replace(event, **texts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _encode(value).decode()


def _nests_too_deep(event: Any, encoded: bytes) -> bool:
    if encoded.count(b"{") + encoded.count(b"[") <= MAX_EVENT_NESTING:
        return False
    return any(nests_deeper(getattr(event, name), MAX_EVENT_NESTING) for name in event.__struct_fields__)


_CONTENT_OF: dict[type, Any] = {
    events.TextMessageEnd: events.TextMessageContent,
    events.ReasoningMessageEnd: events.ReasoningMessageContent,
}


class _Unfit:
    """The type of what JSON has no place for."""


_UNFIT = _Unfit()


def _fit(value: Any, path: str, left_out: list[str], depth: int) -> Any:
    """Return ``value`` as JSON can have it; ``_UNFIT`` if it cannot, with its path noted."""
    if isinstance(value, str):
        return scrub(str(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth == 0:
        left_out.append(path)
        return _UNFIT
    if isinstance(value, dict):
        items = ((_key(key), _fit(item, f"{path}.{key!s:.40}", left_out, depth - 1)) for key, item in value.items())
        return {key: item for key, item in items if item is not _UNFIT}
    if isinstance(value, list | tuple | set | frozenset):
        entries = (_fit(item, f"{path}[{index}]", left_out, depth - 1) for index, item in enumerate(value))
        return [entry for entry in entries if entry is not _UNFIT]
    try:
        return _fit(msgspec.to_builtins(_dumped(value), str_keys=True), path, left_out, depth - 1)
    except Exception:  # noqa: BLE001 - an agent's own object may raise whatever it likes when it is looked at
        left_out.append(path)
        return _UNFIT


def _key(key: Any) -> str:
    return scrub(key if isinstance(key, str) else str(key))


def _dumped(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else value

"""A stream of parts as the published client sees it: its GraphQL library's merge, then its conversion."""

from __future__ import annotations

import copy
import json
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PENDING = {"code": "Pending"}


class FoldError(ValueError):
    """A part cannot be merged: it comes before its parent, or leaves a gap in a list."""


def fold(parts: Iterable[Any]) -> Any:
    """The ``generateCopilotResponse`` object after the last part, or None if there never is one.

    Raises:
        FoldError: A part names a place that is not there yet.
    """
    last = deque(_folding(parts), maxlen=1)
    return last.pop() if last else None


def states(parts: Iterable[Any]) -> Iterator[Any]:
    """The same after each part.

    Raises:
        FoldError: As ``fold``.
    """
    return (copy.deepcopy(response) for response in _folding(parts))


def _folding(parts: Iterable[Any]) -> Iterator[Any]:
    data: Any = None
    for part in parts:
        if "data" in part:
            data = copy.deepcopy(part["data"])
        for entry in part.get("incremental", ()):
            _merge_entry(data, entry)
        if data is not None:
            yield data["generateCopilotResponse"]


def _merge_entry(data: Any, entry: dict[str, Any]) -> None:
    *parents, last = entry["path"]
    place = data
    for key in parents:
        place = _child(place, key, entry["path"])
    if "items" in entry:
        _extend(place, last, entry)
    else:
        _deep_merge(_child(place, last, entry["path"]), entry["data"])


def _child(place: Any, key: str | int, path: list[str | int]) -> Any:
    try:
        return place[key]
    except (KeyError, IndexError, TypeError) as error:
        raise FoldError(f"{path} comes before its parent") from error


def _extend(place: Any, index: int, entry: dict[str, Any]) -> None:
    if not isinstance(place, list) or index != len(place):
        raise FoldError(f"{entry['path']} does not continue a list of {len(place)}")
    if entry["items"] is None:
        raise FoldError(f"{entry['path']} failed: {entry.get('errors')}")
    place.extend(copy.deepcopy(entry["items"]))


def _deep_merge(target: dict[str, Any], source: dict[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _deep_merge(target[key], value)
        else:
            target[key] = value


def view(response: dict[str, Any]) -> dict[str, Any]:
    """What the page is shown of a response: messages as the client converts them, and what else it reads."""
    return {
        "threadId": response["threadId"],
        "runId": response["runId"],
        "extensions": response["extensions"],
        "status": response.get("status", PENDING),
        "messages": [_message(message) for message in _newest_states(response["messages"])],
        "metaEvents": response["metaEvents"],
    }


def _newest_states(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: dict[Any, dict[str, Any]] = {}
    for index, message in enumerate(messages):
        is_state = message["__typename"] == "AgentStateMessageOutput"
        kept[message["agentName"] if is_state else index] = message
    return list(kept.values())


def _message(message: dict[str, Any]) -> dict[str, Any]:
    shown = {"status": PENDING, **message}
    del shown["createdAt"]
    match message["__typename"]:
        case "TextMessageOutput":
            shown["content"] = "".join(message["content"])
        case "ActionExecutionMessageOutput":
            shown["arguments"] = "".join(message["arguments"])
        case "AgentStateMessageOutput":
            shown["state"] = json.loads(message["state"])
    return shown


def shrinks(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether a message, or a text in one, that was there before is gone, shorter or another."""
    old, new = before["messages"], after["messages"]
    if len(new) < len(old):
        return True
    return any(not _continues(earlier, later) for earlier, later in zip(old, new, strict=False))


def _continues(earlier: dict[str, Any], later: dict[str, Any]) -> bool:
    return all(_continues_value(value, later.get(key)) for key, value in earlier.items())


def _continues_value(earlier: Any, later: Any) -> bool:
    if isinstance(earlier, list):
        return isinstance(later, list) and later[: len(earlier)] == earlier
    return bool(earlier == later)

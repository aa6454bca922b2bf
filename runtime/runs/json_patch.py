"""JSON Patch (RFC 6902), strictly: what a patch touches is copied, all else is shared with the document before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ..json_text import MAX_EVENT_NESTING, items_of, nests_deeper

_INDEX = re.compile(r"0|[1-9][0-9]*")
_END = "-"
_BAD_ESCAPE = re.compile(r"~(?![01])")

COPIED_VALUES_BOUND = 100_000
"""How many values one ``copy`` may repeat: a document that is copied into itself again and again doubles each time."""
MOVED_VALUES_BOUND = 1_000_000
"""How many values a patch may copy and move: it takes few words to do so with all of a document, again and again."""
SHIFTED_ITEMS_BOUND = 100_000_000
"""How many items of lists a patch may push along, by what it puts in front of them or takes from there."""

Path: TypeAlias = list[str]


class JsonPatchError(ValueError):
    """A patch is malformed, or does not fit the document."""


def apply_patch(document: Any, patch: Any) -> Any:
    """Apply a patch as a whole, or not at all.

    Args:
        document: A JSON value. It is left as it is; the result shares the parts that the patch does not touch.
        patch: The operations.

    Returns:
        The patched document.

    Raises:
        JsonPatchError: An operation is malformed or does not fit; a ``test`` failed.
    """
    if not isinstance(patch, Sequence) or isinstance(patch, str | bytes):
        raise JsonPatchError("A patch is a list of operations.")
    copy = _Copy(document)
    for operation in patch:
        _operate(copy, operation)
    return copy.root


class _Copy:
    """A copy of a document that is made as it is written to: a container is copied before its first change.

    Args:
        root: The document.
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        self._own: dict[int, Any] = {}
        self._moved = self._shifted = 0

    def get(self, path: Path) -> Any:
        """Return the value at a path."""
        value = self.root
        for token in path:
            value = value[_key(value, token)]
        return value

    def set(self, path: Path, value: Any, *, insert: bool) -> None:
        """Put a value at a path: ``insert`` makes room in a list, or a new member; else the place must exist."""
        if nests_deeper(value, MAX_EVENT_NESTING - len(path)):
            raise JsonPatchError("A value would lie or nest too deep.")
        if not path:
            self.root = value
            return
        container = self._writable(path[:-1])
        key = _key(container, path[-1], insert=insert)
        if insert and isinstance(container, list):
            self._shift(container, key)
            container.insert(key, value)
        else:
            container[key] = value

    def remove(self, path: Path) -> Any:
        """Take the value at a path out, and return it."""
        if not path:
            raise JsonPatchError("The whole document cannot be removed.")
        container = self._writable(path[:-1])
        key = _key(container, path[-1])
        if isinstance(container, list):
            self._shift(container, key)
        return container.pop(key)

    def count(self, value: Any, most: int = MOVED_VALUES_BOUND) -> Any:
        """Return ``value``, which is copied or moved.

        Raises:
            JsonPatchError: It holds more than ``most`` values, or all that the patch copies and moves are too many.
        """
        number = _size(value, most)
        self._moved += number
        if number > most or self._moved > MOVED_VALUES_BOUND:
            raise JsonPatchError("A value is too large to be copied or moved.")
        return value

    def _shift(self, container: list[Any], place: int) -> None:
        self._shifted += len(container) - place
        if self._shifted > SHIFTED_ITEMS_BOUND:
            raise JsonPatchError("A patch changes the beginning of lists too often.")

    def _writable(self, path: Path) -> Any:
        self.root = container = self._owned(self.root)
        for token in path:
            key = _key(container, token)
            container[key] = container = self._owned(container[key])
        return container

    def _owned(self, value: Any) -> Any:
        if id(value) in self._own or not isinstance(value, dict | list):
            return value
        copied = value.copy()
        self._own[id(copied)] = copied
        return copied


def _operate(copy: _Copy, operation: Any) -> None:
    if not isinstance(operation, Mapping):
        raise JsonPatchError("An operation is an object.")
    name = operation.get("op")
    work = _OPERATIONS.get(name) if isinstance(name, str) else None
    if work is None:
        raise JsonPatchError("An operation is one of add, remove, replace, move, copy and test.")
    work(copy, operation, _path(operation, "path"))


def _add(copy: _Copy, operation: Mapping[str, Any], path: Path) -> None:
    copy.set(path, _value(operation), insert=True)


def _remove(copy: _Copy, _operation: Mapping[str, Any], path: Path) -> None:
    copy.remove(path)


def _replace(copy: _Copy, operation: Mapping[str, Any], path: Path) -> None:
    copy.set(path, _value(operation), insert=False)


def _move(copy: _Copy, operation: Mapping[str, Any], path: Path) -> None:
    source = _path(operation, "from")
    if source == path:
        copy.get(path)
    elif path[: len(source)] == source:
        raise JsonPatchError("A value cannot be moved into itself.")
    else:
        copy.set(path, copy.count(copy.remove(source)), insert=True)


def _duplicate(copy: _Copy, operation: Mapping[str, Any], path: Path) -> None:
    value = copy.get(_path(operation, "from"))
    copy.set(path, copy.count(value, COPIED_VALUES_BOUND), insert=True)


def _test(copy: _Copy, operation: Mapping[str, Any], path: Path) -> None:
    if not _equal(copy.get(path), _value(operation)):
        raise JsonPatchError("A test failed.")


_OPERATIONS: dict[str, Callable[[_Copy, Mapping[str, Any], Path], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _duplicate,
    "test": _test,
}


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise JsonPatchError("An operation lacks its value.")
    return operation["value"]


def _path(operation: Mapping[str, Any], name: str) -> Path:
    pointer = operation.get(name)
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")) or _BAD_ESCAPE.search(pointer):
        raise JsonPatchError(f"An operation's {name} is not a JSON Pointer.")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _key(container: Any, token: str, *, insert: bool = False) -> Any:
    """Return what ``token`` selects in a container: a member's name or an index. It must exist, or be made."""
    if isinstance(container, dict):
        if not insert and token not in container:
            raise JsonPatchError("A path leads to a member that does not exist.")
        return token
    if not isinstance(container, list):
        raise JsonPatchError("A path leads through a value that has no members.")
    length = len(container)
    if insert and token == _END:
        return length
    # A longer number than any length has is not converted: that takes time.
    if not _INDEX.fullmatch(token) or len(token) > len(str(length)) or int(token) >= length + insert:
        raise JsonPatchError("A path leads to an index that does not exist.")
    return int(token)


def _size(value: Any, most: int) -> int:
    """Return how many values there are in a value; something beyond ``most`` if they are more."""
    waiting, seen = [value], 0
    while waiting and seen + len(waiting) <= most:
        one = waiting.pop()
        waiting += items_of(one) if isinstance(one, dict | list) else ()
        seen += 1
    return seen + len(waiting)


def _equal(left: Any, right: Any) -> bool:
    """Compare as JSON does: ``true`` is not 1, and 1 is 1.0. Nesting takes no stack."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pairs += [(one[name], other[name]) for name in one]
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif isinstance(one, bool) is not isinstance(other, bool) or one != other:
            return False
    return True

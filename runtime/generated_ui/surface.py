"""An A2UI surface, from the arguments of the call that draws it and while they stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..predictions import PartialArguments

Operation: TypeAlias = dict[str, Any]

OPERATIONS = "a2ui_operations"
VERSION = "v0.9"
ROOT = "root"
GROWTH = 8
"""Of a list that streams, a longer part is shown when it grew by this share: all that is sent stays linear in it."""

_KINDS = ("createSurface", "updateComponents", "updateDataModel", "deleteSurface")


class SurfaceError(ValueError):
    """The arguments of a call are no surface."""


class SurfaceDrawing:
    """Reads the arguments of one call as they come, and returns what is to be drawn by then.

    Components are drawn once all of them are there, because some refer to others; of a list that they repeat for, the
    entries that are complete.

    Args:
        catalog_id: The catalog that the surface is bound to.
        max_bytes: How long the arguments may be.
    """

    def __init__(self, catalog_id: str, max_bytes: int) -> None:
        self.surface_id: str | None = None
        """The surface, once something of it has been drawn."""
        self._catalog_id = catalog_id
        self._left = max_bytes
        self._arguments = PartialArguments()
        self._read: dict[str, Any] = {}
        self._components: list[dict[str, Any]] | None = None
        self._shown_entries = 0
        self._shown_data: Any = None

    def append(self, delta: str) -> list[Operation] | None:
        """Take the arguments that follow; return all operations so far if there is something new to draw.

        Raises:
            SurfaceError: They are too long, or no surface.
        """
        self._left -= len(delta)
        if self._left < 0:
            raise SurfaceError("The surface is too large.")
        self._arguments.append(delta)
        arguments = self._arguments.read_grown()
        return None if arguments is None else self._draw(arguments, complete=False)

    def finish(self) -> list[Operation] | None:
        """Return all operations if there is something new to draw: the arguments are complete.

        Raises:
            SurfaceError: They are no surface.
        """
        drawn = self._draw(self._arguments.read_rest() or self._read, complete=True)
        if self.surface_id is None:
            raise SurfaceError(
                "The surface has no surfaceId." if self._components else "The surface has no components."
            )
        return drawn

    def _draw(self, arguments: dict[str, Any], *, complete: bool) -> list[Operation] | None:
        self._read = arguments
        whole = arguments if complete else _without_last(arguments)
        if self._components is None and "components" in whole:
            self._components = _checked(whole["components"])
        id_ = whole.get("surfaceId")
        if self._components is None or not isinstance(id_, str) or not id_:
            return None
        data, grown = self._data(arguments, complete="data" in whole)
        if self.surface_id is not None and not grown:
            return None
        self.surface_id = id_
        return list(self._operations(id_, data))

    def _data(self, arguments: Mapping[str, Any], *, complete: bool) -> tuple[Any, bool]:
        """Return the data as far as they can be shown, and whether they are more than those shown before."""
        data = arguments.get("data")
        if not isinstance(data, dict):
            return None, False
        if complete:
            grown, self._shown_data = data != self._shown_data, data
            return data, grown
        key = _repeated_key(self._components or ())
        entries = _complete_entries(data, key)
        if len(entries) <= self._shown_entries + self._shown_entries // GROWTH:
            return self._shown_data, False
        self._shown_entries, self._shown_data = len(entries), {key: entries}
        return self._shown_data, True

    def _operations(self, surface_id: str, data: Any) -> Iterator[Operation]:
        yield _operation("createSurface", surfaceId=surface_id, catalogId=self._catalog_id)
        yield _operation("updateComponents", surfaceId=surface_id, components=self._components)
        if data:
            yield _operation("updateDataModel", surfaceId=surface_id, path="/", value=data)


def surface_of(operation: Operation) -> str | None:
    """Return the surface that an operation is for, if it names one."""
    for kind in _KINDS:
        about = operation.get(kind)
        if isinstance(about, dict) and isinstance(about.get("surfaceId"), str):
            return str(about["surfaceId"])
    return None


def _operation(kind: str, **about: Any) -> Operation:
    return {"version": VERSION, kind: about}


def _without_last(arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave out the value that is still being written."""
    whole = dict(arguments)
    if whole:
        whole.popitem()
    return whole


def _checked(components: Any) -> list[dict[str, Any]]:
    if not isinstance(components, list) or not components:
        raise SurfaceError("The surface has no components.")
    ids: set[str] = set()
    for place, component in enumerate(components):
        if not isinstance(component, dict) or not _is_text(component.get("component")):
            raise SurfaceError(f"components[{place}] has no type in 'component'.")
        id_ = component.get("id")
        if not isinstance(id_, str) or not id_ or id_ in ids:
            raise SurfaceError(f"components[{place}] has no id of its own.")
        ids.add(id_)
    if ROOT not in ids:
        raise SurfaceError(f"No component has the id '{ROOT}'.")
    missing = next((child for component in components for child in _children(component) if child not in ids), None)
    if missing is not None:
        raise SurfaceError(f"Unknown component '{missing[:100]}'.")
    return components


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _children(component: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the components that one contains."""
    children = component.get("children")
    if isinstance(children, dict):
        children = [children.get("componentId")]
    for child in (*(children if isinstance(children, list) else ()), component.get("child")):
        if isinstance(child, str):
            yield child


def _repeated_key(components: Sequence[Mapping[str, Any]]) -> str:
    """Return the key of the list that components are repeated for."""
    for component in components:
        children = component.get("children")
        path = children.get("path") if isinstance(children, dict) else None
        if isinstance(path, str) and path.strip("/"):
            return path.strip("/")
    return "items"


def _complete_entries(data: dict[str, Any], key: str) -> list[Any]:
    entries = data.get(key)
    if not isinstance(entries, list):
        return []
    return entries[:-1] if next(reversed(data)) == key else entries

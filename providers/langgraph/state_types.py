"""The types that a graph declares for its state: those that its checkpoints may make again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_type_hints, is_typeddict

import structlog
from pydantic import BaseModel

from .schema import Graph

log = structlog.get_logger(__name__)


def state_types(graph: Graph) -> frozenset[type]:
    """Return the classes in the annotations of a graph's state and inputs, and of its subgraphs'."""
    waiting, found = list(_declared(graph)), set()
    seen: dict[int, Any] = {}  # what has been seen stays, lest its identity be another's
    while waiting:
        annotation = waiting.pop()
        if id(annotation) in seen:
            continue
        seen[id(annotation)] = annotation
        if _is_stored_whole(annotation):
            found.add(annotation)
        waiting.extend(_parts(annotation))
    return frozenset(found)


def _declared(graph: Graph) -> Iterator[Any]:
    for each in (graph, *(subgraph for _, subgraph in graph.get_subgraphs(recurse=True))):
        for channel in getattr(each, "channels", {}).values():
            yield getattr(channel, "ValueType", None)
            yield getattr(channel, "UpdateType", None)
        builder = getattr(each, "builder", None)
        yield from getattr(builder, "schemas", ())
        yield from (getattr(node, "input_schema", None) for node in getattr(builder, "nodes", {}).values())


def _is_stored_whole(annotation: Any) -> bool:
    kinds = isinstance(annotation, type) and not is_typeddict(annotation)
    return kinds and (issubclass(annotation, (BaseModel, Enum)) or dataclasses.is_dataclass(annotation))


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield what else may be in a value of this annotation."""
    yield from get_args(annotation)
    yield getattr(annotation, "__supertype__", None)  # of a NewType
    yield getattr(annotation, "__value__", None)  # of a type alias
    if isinstance(annotation, type):
        yield from _hints(annotation)


def _hints(annotation: type) -> list[Any]:
    if not (is_typeddict(annotation) or _is_stored_whole(annotation) or hasattr(annotation, "_fields")):
        return []
    try:
        return list(get_type_hints(annotation, include_extras=True).values())
    except (NameError, TypeError) as error:  # an annotation that only type checkers can read
        log.warning("langgraph_type_unreadable", type=annotation.__qualname__, error=str(error))
        return []

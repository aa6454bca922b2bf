"""A compiled graph's state: which keys go in, which come out, how they are written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NotRequired, Required, get_args, get_origin

from langgraph import channels
from langgraph.constants import START
from langgraph.pregel import Pregel
from langgraph.types import Overwrite
from msgspec import Struct
from pydantic import BaseModel

from .decoding import restore

Graph = Pregel[Any, Any, Any, Any]

# The second came with LangGraph 1.2.
_REDUCING = tuple(
    getattr(channels, name) for name in ("BinaryOperatorAggregate", "DeltaChannel") if hasattr(channels, name)
)

# What the runtime, the SDK and LangGraph write into a graph's state: none of it is the agent's own.
OWN_KEYS = frozenset({"messages", "tools", "copilotkit", "ag-ui", "__interrupt__"})


class GraphSchema(Struct, frozen=True):
    """A graph's keys.

    ``inputs``, ``outputs`` and ``channels`` are the keys of the input, the output and the whole state, or None
    where it has no keys or they are not known. ``reduced`` are those with a reducer, ``sets`` those that hold a set,
    with its type. ``takes_list`` is true for a functional workflow whose input is a list of messages.
    """

    inputs: frozenset[str] | None
    outputs: frozenset[str] | None
    reduced: frozenset[str]
    merges_messages: bool
    channels: frozenset[str] | None = None
    validates: bool = False
    sets: Mapping[str, Callable[[Any], Any]] = {}
    takes_list: bool = False

    @property
    def has_messages(self) -> bool:
        """Whether the graph takes a thread's messages."""
        return self.inputs is None or "messages" in self.inputs

    def takes(self, key: str) -> bool:
        """Return whether ``key`` is part of the graph's input."""
        return self.inputs is None or key in self.inputs

    def writes(self, key: str) -> bool:
        """Return whether ``key`` is part of the state."""
        return self.channels is None or key in self.channels

    def shows(self, key: str) -> bool:
        """Return whether ``key`` is part of the state that clients see."""
        return key not in OWN_KEYS and (self.outputs is None or key in self.outputs)

    def hides(self, key: str) -> bool:
        """Return whether the output schema leaves ``key`` out."""
        return self.outputs is not None and key not in self.outputs

    def replacement(self, key: str, value: Any, present: Mapping[str, Any]) -> Any:
        """Return a client's ``value`` as what replaces the key's present one, whatever a reducer would make of both.

        Args:
            key: A key of the state.
            value: The client's JSON.
            present: The graph's state.
        """
        if key not in present:
            return self.sets[key](value) if key in self.sets and isinstance(value, list) else value
        value = restore(present[key], value)
        return Overwrite(value) if key in self.reduced and not self.validates else value


def schema_of(graph: Graph) -> GraphSchema:
    """Read a graph's keys from its channels (JSON schemas cost milliseconds and fail on foreign types)."""
    reduced = {key: channel for key, channel in graph.channels.items() if isinstance(channel, _REDUCING)}
    return GraphSchema(
        inputs=_inputs(graph),
        outputs=None if isinstance(graph.output_channels, str) else frozenset(graph.output_channels),
        reduced=frozenset(reduced),
        merges_messages=_merges_messages(reduced.get("messages")),
        channels=frozenset(graph.channels),
        validates=_validates(graph),
        takes_list=_takes_list(graph),
        sets={key: kind for key, kind in _kinds(graph).items() if kind in (set, frozenset)},
    )


def _takes_list(graph: Graph) -> bool:
    """Return whether a functional workflow's input is declared a list, or is called ``messages`` and not declared."""
    if getattr(graph, "builder", None) is not None or graph.input_channels != START:
        return False
    declared = getattr(graph.channels.get(START), "typ", Any)
    if declared not in (Any, "Any"):
        return _kind(declared) in (list, Sequence) or str(declared).lower().startswith(("list", "sequence"))
    return any(_first_parameter(node.bound) == "messages" for node in graph.nodes.values())


def _first_parameter(bound: Any) -> str | None:
    function = getattr(bound, "func", None) or getattr(bound, "afunc", None)
    return next(iter(inspect.signature(function).parameters), None) if callable(function) else None


def _kinds(graph: Graph) -> dict[str, Any]:
    return {key: _kind(getattr(channel, "ValueType", None)) for key, channel in graph.channels.items()}


def _kind(annotation: Any) -> Any:
    while (origin := get_origin(annotation)) in (Annotated, Required, NotRequired):
        annotation = get_args(annotation)[0]
    return origin or annotation


def _inputs(graph: Graph) -> frozenset[str] | None:
    builder = getattr(graph, "builder", None)
    if builder is None:
        return None
    schemas: Mapping[Any, Mapping[str, Any]] = builder.schemas
    keys = frozenset(schemas[builder.input_schema])
    return None if keys == {"__root__"} else keys


def _validates(graph: Graph) -> bool:
    """Return whether input passes a pydantic model, which would refuse a value marked to replace another."""
    schema = getattr(getattr(graph, "builder", None), "input_schema", None)
    return isinstance(schema, type) and issubclass(schema, BaseModel)


def _merges_messages(channel: Any) -> bool:
    return getattr(getattr(channel, "operator", None), "__name__", "") in ("add_messages", "_add_messages")

"""The selection of an operation, and the parts of it that may follow later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ariadne.utils import convert_camel_case_to_snake
from graphql import GraphQLObjectType, GraphQLOutputType, GraphQLStreamDirective, get_directive_values
from graphql.execution import Executor
from graphql.execution.collect_fields import DeferUsage, FieldDetails, collect_subfields
from graphql.execution.values import VariableValues

_NO_VARIABLES = VariableValues({}, {})


@dataclass(frozen=True, slots=True)
class Streamed:
    """An active ``@stream``."""

    label: str | None
    initial_count: int


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field to answer: ``attribute`` is where its value stands on the answer's object."""

    key: str
    attribute: str
    type: GraphQLOutputType
    details: list[FieldDetails]
    stream: Streamed | None


@dataclass(frozen=True, slots=True)
class DeferredFragment:
    """Fields under one active ``@defer``."""

    label: str | None
    fields: list[SelectedField]


@dataclass(frozen=True, slots=True)
class Selection:
    """The fields of one object type: those to answer with the object, and those that may follow."""

    fields: list[SelectedField]
    deferred: list[DeferredFragment]


class SelectionReader:
    """Reads selections from one operation through graphql-core's own field collection, each of them once.

    A deferred fragment keeps all its fields, also those that stand outside it too, as the path-addressed format of
    the published clients has it (docs/contract.md, section 2.6).

    Args:
        executor: Executes the operation. Nothing of a request is kept, so that requests can share a reader.
        variables: What directives may depend on; without them they are taken for constant.
    """

    def __init__(self, executor: Executor[Any], variables: VariableValues = _NO_VARIABLES) -> None:
        self._schema = executor.schema
        self._fragments = executor.fragments
        self._operation = executor.operation
        self._variables = variables
        self._read: dict[tuple[object, ...], Selection] = {}

    def selection(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> Selection:
        """Return what ``details`` select of ``type_``."""
        # Nodes are the document's, and last as long as the reader; lists of details are made anew for each request.
        key = (type_.name, *(id(part) for one in details for part in (one.node, one.defer_usage)))
        read = self._read.get(key)
        if read is None:
            read = self._read[key] = self._collect(type_, details)
        return read

    def _collect(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> Selection:
        collected = collect_subfields(self._schema, self._fragments, self._variables, self._operation, type_, details)
        grouped, usages = collected.grouped_field_set, collected.new_defer_usages
        here = self._fields(type_, grouped, lambda usage: not _among(usage, usages))
        deferred = [
            DeferredFragment(usage.label, self._fields(type_, grouped, lambda found, wanted=usage: found is wanted))
            for usage in usages
        ]
        return Selection(here, [fragment for fragment in deferred if fragment.fields])

    def _fields(
        self, type_: GraphQLObjectType, grouped: dict[str, list[FieldDetails]], wanted: Any
    ) -> list[SelectedField]:
        kept = ((key, [d for d in details if wanted(d.defer_usage)]) for key, details in grouped.items())
        return [self._field(type_, key, details) for key, details in kept if details]

    def _field(self, type_: GraphQLObjectType, key: str, details: list[FieldDetails]) -> SelectedField:
        name = details[0].node.name.value
        definition = self._schema.get_field(type_, name)
        if definition is None:
            raise LookupError(f"{type_.name} has no field {name}")
        return SelectedField(
            key=key,
            attribute="typename" if name == "__typename" else convert_camel_case_to_snake(name),
            type=definition.type,
            details=details,
            stream=self._streamed(details[0]),
        )

    def _streamed(self, details: FieldDetails) -> Streamed | None:
        # Validation admits only equal streams of one field.
        stream = get_directive_values(GraphQLStreamDirective, details.node, self._variables)
        if not stream or stream.get("if") is False:
            return None
        count = stream["initialCount"]
        if count is None or count < 0:
            raise ValueError("initialCount must be a positive integer")
        return Streamed(stream.get("label"), count)


def _among(usage: DeferUsage | None, usages: list[DeferUsage]) -> bool:
    return any(usage is one for one in usages)

"""The selection of an operation, and the parts of it that may follow later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ariadne.utils import convert_camel_case_to_snake
from graphql import GraphQLObjectType, GraphQLOutputType
from graphql.execution import Executor
from graphql.execution.collect_fields import DeferUsage, FieldDetails
from graphql.execution.executor import StreamUsage
from graphql.pyutils import Path


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field to answer: ``attribute`` is where its value stands on the answer's object."""

    key: str
    attribute: str
    type: GraphQLOutputType
    details: list[FieldDetails]
    stream: StreamUsage | None


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
    """Reads selections from one operation through graphql-core's own field collection.

    A deferred fragment keeps all its fields, also those that stand outside it too, as the path-addressed format of
    the published clients has it (docs/contract.md, section 2.6).
    """

    def __init__(self, executor: Executor[Any]) -> None:
        self._executor = executor
        self._read: dict[tuple[str, int], Selection] = {}

    def selection(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> Selection:
        """What ``details`` select of ``type_``."""
        key = (type_.name, id(details))
        if key not in self._read:
            self._read[key] = self._collect(type_, details)
        return self._read[key]

    def _collect(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> Selection:
        collected = self._executor.collect_subfields(type_, details)
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
        definition = self._executor.schema.get_field(type_, name)
        if definition is None:
            raise LookupError(f"{type_.name} has no field {name}")
        return SelectedField(
            key=key,
            attribute="typename" if name == "__typename" else convert_camel_case_to_snake(name),
            type=definition.type,
            details=details,
            stream=self._executor.get_stream_usage(details, Path(None, key, None)),
        )


def _among(usage: DeferUsage | None, usages: list[DeferUsage]) -> bool:
    return any(usage is one for one in usages)

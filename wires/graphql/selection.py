"""The selection of an operation, and the parts of it that may follow later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from ariadne.utils import convert_camel_case_to_snake
from graphql import (
    GraphQLCompositeType,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLStreamDirective,
    get_directive_values,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import DeferUsage, FieldDetails, collect_subfields
from graphql.execution.values import VariableValues

_NO_VARIABLES = VariableValues({}, {})


@dataclass(frozen=True, slots=True)
class Shape:
    """What a type's values look like, nullable or not: leaves, lists, or objects of a composite type.

    Attributes:
        serialize: Makes a leaf's JSON value; None for others.
        item: The shape of a list's items; None for others.
        composite: The type of objects; None for others.
    """

    serialize: Callable[[Any], Any] | None = None
    item: Shape | None = None
    composite: GraphQLCompositeType | None = None

    @classmethod
    def of(cls, type_: GraphQLOutputType) -> Shape:
        """Return the shape of a type."""
        if isinstance(type_, GraphQLNonNull):
            return cls.of(type_.of_type)
        if isinstance(type_, GraphQLList):
            return cls(item=cls.of(type_.of_type))
        if isinstance(type_, GraphQLScalarType | GraphQLEnumType):
            return cls(serialize=type_.serialize)
        return cls(composite=type_)


@dataclass(frozen=True, slots=True)
class Streamed:
    """An active ``@stream``."""

    label: str | None
    initial_count: int


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field to answer: ``read`` takes its value from the answer's object."""

    key: str
    read: Callable[[Any], Any]
    shape: Shape
    details: list[FieldDetails]
    stream: Streamed | None


@dataclass(frozen=True, slots=True)
class DeferredFragment:
    """Fields under one active ``@defer``."""

    label: str | None
    fields: list[SelectedField]
    has_lists: bool
    """Whether any part of them may be a list."""


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
        self._known: dict[tuple[int, ...], list[FieldDetails]] = {}
        self._read: dict[tuple[str, int], Selection] = {}

    def known(self, details: list[FieldDetails]) -> list[FieldDetails]:
        """Return the field details that the reader keeps for those of a request: they have the same nodes."""
        return self._known.setdefault(tuple(id(one.node) for one in details), details)

    def selection(self, shape: Shape, value: Any, details: list[FieldDetails]) -> Selection:
        """Return what ``details``, which the reader keeps, select of an object.

        Args:
            shape: The shape of the place where it stands.
            value: The object; where it may be of several types, its ``typename`` names its own.
            details: The field details.
        """
        type_ = shape.composite
        name = type_.name if type(type_) is GraphQLObjectType else value.typename
        key = (name, id(details))
        read = self._read.get(key)
        if read is None:
            read = self._read[key] = self._collect(self._object_type(name), details)
        return read

    def _object_type(self, name: str) -> GraphQLObjectType:
        found = self._schema.get_type(name)
        if not isinstance(found, GraphQLObjectType):
            raise TypeError(f"{name} is not an object type of the schema")
        return found

    def _collect(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> Selection:
        collected = collect_subfields(self._schema, self._fragments, self._variables, self._operation, type_, details)
        grouped, usages = collected.grouped_field_set, collected.new_defer_usages
        here = self._fields(type_, grouped, lambda usage: not _among(usage, usages))
        deferred = [
            self._deferred(usage.label, self._fields(type_, grouped, lambda found, wanted=usage: found is wanted))
            for usage in usages
        ]
        return Selection(here, [fragment for fragment in deferred if fragment.fields])

    def _deferred(self, label: str | None, fields: list[SelectedField]) -> DeferredFragment:
        return DeferredFragment(label, fields, any(self._has_lists(field.shape, set()) for field in fields))

    def _has_lists(self, shape: Shape, seen: set[str]) -> bool:
        type_ = shape.composite
        if type_ is None:
            return shape.item is not None
        possible = [type_] if isinstance(type_, GraphQLObjectType) else self._schema.get_possible_types(type_)
        fresh = [each for each in possible if each.name not in seen]
        seen.update(each.name for each in fresh)
        fields = (field for each in fresh for field in each.fields.values())
        return any(self._has_lists(Shape.of(field.type), seen) for field in fields)

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
            read=attrgetter("typename" if name == "__typename" else convert_camel_case_to_snake(name)),
            shape=Shape.of(definition.type),
            details=details,
            stream=self._streamed(details[0]),
        )

    def _streamed(self, details: FieldDetails) -> Streamed | None:
        # Validation admits only equal streams of one field.
        stream = get_directive_values(GraphQLStreamDirective, details.node, self._variables)
        if not stream or stream.get("if") is False:
            return None
        return Streamed(stream.get("label"), stream["initialCount"])


def _among(usage: DeferUsage | None, usages: list[DeferUsage]) -> bool:
    return any(usage is one for one in usages)

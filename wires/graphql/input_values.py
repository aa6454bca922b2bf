"""A document's variables, read by what was made of their types once.

graphql-core looks the types of a request's variables up anew for each value, which is a tenth of what a short answer
costs. Here each type becomes a function, once for each document. What does not fit, or has a type that refers to
itself, goes to graphql-core, whose errors clients get.

A value that is absent or null is dealt with where it stands, so that what reads a type is called for values alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    GraphQLError,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.utilities.coerce_input_value import coerce_default_value

Read: TypeAlias = Callable[[Any], Any]
"""Returns the value that resolvers get for a client's, which is not null; raises if it does not fit."""


class _UnfitError(ValueError):
    """A value does not fit its type."""


class _UnreadableError(Exception):
    """A type is one that graphql-core reads."""


class _Place(NamedTuple):
    """Where a value of some type may stand."""

    read: Read
    nullable: bool

    def value(self, given: Any) -> Any:
        """Return what resolvers get for a value that was given, or for null."""
        if given is None:
            if not self.nullable:
                raise _UnfitError
            return None
        found = self.read(given)
        if found is Undefined:
            raise _UnfitError
        return found


class _Variable(NamedTuple):
    signature: GraphQLVariableSignature
    place: _Place


class VariableReader:
    """Reads the variables of one operation's requests.

    Args:
        variables: The operation's variables.
    """

    def __init__(self, variables: Sequence[_Variable]) -> None:
        self._variables = variables

    @classmethod
    def of(cls, schema: GraphQLSchema, operation: OperationDefinitionNode) -> VariableReader | None:
        """Return what reads an operation's variables; None if graphql-core has to."""
        signatures = [get_variable_signature(schema, node) for node in operation.variable_definitions or ()]
        try:
            return cls([_variable(signature) for signature in signatures])
        except _UnreadableError:
            return None

    def read(self, given: dict[str, Any]) -> VariableValues | None:
        """Return the values for an execution; None if they do not fit, for graphql-core to report why."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature, place in self._variables:
            name = signature.name
            if name not in given:
                if not place.nullable:
                    return None
                sources[name] = VariableValueSource(signature)
                continue
            sources[name] = VariableValueSource(signature, given[name])
            try:
                coerced[name] = place.value(given[name])
            except Exception:  # noqa: BLE001 - scalars raise what they like, and graphql-core reports it
                return None
        return VariableValues(sources, coerced)


def _variable(signature: GraphQLVariableSignature | GraphQLError) -> _Variable:
    if isinstance(signature, GraphQLError) or signature.default is not None:
        raise _UnreadableError
    return _Variable(signature, _place(signature.type, ()))


def _place(type_: GraphQLInputType, around: tuple[GraphQLInputType, ...]) -> _Place:
    """Return a place for values of a type.

    Args:
        type_: The type.
        around: The types of the objects that the place is in.
    """
    if isinstance(type_, GraphQLNonNull):
        return _Place(_reader(type_.of_type, around), nullable=False)
    return _Place(_reader(type_, around), nullable=True)


def _reader(type_: Any, around: tuple[GraphQLInputType, ...]) -> Read:
    if isinstance(type_, GraphQLList):
        return _list_reader(_place(type_.of_type, around))
    if not isinstance(type_, GraphQLInputObjectType):
        coerce: Read = type_.coerce_input_value
        return coerce
    if type_ in around or type_.is_one_of:
        raise _UnreadableError
    return _object_reader(type_, (*around, type_))


def _list_reader(item: _Place) -> Read:
    def read_list(value: Any) -> list[Any]:
        # A value by itself is a list of one.
        return [item.value(each) for each in value] if isinstance(value, list | tuple) else [item.value(value)]

    return read_list


def _object_reader(type_: GraphQLInputObjectType, around: tuple[GraphQLInputType, ...]) -> Read:
    fields = [_field(name, field, around) for name, field in type_.fields.items()]
    names, finish = frozenset(type_.fields), type_.out_type

    def read_object(value: Any) -> Any:
        if not isinstance(value, dict) or not names.issuperset(value):
            raise _UnfitError
        found: dict[str, Any] = {}
        for name, out_name, (read, nullable), default in fields:
            if name in value:
                # As in ``_Place.value``, without a call for each field.
                item = value[name]
                if item is not None:
                    item = read(item)
                elif not nullable:
                    item = Undefined
                if item is Undefined:
                    raise _UnfitError
                found[out_name] = item
            elif default is _REQUIRED:
                raise _UnfitError
            elif default is not Undefined:
                found[out_name] = default
        return finish(found)

    return read_object


_REQUIRED = object()


class _Field(NamedTuple):
    name: str
    out_name: str
    place: _Place
    default: Any
    """The value of a field that is not given; ``Undefined`` for none, ``_REQUIRED`` if it has to be given."""


def _field(name: str, field: GraphQLInputField, around: tuple[GraphQLInputType, ...]) -> _Field:
    default = coerce_default_value(field)
    if default is Undefined and isinstance(field.type, GraphQLNonNull):
        default = _REQUIRED
    return _Field(name, field.out_name or name, _place(field.type, around), default)

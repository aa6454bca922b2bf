"""The operation of the published clients: one field of the root type, whose answer is a run.

graphql-core looks at each request of it anew for what is the same every time: which fields the root has, which of them
are skipped, what their arguments are. Here that is done once for a document. What is left is to call the field's
resolver, with the arguments and the ``info`` that graphql-core would give it. Every other operation takes
graphql-core's way, as does the first request of each document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    OperationType,
    Undefined,
    VariableNode,
    located_error,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import VariableValues
from graphql.pyutils import Path

from .live_response import LiveResponse

Arguments: TypeAlias = Mapping[str, str]
"""The variables that a field's arguments come from, by the names that its resolver has for them."""

_make_info: Any = GraphQLResolveInfo  # whose fields are not the same in all versions


class StartedRun(NamedTuple):
    """A run that an operation has started, and the place of its answer in the result."""

    type: GraphQLObjectType
    details: list[FieldDetails]
    path: list[str | int]
    response: LiveResponse
    data: dict[str, Any]


class RunField:
    """The one field of an operation.

    Args:
        executor: Executes the operation, with nothing of a request in it.
        node: The field, as the document has it.
        field: The field, as the schema has it.
        type_: The type of the field's value.
        arguments: Where its arguments come from.
    """

    def __init__(
        self,
        executor: Executor[Any],
        node: FieldNode,
        field: GraphQLField,
        type_: GraphQLObjectType,
        arguments: Arguments,
    ) -> None:
        root = _root_of(executor)
        self.details = [FieldDetails(node, None)]
        self._resolve = field.resolve or executor.field_resolver
        self._type = type_
        self._arguments = arguments
        self._key = node.alias.value if node.alias is not None else node.name.value
        self._path = Path(None, self._key, root.name)
        info = executor.build_resolve_info(field, [node], root, self._path)
        at = info._fields.index("variable_values")
        self._before: Any = info[:at]
        self._behind: Any = info[at + 2 :]

    @classmethod
    def of(cls, executor: Executor[Any]) -> RunField | None:
        """Return the one field of an operation; None if graphql-core has to execute it."""
        operation, root = executor.operation, _root_of(executor)
        nodes = operation.selection_set.selections
        if operation.operation is not OperationType.MUTATION or operation.directives or len(nodes) != 1:
            return None
        node = nodes[0]
        if not isinstance(node, FieldNode) or node.directives or root is None:
            return None
        field = root.fields.get(node.name.value)
        type_ = _present(field) if field is not None else None
        arguments = _arguments(field, node) if field is not None else None
        if field is None or type_ is None or arguments is None:
            return None
        return cls(executor, node, field, type_, arguments)

    async def execute(self, values: VariableValues, context: Any) -> tuple[ExecutionResult, StartedRun | None]:
        """Call the resolver; return the result, and the run whose answer fills it. None if it failed.

        Args:
            values: The request's variables.
            context: What the resolver gets in its ``info``.
        """
        given = values.coerced
        arguments = {name: given[variable] for name, variable in self._arguments.items() if variable in given}
        info = _make_info(*self._before, values, context, *self._behind)
        try:
            response = _checked(await self._resolve(None, info, **arguments))
        except Exception as error:  # noqa: BLE001 - it is reported in the result, as graphql-core does
            return ExecutionResult(None, [self._located(error)]), None
        data: dict[str, Any] = {}
        started = StartedRun(self._type, self.details, self._path.as_list(), response, data)
        return ExecutionResult({self._key: data}, None), started

    def _located(self, error: Exception) -> GraphQLError:
        return located_error(error, [one.node for one in self.details], self._path.as_list())


def _checked(response: Any) -> LiveResponse:
    if not isinstance(response, LiveResponse):
        raise TypeError(f"a {type(response).__name__} is no answer of a run")
    return response


def _root_of(executor: Executor[Any]) -> Any:
    return executor.schema.get_root_type(executor.operation.operation)


def _present(field: GraphQLField) -> GraphQLObjectType | None:
    """Return the type of a field's value, if that is an object which is always there."""
    inner = field.type.of_type if isinstance(field.type, GraphQLNonNull) else None
    return inner if isinstance(inner, GraphQLObjectType) and inner.name == LiveResponse.typename else None


def _arguments(field: GraphQLField, node: FieldNode) -> Arguments | None:
    """Return where a field's arguments come from, if all that it has are variables, and it has no others."""
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    found = {}
    for name, argument in field.args.items():
        value = given.get(name)
        if value is None and _is_left_out(argument):
            continue
        if not isinstance(value, VariableNode) or _has_default(argument):
            return None
        found[argument.out_name or name] = value.name.value
    return found


def _is_left_out(argument: GraphQLArgument) -> bool:
    return not _has_default(argument) and not isinstance(argument.type, GraphQLNonNull)


def _has_default(argument: GraphQLArgument) -> bool:
    return argument.default is not None or argument.default_value is not Undefined

"""What is the same for all executions of one operation, so that it is worked out once for each document."""

from __future__ import annotations

from typing import Any

from graphql.execution import Executor
from graphql.execution.values import VariableValues

from .input_values import VariableReader
from .run_field import RunField

_NO_VARIABLES = VariableValues({}, {})


class ExecutionPlan:
    """Makes executors for the requests of one operation.

    Args:
        first: The executor of the first of them. Nothing of that request is kept.
    """

    def __init__(self, first: Executor[Any]) -> None:
        self._schema = first.schema
        self._fragments = first.fragment_definitions, first.fragments
        self._operation = first.operation
        self._resolvers = first.field_resolver, first.type_resolver, first.subscribe_field_resolver
        self._hide_suggestions = first.hide_suggestions
        self._variables = VariableReader.of(first.schema, first.operation)
        self.run_field = RunField.of(self._made(Executor, _NO_VARIABLES, None))
        """The operation's one field, if that is all it has and its answer is a run."""

    def read(self, variables: dict[str, Any]) -> VariableValues | None:
        """Return a request's variables; None if they do not fit, which graphql-core is to report."""
        return self._variables.read(variables) if self._variables is not None else None

    def executor(self, kind: type[Executor[Any]], variables: dict[str, Any], context: Any) -> Executor[Any] | None:
        """Return the executor of one request; None if its variables do not fit, which graphql-core is to report.

        Args:
            kind: The executor's class.
            variables: The request's variables.
            context: What resolvers get.
        """
        values = self.read(variables)
        return None if values is None else self._made(kind, values, context)

    def _made(self, kind: type[Executor[Any]], values: VariableValues, context: Any) -> Executor[Any]:
        return kind(
            self._schema,
            *self._fragments,
            None,
            context,
            self._operation,
            values,
            *self._resolvers,
            hide_suggestions=self._hide_suggestions,
        )

"""Executes one GraphQL operation: in one piece, or with its runs delivered as they go on."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeAlias

from graphql import ExecutionResult, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetails
from graphql.pyutils import AwaitableOrValue, Path

from .compatibility import upgrade_variables
from .context import GraphQLContext
from .documents import Document
from .errors import RequestError, first_refusal, format_error, request_errors
from .execution_plan import ExecutionPlan
from .incremental import IncrementalRenderer
from .incremental_result import IncrementalAnswer, Payload
from .live_response import LiveResponse
from .run_field import StartedRun
from .selection import SelectionReader, Shape

_Result: TypeAlias = tuple[ExecutionResult, list[StartedRun], SelectionReader | None]
"""What an operation came to, the runs that it started, and what reads its selections if there are any."""


@dataclass(slots=True)
class GraphQLRequest:
    """What a client asks for, parsed and valid. Its variables are let go of when it is executed."""

    document: Document
    variables: dict[str, Any] | None
    operation_name: str | None


class _RunExecutor(Executor[Any]):
    """Leaves each run's answer empty, and remembers it for the renderer."""

    started: list[StartedRun]

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        if not isinstance(result, LiveResponse):
            return super().complete_object_value(return_type, field_details_list, info, path, result, position_context)
        data: dict[str, Any] = {}
        self.started.append(StartedRun(return_type, field_details_list, path.as_list(), result, data))
        return data


class Execution:
    """Executes operations on a schema.

    Args:
        schema: The executable schema.
        suggestions: Whether errors name what the client may have meant.
        shows_errors: Whether clients see the class and the text of unknown errors.
    """

    def __init__(self, schema: GraphQLSchema, *, suggestions: bool = True, shows_errors: bool = False) -> None:
        self._schema = schema
        self._shows_errors = shows_errors
        self._suggestions = suggestions

    async def whole(self, request: GraphQLRequest, context: GraphQLContext) -> Payload:
        """Return the operation's result in one piece, once it is complete.

        Raises:
            RequestError: The operation could not begin.
        """
        return self._payload(await _execute(self._executor(Executor, request, context)), context)

    async def incremental(self, request: GraphQLRequest, context: GraphQLContext) -> IncrementalAnswer | Payload:
        """Return the operation's result in parts; in one piece if it has no run to follow.

        Raises:
            RequestError: The operation could not begin.
        """
        result, runs, selections = await self._start_one(request, context) or await self._start_all(request, context)
        if result.data is None or selections is None:
            return self._payload(result, context)
        renderer = IncrementalRenderer(selections)
        for started in runs:
            await _begin(renderer, started, selections.known(started.details))
        return IncrementalAnswer(self._payload(result, context), renderer, [started.response for started in runs])

    async def _start_one(self, request: GraphQLRequest, context: Any) -> _Result | None:
        """Start the one run of an operation that is known; None if graphql-core has to execute it."""
        plan = request.document.plans.get(request.operation_name)
        selections = request.document.selections.get(request.operation_name)
        if plan is None or plan.run_field is None or selections is None:
            return None
        values = plan.read(upgrade_variables(request.variables) or {})
        if values is None:
            return None
        request.variables = None
        result, run = await plan.run_field.execute(values, context)
        return result, [run] if run is not None else [], selections

    async def _start_all(self, request: GraphQLRequest, context: Any) -> _Result:
        executor = self._executor(_RunExecutor, request, context)
        executor.started = []
        result = await _execute(executor)
        return result, executor.started, _selections(request, executor) if executor.started else None

    def _payload(self, result: ExecutionResult, context: GraphQLContext) -> Payload:
        if not result.errors:
            return {"data": result.data}
        context.refused = first_refusal(result.errors)
        errors = [format_error(error, shown=self._shows_errors) for error in result.errors]
        return {"errors": errors, "data": result.data}

    def _executor(self, kind: type[Any], request: GraphQLRequest, context: Any) -> Any:
        variables, request.variables = upgrade_variables(request.variables), None
        plans, name = request.document.plans, request.operation_name
        planned = plans[name].executor(kind, variables or {}, context) if name in plans else None
        if planned is not None:
            return planned
        built = kind.build(
            self._schema,
            request.document.ast,
            context_value=context,
            raw_variable_values=variables,
            operation_name=name,
            hide_suggestions=not self._suggestions,
        )
        if isinstance(built, list):
            raise RequestError(request_errors(built, None))
        if name not in plans:
            plans[name] = ExecutionPlan(built)
        return built


def _selections(request: GraphQLRequest, executor: _RunExecutor) -> SelectionReader:
    """Return what reads the selections: the document's own reader, if they do not depend on the request."""
    document = request.document
    if not document.constant or any(one.defer_usage is not None for each in executor.started for one in each.details):
        return SelectionReader(executor, executor.variable_values)
    reader = document.selections.get(request.operation_name)
    if reader is None:
        reader = document.selections[request.operation_name] = SelectionReader(executor)
    return reader


async def _execute(executor: Executor[Any]) -> ExecutionResult:
    result = executor.execute_operation()
    done = await result if isawaitable(result) else result
    if not isinstance(done, ExecutionResult):
        raise TypeError("graphql-core answered incrementally")
    if not done.errors:
        # Nothing of the execution still goes on, and these are bound methods of the executor: a ring around all that
        # the request had, which would be left to the garbage collector.
        del executor.async_helpers
    return done


async def _begin(renderer: IncrementalRenderer, started: StartedRun, details: list[FieldDetails]) -> None:
    response, shape = started.response, Shape(composite=started.type)
    while not renderer.ready(shape, response, details):
        await response.run.arrival()
        if not response.advance():
            break
    started.data.update(renderer.write(shape, response, details, started.path))

"""Documents, parsed and validated once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    IntValueNode,
    NoSchemaIntrospectionCustomRule,
    NullValueNode,
    OperationDefinitionNode,
    OperationType,
    ValueNode,
    VariableNode,
    Visitor,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
    visit,
)

from .complexity import DocumentLimits, Outline, check_depth, check_size
from .errors import RequestError, bad_request, request_errors
from .execution_plan import ExecutionPlan
from .selection import SelectionReader

CACHED_DOCUMENTS = 256
CACHED_DOCUMENT_CHARACTERS = 32_768


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document.

    Attributes:
        ast: The document as parsed.
        directives: Its ``@defer`` and ``@stream``.
        counting: Those among them that say with how many elements a list begins.
        constant: Whether none of its directives depends on a variable.
        selections: What reads the selections of its operations, by name, for requests that share them.
        plans: What is the same for all executions of its operations, by name.
        counts: How many fields of the root type its operations ask for, by name.
    """

    ast: DocumentNode
    directives: tuple[DirectiveNode, ...]
    constant: bool
    counting: tuple[DirectiveNode, ...] = ()
    selections: dict[str | None, SelectionReader] = field(default_factory=dict)
    plans: dict[str | None, ExecutionPlan] = field(default_factory=dict)
    counts: dict[str | None, int] = field(default_factory=dict)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation to execute.

        Raises:
            RequestError: The name fits none, or none is given and there are several.
        """
        operation = get_operation_ast(self.ast, name)
        if operation is None:
            raise bad_request("Could not determine what operation to execute.", code="OPERATION_RESOLUTION_FAILURE")
        return operation

    def incremental(self, operation: OperationDefinitionNode, variables: dict[str, Any] | None) -> bool:
        """Return whether an answer in parts is asked for.

        Raises:
            RequestError: A list is to begin with fewer elements than none, which would show in the middle of a run.
        """
        if operation.operation is not OperationType.MUTATION:
            return False
        for directive in self.counting:
            _check_count(directive, operation, variables or {})
        return any(_active(directive, variables or {}) for directive in self.directives)

    def root_fields(self, operation: OperationDefinitionNode) -> int:
        """Return how many fields of the root type an operation selects, which is what it counts as in rates."""
        name = None if operation.name is None else operation.name.value
        count = self.counts.get(name)
        if count is None:
            count = self.counts[name] = Outline(self.ast).root_fields(operation)
        return count


class DocumentCache:
    """Parses and validates documents, remembering the last ones.

    Args:
        schema: What documents must fit.
        introspection: Whether they may query the schema, and are sent suggestions for misspelt names.
        limits: How large they may be.
    """

    def __init__(
        self, schema: GraphQLSchema, *, introspection: bool = True, limits: DocumentLimits | None = None
    ) -> None:
        self._schema = schema
        self._limits = limits or DocumentLimits()
        self._hides_names = not introspection
        self._documents: OrderedDict[str, Document] = OrderedDict()
        forbidden = [] if introspection else [NoSchemaIntrospectionCustomRule]
        self._rules = [*specified_rules, *forbidden]

    def get(self, text: str) -> Document:
        """Return the document of that text.

        Raises:
            RequestError: It is too long, does not parse, or does not fit the schema.
        """
        if len(text) > self._limits.characters:
            message = f"The document has {len(text)} characters; the limit is {self._limits.characters}."
            raise bad_request(message, status=413, code="DOCUMENT_TOO_LARGE")
        document = self._documents.get(text)
        if document is None:
            document = self._read(text)
            if len(text) <= CACHED_DOCUMENT_CHARACTERS:
                self._documents[text] = document
        else:
            self._documents.move_to_end(text)
        if len(self._documents) > CACHED_DOCUMENTS:
            self._documents.popitem(last=False)
        return document

    def _read(self, text: str) -> Document:
        try:
            ast = parse(text, max_tokens=self._limits.tokens)
        except GraphQLError as error:
            raise RequestError(request_errors([error], "GRAPHQL_PARSE_FAILED"), spec=True) from error
        errors = self._errors(ast)
        if errors:
            raise RequestError(request_errors(errors, "GRAPHQL_VALIDATION_FAILED"), spec=True)
        collector = _Directives()
        visit(ast, collector)
        counting = tuple(one for one in collector.incremental if _argument(one, "initialCount") is not None)
        return Document(ast, tuple(collector.incremental), collector.constant, counting)

    def _errors(self, ast: DocumentNode) -> list[GraphQLError]:
        try:
            check_size(ast, self._limits)
            errors = validate(self._schema, ast, self._rules, hide_suggestions=self._hides_names)
            if not errors:
                check_depth(ast, self._limits)
        except GraphQLError as error:
            return [error]
        return errors


class _Directives(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.incremental: list[DirectiveNode] = []
        self.constant = True

    def enter_directive(self, node: DirectiveNode, *_args: object) -> None:
        if node.name.value in ("defer", "stream"):
            self.incremental.append(node)
        if any(isinstance(argument.value, VariableNode) for argument in node.arguments or ()):
            self.constant = False


def _argument(directive: DirectiveNode, name: str) -> ValueNode | None:
    return next((argument.value for argument in directive.arguments or () if argument.name.value == name), None)


def _active(directive: DirectiveNode, variables: dict[str, Any]) -> bool:
    condition = _argument(directive, "if")
    if isinstance(condition, BooleanValueNode):
        return condition.value
    if isinstance(condition, VariableNode):
        return variables.get(condition.name.value, True) is not False
    return True


def _check_count(directive: DirectiveNode, operation: OperationDefinitionNode, variables: dict[str, Any]) -> None:
    count = _count(directive, operation, variables)
    if (count is None or (isinstance(count, int | float) and count < 0)) and _active(directive, variables):
        error = GraphQLError("initialCount must be a positive integer", directive)
        raise RequestError(request_errors([error], None))


def _count(directive: DirectiveNode, operation: OperationDefinitionNode, variables: dict[str, Any]) -> Any:
    """Return with how many elements the list begins: None for null, a variable's value as it came."""
    given = _argument(directive, "initialCount")
    if isinstance(given, VariableNode):
        name = given.name.value
        if name in variables:
            return variables[name]
        definitions = operation.variable_definitions or ()
        given = next((each.default_value for each in definitions if each.variable.name.value == name), None)
    if isinstance(given, NullValueNode):
        return None
    return int(given.value) if isinstance(given, IntValueNode) else 0

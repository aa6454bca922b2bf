"""The size of a document, and its limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Visitor,
    visit,
)

MAX_REPEATS = 20
"""How often one selection may name the same field: merging them costs a server more than it costs a client."""

MAX_REPEATED_DIRECTIVES = 5
"""How often the same directive may stand in one place: each that may not would be reported as an error of its own."""

MAX_NAME_CHARACTERS = 200
"""How long a name may be: answers repeat it, those in parts with each part, and errors of several kinds."""


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """The largest document that is read, in characters, lexical tokens, nested fields, aliases and directives."""

    characters: int = 100_000
    tokens: int = 1_000
    depth: int = 15
    aliases: int = 15
    directives: int = 50


def check_size(document: DocumentNode, limits: DocumentLimits) -> None:
    """Count what validation itself would suffer from, before it.

    Raises:
        GraphQLError: There is too much of it.
    """
    counter = _Counter()
    visit(document, counter)
    _check("Aliases", counter.aliases, limits.aliases)
    _check("Directives", counter.directives, limits.directives)
    _check("Repeated fields", counter.repeats, MAX_REPEATS)
    _check("Repeated directives", counter.repeated_directives, MAX_REPEATED_DIRECTIVES)
    _check("Characters of a name", counter.longest_name, MAX_NAME_CHARACTERS)


def check_depth(document: DocumentNode, limits: DocumentLimits) -> None:
    """Measure how deep fields nest, fragments included. The document must be valid: without cycles.

    Raises:
        GraphQLError: They nest too deep.
    """
    _check("Query depth", Outline(document).depth(), limits.depth)


def _check(what: str, found: int, limit: int) -> None:
    if found > limit:
        raise GraphQLError(f"{what} limit of {limit} exceeded, found {found}.")


class _Counter(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.aliases = 0
        self.directives = 0
        self.repeats = 0
        self.repeated_directives = 0
        self.longest_name = 0

    def enter_name(self, node: NameNode, *_args: object) -> None:
        self.longest_name = max(self.longest_name, len(node.value))

    def enter_field(self, node: FieldNode, *_args: object) -> None:
        self.aliases += node.alias is not None

    def enter_directive(self, _node: DirectiveNode, place: int, together: Sequence[DirectiveNode], *_: object) -> None:
        self.directives += 1
        if place == 0:
            names = Counter(directive.name.value for directive in together)
            self.repeated_directives = max(self.repeated_directives, *names.values())

    def enter_selection_set(self, node: SelectionSetNode, *_args: object) -> None:
        names = Counter(_key(field) for field in node.selections if isinstance(field, FieldNode))
        self.repeats = max(self.repeats, *names.values(), 0)


def _key(field: FieldNode) -> str:
    return (field.alias or field.name).value


class Outline:
    """A valid document with its fragments put in place, each looked at once.

    Args:
        document: The document.
    """

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        self._depths: dict[str, int] = {}

    def depth(self) -> int:
        """Return how deep the fields of its deepest operation nest."""
        return max((self._depth(operation.selection_set) for operation in self._operations), default=0)

    def root_fields(self, operation: OperationDefinitionNode) -> int:
        """Return how many fields of the root type an operation asks for."""
        keys: set[str] = set()
        self._collect(operation.selection_set, keys, set())
        return len(keys)

    def _collect(self, selections: SelectionSetNode, keys: set[str], seen: set[str]) -> None:
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                keys.add(_key(selection))
            elif isinstance(selection, InlineFragmentNode):
                self._collect(selection.selection_set, keys, seen)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in seen:
                seen.add(selection.name.value)
                self._collect(self._fragments[selection.name.value].selection_set, keys, seen)

    def _depth(self, selections: SelectionSetNode | None) -> int:
        if selections is None:
            return 0
        return max(map(self._depth_of, selections.selections), default=0)

    def _depth_of(self, selection: object) -> int:
        if isinstance(selection, FieldNode):
            return 1 + self._depth(selection.selection_set)
        if isinstance(selection, InlineFragmentNode):
            return self._depth(selection.selection_set)
        return self._depth_of_fragment(selection) if isinstance(selection, FragmentSpreadNode) else 0

    def _depth_of_fragment(self, spread: FragmentSpreadNode) -> int:
        name = spread.name.value
        if name not in self._depths:
            self._depths[name] = self._depth(self._fragments[name].selection_set)
        return self._depths[name]

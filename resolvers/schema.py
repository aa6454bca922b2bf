"""The executable schema, built from the SDL file alone."""

from __future__ import annotations

from ariadne import make_executable_schema
from graphql import GraphQLDeferDirective, GraphQLSchema, GraphQLStreamDirective

from ..schema import load_extensions, load_sdl
from .extensions import mutation_extensions, query_extensions
from .mutation import mutation
from .query import query
from .response import copilot_response
from .scalars import date_time, json_object, json_value
from .types import abstract_types


def build_schema(*, extensions: bool = False) -> GraphQLSchema:
    """Return the contract with its resolvers; ``@defer`` and ``@stream`` are the executor's and no part of the SDL.

    Args:
        extensions: Whether what stands beside the contract is part of it.
    """
    added = (query_extensions, mutation_extensions) if extensions else ()
    schema = make_executable_schema(
        [load_sdl(), load_extensions()] if extensions else load_sdl(),
        *added,
        query,
        mutation,
        copilot_response,
        date_time,
        json_value,
        json_object,
        *abstract_types,
        convert_names_case=True,
    )
    parts = schema.to_kwargs()
    parts["directives"] = (*schema.directives, GraphQLDeferDirective, GraphQLStreamDirective)
    # A new schema, so that the types of the directives' arguments are among its own.
    return GraphQLSchema(**parts)

"""Compares the schema that is executed with one that is published."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from graphql import (
    GraphQLError,
    GraphQLSchema,
    build_ast_schema,
    build_client_schema,
    get_introspection_query,
    lexicographic_sort_schema,
    parse,
    print_schema,
)

from ...resolvers import build_schema
from ...runtime.errors import ConfigurationError, NetworkError

INCREMENTAL = ("defer", "stream")
"""The executor's directives, which are no part of the contract."""

_SECONDS = 30


def executable_sdl() -> str:
    """Return the executable schema without the directives that the executor adds, sorted."""
    return _sorted(build_schema())


def published_sdl(place: str) -> str:
    """Return the schema in a file of SDL, or of the server at a URL, sorted.

    Raises:
        ConfigurationError: The file cannot be read, or is not SDL.
        NetworkError: The server does not answer, or not with its schema.
    """
    return _of_url(place) if place.startswith(("http://", "https://")) else _of_file(Path(place))


def difference(theirs: str, ours: str) -> list[str]:
    """Return what one must change in the one to get the other, as a unified diff; nothing if they are the same."""
    return list(difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "theirs", "ours", lineterm=""))


def _sorted(schema: GraphQLSchema) -> str:
    fields = schema.to_kwargs()
    fields["directives"] = tuple(d for d in fields["directives"] if d.name not in INCREMENTAL)
    return print_schema(lexicographic_sort_schema(GraphQLSchema(**fields)))


def _of_file(path: Path) -> str:
    try:
        return _sorted(build_ast_schema(parse(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    except (GraphQLError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path} is not a GraphQL schema: {error}") from error


def _of_url(url: str) -> str:
    query = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )
    try:
        return _sorted(build_client_schema(_asked(url, query)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NetworkError(f"{url} does not return its schema: {error}") from error


def _asked(url: str, query: str) -> Any:
    headers = {"content-type": "application/json", "accept": "application/json"}
    request = Request(url, json.dumps({"query": query}).encode(), headers)  # noqa: S310 - the operator's own URL
    with urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 - the operator's own URL
        return json.load(response)["data"]

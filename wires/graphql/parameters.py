"""GraphQL parameters out of HTTP requests (docs/contract.md, section 1.6)."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from ...runtime.json_text import decode_json
from ...runtime.redaction import quoted
from ..http.body import JSON_TYPES, Body, UnreadBody, read_body
from .errors import RequestError, bad_request

_KNOWN = ("query", "variables", "operationName", "extensions")
_ALLOW = "GET, POST"


class Parameters(msgspec.Struct, kw_only=True, frozen=True):
    """What a request asks to execute."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


async def read_parameters(request: Request, body: Body, max_body_bytes: int) -> Parameters:
    """Return the parameters of a GET or POST request.

    Args:
        request: The request.
        body: Its body, read if it is JSON.
        max_body_bytes: The largest body.

    Raises:
        RequestError: There are none, or they are wrong.
        Refusal: The body is too large, does not come in time, or is of a type that is not read.
    """
    if request.method == "GET":
        return _checked(_from_url(request))
    if body.content_type in JSON_TYPES:  # as they are written, says the contract
        return _checked(_from_json(body))
    if body.content_type == "application/graphql":
        raw = await read_body(request, max_body_bytes)
        return _checked({"query": raw.decode("utf-8", "replace")})
    raise UnreadBody


def _from_url(request: Request) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if parameters.get(name):
            try:
                parameters[name] = decode_json(parameters[name])
            except msgspec.DecodeError as error:
                raise bad_request(f'The "{name}" param is not valid JSON.') from error
    return {name: value for name, value in parameters.items() if name in _KNOWN}


def _from_json(body: Body) -> dict[str, Any]:
    if body.fault is not None:
        raise _invalid_json(body.fault)
    if isinstance(body.data, list):
        raise bad_request("Batching is not supported.")
    if not isinstance(body.data, dict):
        raise bad_request(f"POST body is expected to be object but received {_kind(body.data)}")
    return body.data


def _invalid_json(message: str) -> RequestError:
    original = {"name": "SyntaxError", "message": message}
    extensions = {"code": "BAD_REQUEST", "originalError": original}
    return RequestError([{"message": "POST body sent invalid JSON.", "extensions": extensions}])


def _checked(parameters: dict[str, Any]) -> Parameters:
    for name, value in parameters.items():
        if name not in _KNOWN and value is not None:
            raise bad_request(f'Unexpected parameter "{quoted(name)}" in the request body.')
    query = parameters.get("query")
    if query is None:
        raise bad_request("Must provide query string.", spec=True, allow=_ALLOW)
    if not isinstance(query, str):
        raise bad_request(f'Expected "query" param to be a string, but given {_kind(query)}.', allow=_ALLOW)
    for name in ("variables", "extensions"):
        _check_object(name, parameters.get(name))
    return Parameters(query=query, variables=parameters.get("variables"), operation_name=_operation_name(parameters))


def _check_object(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, dict):
        raise bad_request(f'Expected "{name}" param to be empty or an object, but given {_kind(value)}.', allow=_ALLOW)


def _operation_name(parameters: dict[str, Any]) -> str | None:
    name = parameters.get("operationName")
    if name is not None and not isinstance(name, str):
        raise bad_request(
            f'Expected "operationName" param to be empty or a string, but given {_kind(name)}.', allow=_ALLOW
        )
    return name or None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds: dict[type, str] = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return kinds.get(type(value), "object")

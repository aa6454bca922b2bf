"""GraphQL parameters out of HTTP requests (docs/contract.md, section 1.6)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request

from .errors import RequestError, bad_request

_KNOWN = ("query", "variables", "operationName", "extensions")
_JSON_TYPES = ("application/json", "application/graphql+json")
_ALLOW = "GET, POST"

BODY_SECONDS = 60.0
"""How long a client may take to send its body."""


class Parameters(msgspec.Struct, kw_only=True, frozen=True):
    """What a request asks to execute."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


class UnsupportedMediaTypeError(Exception):
    """The body is in a format that is not read."""


async def read_parameters(request: Request, max_body_bytes: int) -> Parameters:
    """The parameters of a GET or POST request.

    Raises:
        RequestError: There are none, or they are wrong.
        UnsupportedMediaTypeError: The body is in a format that is not read.
    """
    if request.method == "GET":
        return _checked(_from_url(request))
    content_type = request.headers.get("content-type", "").split(";")[0].strip()
    if content_type in _JSON_TYPES:
        return _checked(_from_json(await read_body(request, max_body_bytes)))
    if content_type == "application/graphql":
        body = await read_body(request, max_body_bytes)
        return _checked({"query": body.decode("utf-8", "replace")})
    raise UnsupportedMediaTypeError(content_type)


async def read_body(request: Request, limit: int) -> bytes:
    """A request's body.

    Raises:
        RequestError: It is larger than ``limit`` bytes, or does not come in time.
    """
    body = bytearray()
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large()
    except TimeoutError as error:
        raise bad_request("The request body did not come in time.", status=408, code="REQUEST_TIMEOUT") from error
    return bytes(body)


def _too_large() -> RequestError:
    return bad_request("Request body too large", status=413, code="REQUEST_ENTITY_TOO_LARGE")


def _from_url(request: Request) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if parameters.get(name):
            try:
                parameters[name] = msgspec.json.decode(parameters[name])
            except msgspec.DecodeError as error:
                raise bad_request(f'The "{name}" param is not valid JSON.') from error
    return {name: value for name, value in parameters.items() if name in _KNOWN}


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body.decode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise _invalid_json(str(error)) from error
    if isinstance(decoded, list):
        raise bad_request("Batching is not supported.")
    if not isinstance(decoded, dict):
        raise bad_request(f"POST body is expected to be object but received {_kind(decoded)}")
    return decoded


def _invalid_json(message: str) -> RequestError:
    original = {"name": "SyntaxError", "message": message}
    extensions = {"code": "BAD_REQUEST", "originalError": original}
    return RequestError([{"message": "POST body sent invalid JSON.", "extensions": extensions}])


def _checked(parameters: dict[str, Any]) -> Parameters:
    for name, value in parameters.items():
        if name not in _KNOWN and value is not None:
            raise bad_request(f'Unexpected parameter "{name}" in the request body.')
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

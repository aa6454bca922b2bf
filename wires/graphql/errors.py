"""Errors in GraphQL responses (docs/contract.md, sections 1.6 and 2.4)."""

from __future__ import annotations

from typing import Any

import structlog
from graphql import GraphQLError

from ...runtime.error_texts import to_public_error
from ...runtime.errors import CopilotKitError
from ...runtime.redaction import shortened
from ..http.refusal import Refusal

log = structlog.get_logger(__name__)


class RequestError(Refusal):
    """A GraphQL request that is refused before anything was executed.

    Args:
        errors: The answer's ``errors``.
        status: The HTTP status.
        spec: True if the GraphQL-over-HTTP specification asks for 200 when the client reads ``application/json`` only.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        errors: list[dict[str, Any]],
        *,
        status: int = 400,
        spec: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(_reason(errors[0]) if errors else "", status, headers=headers)
        self.errors = errors
        self.spec = spec


def bad_request(
    message: str,
    *,
    status: int = 400,
    code: str = "BAD_REQUEST",
    spec: bool = False,
    allow: str | None = None,
) -> RequestError:
    """Return a refusal with one error."""
    errors = [{"message": message, "extensions": {"code": code}}]
    return RequestError(errors, status=status, spec=spec, headers={"Allow": allow} if allow else None)


def refusal_errors(refusal: Refusal) -> list[dict[str, Any]]:
    """Return the ``errors`` of an answer that refuses a request."""
    if isinstance(refusal, RequestError):
        return refusal.errors
    if refusal.error is not None:
        return [{"message": refusal.message, "extensions": {**refusal.error.extensions, "statusCode": refusal.status}}]
    return [{"message": refusal.message, "extensions": {"code": refusal.code}}]


def request_errors(errors: list[GraphQLError], code: str | None) -> list[dict[str, Any]]:
    """Return errors of parsing, validation and coercion, with their code if they have one."""
    extensions = {"extensions": {"code": code}} if code is not None else {}
    return [{**_formatted(error), **extensions} for error in errors]


def format_error(error: GraphQLError, *, shown: bool = False) -> dict[str, Any]:
    """Format an error that a resolver raised. What it did not mean to show is not shown, unless ``shown``."""
    original = error.original_error
    if original is None or isinstance(original, GraphQLError):
        return _formatted(error)
    public = to_public_error(original, shown=shown)
    if public is not original:
        log.error("resolver_failed", exc_info=original, field=error.path)
    formatted = {**error.formatted, "message": public.message}
    return {**formatted, "extensions": {**public.extensions, "originalError": _original(error, public)}}


def first_refusal(errors: list[GraphQLError]) -> CopilotKitError | None:
    """Return the first of a result's errors that is meant for the client: with it, nothing has failed here."""
    originals = (error.original_error for error in errors)
    return next((each for each in originals if each is not None and to_public_error(each) is each), None)


def _reason(error: dict[str, Any]) -> str:
    """Return the text of an error, with that of the one behind it, as where a body is no JSON."""
    behind = error.get("extensions", {}).get("originalError", {}).get("message")
    return f"{error['message']} {behind}" if behind else str(error["message"])


def _formatted(error: GraphQLError) -> dict[str, Any]:
    """Format an error of GraphQL's own, which repeats what a client sent: names, and whole values."""
    return {**error.formatted, "message": shortened(error.message)}


def _original(error: GraphQLError, public: CopilotKitError) -> dict[str, Any]:
    mutation = bool(error.path) and error.path is not None and error.path[0] == "generateCopilotResponse"
    return {"message": public.message, "extensions": public.extensions} if mutation else {"message": public.message}

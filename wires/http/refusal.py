"""A request that is refused before a wire has begun to answer it."""

from __future__ import annotations

from ...runtime.errors import CopilotKitError


class Refusal(Exception):  # noqa: N818 - an answer, which each wire renders in its own way
    """A refused request: a status and a reason. Each wire renders it in its own shape.

    Args:
        message: The reason, for the client.
        status: The HTTP status.
        code: The reason for programs.
        error: The error of the hierarchy behind it, if there is one.
        headers: More headers of the answer.
        hint: What the client can do, where the wire's contract does not fix the text.
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        code: str = "BAD_REQUEST",
        error: CopilotKitError | None = None,
        headers: dict[str, str] | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status
        self.code = code
        self.error = error
        self.headers = headers or {}


def busy(error: CopilotKitError, seconds: int) -> Refusal:
    """Return the refusal of a request that may be repeated after some seconds."""
    return refusal(error, 503, {"Retry-After": str(seconds)})


def refusal(error: CopilotKitError, status: int, headers: dict[str, str] | None = None) -> Refusal:
    """Return the refusal of a request because of an error of the hierarchy."""
    return Refusal(error.message, status, code=str(error.code), error=error, headers=headers)

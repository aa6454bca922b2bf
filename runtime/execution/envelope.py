"""What crosses with a run from the process that took its request to the one that executes it.

An envelope is kept with the run until it ends. Readers ignore fields that they do not know and fill in those that are
not there, so that both sides may be one minor version apart.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from ..errors import CopilotKitError
from ..request import RunRequest
from ..runs.about import ENVELOPE

VERSION = 1
"""Raised when a reader of the version before would do something else than what is meant."""


class RequestTooLargeError(CopilotKitError):
    """A request cannot be handed to another process, because of its size or of what it contains."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The request cannot be handed to a worker: {reason}.", status_code=413)


class UnreadableEnvelopeError(CopilotKitError):
    """A run was handed over in a form that this process cannot read: the other side is too old, or too new.

    Args:
        version: The version of the form, if that much can be read.
    """

    def __init__(self, version: int | None) -> None:
        form = "that its worker cannot read"
        if version is not None and version > VERSION:
            form = f"of version {version}, and its worker reads version {VERSION}: update workers before web processes"
        super().__init__(f"This run was handed over in a form {form}.")


class Envelope(msgspec.Struct, kw_only=True):
    """A request with what was done for it already."""

    request: RunRequest
    queue: str
    version: int = VERSION
    queued_at: float = 0.0
    """When it was put into the queue, in seconds of the wall clock."""
    trace: dict[str, str] = {}
    """The trace that the run is a part of, as headers."""
    correlation: dict[str, str] = {}
    """What log entries about the request have in common, and masked errors show."""
    hook_called: bool = False
    """Whether the hook before requests has let it pass."""
    judged: bool = False
    """Whether guardrails have let its input pass."""


def seal(envelope: Envelope, max_bytes: int) -> dict[str, Any]:
    """Return an envelope as JSON, without what is for the process that took the request alone: keys of the cloud.

    Args:
        envelope: The envelope.
        max_bytes: The largest size.

    Raises:
        RequestTooLargeError: It is larger, or contains what JSON cannot express.
    """
    request = msgspec.structs.replace(envelope.request, cloud=None, cloud_key=None)
    sealed = msgspec.structs.replace(envelope, request=request, queued_at=time.time())
    try:
        encoded = msgspec.json.encode(sealed)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestTooLargeError(f"it is not JSON ({error})") from error
    if len(encoded) > max_bytes:
        raise RequestTooLargeError(f"it has {len(encoded)} bytes, and {max_bytes} are allowed")
    decoded: dict[str, Any] = msgspec.json.decode(encoded)
    return decoded


def unseal(about: Mapping[str, Any]) -> Envelope:
    """Return the envelope that is kept with a run.

    Raises:
        UnreadableEnvelopeError: This version cannot read it, or it is missing.
    """
    kept = about.get(ENVELOPE)
    version = kept.get("version") if isinstance(kept, dict) else None
    number = version if isinstance(version, int) else None
    if number is not None and number > VERSION:
        raise UnreadableEnvelopeError(number)
    try:
        return msgspec.convert(kept, Envelope)
    except msgspec.ValidationError as error:
        raise UnreadableEnvelopeError(number) from error


def correlation() -> dict[str, str]:
    """Return what log entries about the request in hand have in common."""
    bound = structlog.contextvars.get_contextvars()
    return {name: str(bound[name]) for name in ("correlation_id", "identity") if name in bound}


def seconds_waited(envelope: Envelope) -> float:
    """Return for how long a run has waited in its queue; by two wall clocks, so that it may be wrong."""
    return max(0.0, time.time() - envelope.queued_at)

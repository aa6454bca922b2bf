"""A request as it is kept with its run, so that another process can go on with the run."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from ..request import RunRequest

log = structlog.get_logger(__name__)


def keep_request(request: RunRequest, max_bytes: int) -> dict[str, Any] | None:
    """Return a request as JSON; None if it cannot be kept.

    A request that asked for guardrails in the cloud cannot: its key is kept nowhere.

    Args:
        request: The request.
        max_bytes: The largest size.
    """
    if (request.cloud or {}).get("guardrails") is not None:
        return None
    kept = msgspec.structs.replace(request, cloud=None, cloud_key=None)
    try:
        encoded = msgspec.json.encode(kept)
    except (TypeError, ValueError, RecursionError) as error:
        log.warning("run_not_resumable", thread_id=request.input.thread_id, reason=str(error))
        return None
    if len(encoded) > max_bytes:
        log.warning("run_not_resumable", thread_id=request.input.thread_id, reason=f"{len(encoded)} bytes")
        return None
    decoded: dict[str, Any] = msgspec.json.decode(encoded)
    return decoded


def kept_request(kept: Any) -> RunRequest | None:
    """Return the request that ``keep_request`` kept; None if it kept none, or another release wrote it."""
    if kept is None:
        return None
    try:
        return msgspec.convert(kept, RunRequest)
    except msgspec.ValidationError as error:
        log.warning("kept_request_not_readable", reason=str(error))
        return None

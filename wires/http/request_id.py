"""One id for a request, its runs, their log lines and the errors that they hide."""

from __future__ import annotations

import re

from starlette.datastructures import Headers

from ...runtime.fresh_ids import fresh_uuid

HEADER = "x-request-id"

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,128}")


def correlation_id(headers: Headers) -> str:
    """Return the id that a proxy gave the request, if it is one, else a new one."""
    given = headers.get(HEADER, "")
    return given if _ACCEPTED.fullmatch(given) else fresh_uuid()

"""Measures what proxies do to streams, on a running server behind them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPResponse
from time import monotonic
from typing import NamedTuple, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ..stream_check import PATH, PAUSE_SECONDS, PIECES
from .finding import Finding

_SECONDS = 15
_CHUNK = 4096
_BUFFERED = "Turn response buffering off for the endpoint in the proxy (nginx: proxy_buffering off)."
_COMPRESSED = "Turn that off for text/event-stream in the proxy."
_SENT_SECONDS = PAUSE_SECONDS * (PIECES - 1)


class Stream(NamedTuple):
    """How the pieces of a stream arrived."""

    compressed: bool
    seconds: float
    """Between the first byte and the last."""


def check_server(url: str, headers: dict[str, str]) -> Iterator[Finding]:
    """Look at a running server: whether it answers, and whether its streams arrive as they are sent.

    Args:
        url: The endpoint, as clients reach it.
        headers: What to send along, such as credentials.
    """
    base = url.rstrip("/")
    if not base.startswith(("http://", "https://")):
        yield Finding("fail", f"{url} is not a URL", "Write http://… or https://…")
        return
    try:
        with _opened(f"{base}/info", headers):
            yield Finding("ok", f"{url} answers")
        yield _judged(url, _measure(base, headers))
    except HTTPError as error:
        yield _refused(url, error.code)
    except OSError as error:
        yield _unreached(url, getattr(error, "reason", error))


def _unreached(url: str, reason: object) -> Finding:
    if isinstance(reason, ssl.SSLError) and not isinstance(reason, ssl.SSLCertVerificationError):
        return Finding("fail", f"{url}: what answers there is no TLS", "Write http://…, or serve with --ssl-certfile.")
    words = (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
    return Finding("fail", f"{url}: {words}", "Is it running, and is this its address?")


def _refused(url: str, status: int) -> Finding:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Finding("note", f"{url} answers, and needs credentials", "Give them with --header to measure streams.")
    return Finding("fail", f"{url}: HTTP {status}", "By default, the path is /api/copilotkit.")


def _measure(base: str, headers: dict[str, str]) -> Stream:
    sent = {**headers, "accept": "text/event-stream", "accept-encoding": "gzip"}
    with _opened(f"{base}{PATH}", sent, b"") as answer:
        arrivals = []
        while answer.read1(_CHUNK):
            arrivals.append(monotonic())
        compressed = "content-encoding" in answer.headers
    return Stream(compressed, arrivals[-1] - arrivals[0] if arrivals else 0.0)


def _judged(url: str, stream: Stream) -> Finding:
    if stream.compressed:
        return Finding("fail", f"{url}: streams are compressed", _COMPRESSED)
    measured = f"sent over {_SENT_SECONDS:.1f} s, they arrive over {stream.seconds:.1f} s"
    if stream.seconds < _SENT_SECONDS / 2:
        return Finding("fail", f"{url}: a proxy holds streams back: {measured}", _BUFFERED)
    return Finding("ok", f"{url}: streams come as they are: {measured}")


def _opened(url: str, headers: dict[str, str], body: bytes | None = None) -> HTTPResponse:
    request = Request(url, body, headers)  # noqa: S310 - the scheme has been checked
    return cast("HTTPResponse", urlopen(request, timeout=_SECONDS))  # noqa: S310

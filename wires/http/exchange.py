"""One request's way back: what every answer carries, whichever wire writes it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import Receive, Send

from ...runtime.config import RuntimeConfig
from ...runtime.errors import CopilotKitError
from ...runtime.runs.handle import RunHandle
from .body import content_type_of
from .cors import WITHOUT_PREFLIGHT, HeaderPairs, admits, cors_headers, preflight_headers
from .framing import header_pairs
from .request import Request, RequestHeaders
from .request_id import HEADER, correlation_id
from .security_headers import security_headers

QUEUE_POSITION = "x-copilotkit-queue-position"
"""The place of the answer's run in its queue, from 1, where others are ahead of it."""

_NO_CONTENT = 204
"""HTTP forbids answers of this status to have a length."""


class Exchange:
    """Writes the answer to one request, with the headers of every answer: cross-origin, security and request id.

    Args:
        request: The request.
        send: Where the answer goes.
        config: The origins that may read it.
        headers: More headers of every answer.
        send_body: Where the body goes, if there is a shorter way than for the head.
    """

    __slots__ = (
        "_cors",
        "_headers",
        "_send_head",
        "accept",
        "cause",
        "id",
        "is_probe",
        "joined",
        "receive",
        "refused",
        "request",
        "runs",
        "send",
        "status",
        "wildcard",
    )

    def __init__(
        self,
        request: Request,
        send: Send,
        config: RuntimeConfig,
        headers: Sequence[tuple[str, str]],
        send_body: Send | None = None,
    ) -> None:
        self.request = request
        self.receive: Receive = request.receive
        self.send: Send = send_body or send
        """Sends the parts of the answer's body, once it has begun."""
        self._send_head = send
        self.accept = request.headers.get("accept")
        self.id = correlation_id(request.headers)
        self.wildcard = False
        """Whether ``*`` is written where all origins are admitted, instead of the request's own origin."""
        self.status = 0
        """The status of the answer, once it has begun."""
        self.refused: str | None = None
        """Why the request was refused, if it was, whatever the status,"""
        self.cause: BaseException | None = None
        """and what that comes from, if anything."""
        self.runs: list[RunHandle] = []
        """The runs that were started or joined for the request,"""
        self.joined: list[RunHandle] = []
        """and those that were joined."""
        self.is_probe = False
        """Whether it is a health check, of which one comes every few seconds."""
        self._cors = (config.cors_origins, config.cors_credentials)
        self._headers = headers

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.request.method

    @property
    def path(self) -> str:
        """The path, decoded."""
        path: str = self.request.scope["path"]
        return path

    @property
    def headers(self) -> RequestHeaders:
        """The headers of the request."""
        return self.request.headers

    @property
    def route(self) -> str:
        """The path, with a name in braces for what varies."""
        path = self.path
        for name, value in self.request.path_params.items():
            if isinstance(value, str) and value:
                path = path.replace(value, f"{{{name}}}", 1)
        return path

    async def begin(self, status: int, headers: HeaderPairs) -> None:
        """Send the head of the answer."""
        self.status = status
        common = [*self._headers, (HEADER, self.id), *security_headers(self.request.scope), *self._queue_position()]
        if self.request.method != "OPTIONS":
            common += cors_headers(self.request.headers, *self._cors, wildcard=self.wildcard)
        await self._send_head(
            {"type": "http.response.start", "status": status, "headers": header_pairs([*headers, *common])}
        )

    def _queue_position(self) -> HeaderPairs:
        ahead = max((run.ahead for run in self.runs), default=0)
        if not ahead:
            return []
        return [(QUEUE_POSITION, str(ahead + 1)), ("access-control-expose-headers", QUEUE_POSITION)]

    async def respond(self, status: int, body: bytes = b"", headers: HeaderPairs | None = None) -> None:
        """Send a whole answer."""
        length = [] if status == _NO_CONTENT else [("content-length", str(len(body)))]
        await self.begin(status, [*(headers or []), *length])
        await self.send({"type": "http.response.body", "body": body})

    def join(self, run: RunHandle) -> None:
        """Note that the answer has the events of a run that another request started."""
        self.runs.append(run)
        self.joined.append(run)

    def note_refusal(self, error: CopilotKitError | None) -> None:
        """Note an error that the answer has in place of what the request was for."""
        if error is not None:
            self.refused, self.cause = error.message, error.__cause__

    @property
    def foreign_origin(self) -> str | None:
        """The origin of a page that may not read the answer, if the request comes from one."""
        headers, (origins, _) = self.request.headers, self._cors
        origin = headers.get("origin")
        if origin is None or origin.partition("://")[2] == headers.get("host"):
            return None
        return None if admits(origin, origins) else origin

    @property
    def skipped_preflight(self) -> bool:
        """Whether a page of a foreign origin sent the request without a browser asking first whether it may."""
        headers = self.request.headers
        if self.method != "POST" or content_type_of(self.request).lower() not in WITHOUT_PREFLIGHT:
            return False
        # Behind a proxy that changes the host, only the browser knows where a page comes from.
        return headers.get("sec-fetch-site") != "same-origin" and self.foreign_origin is not None

    async def preflight(self) -> None:
        """Answer a preflight request."""
        headers = preflight_headers(self.request.headers, *self._cors, wildcard=self.wildcard)
        await self.respond(204, headers=headers)

    async def page(self, html: str, policy: str) -> None:
        """Send an HTML page under a content security policy."""
        headers = [("content-type", "text/html; charset=utf-8"), ("content-security-policy", policy)]
        await self.respond(200, html.encode(), headers)

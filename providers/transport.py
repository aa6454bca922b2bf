"""HTTP to agents elsewhere: headers, time limits, redirects, and the runtime's errors for failures."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeAlias, TypedDict, Unpack

import httpx
import msgspec

from ..runtime.context import RunContext
from ..runtime.error_texts import to_public_error
from ..runtime.errors import (
    AuthenticationError,
    CopilotKitError,
    MisuseError,
    NetworkError,
    ProtocolError,
    RemoteEndpointNotFoundError,
)
from ..runtime.infrastructure_headers import is_infrastructure
from ..runtime.json_text import decode_agent_json
from .answers import MAX_ANSWER_BYTES, UNCOMPRESSED, compression_of

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 300.0

HeaderHook: TypeAlias = Callable[[RunContext], Mapping[str, str] | Awaitable[Mapping[str, str]]]

Refusal: TypeAlias = Callable[[int, str], CopilotKitError]

_ERROR_BODY_BYTES = 4096
_UNAUTHORIZED = frozenset({401, 403})
_UNAVAILABLE = frozenset({408, 429, 502, 503, 504})
_SAME_METHOD = frozenset({307, 308})
_ANY_REDIRECT = frozenset({301, 302, 303, 307, 308})
_REDIRECTS_FOLLOWED = 5


class TransportSettings(TypedDict, total=False):
    """Settings of the requests to a service.

    ``headers``: sent with every request. ``forward_headers``: names of the client's request headers to send on, of
    those that the runtime lets through; None for ``authorization`` and ``x-*``, without what proxies add. No header in
    ``headers`` is replaced by a client's. ``header_hook``: called for every request; what it returns is added last.
    ``connect_timeout``: seconds to wait for a connection, by default 10. ``idle_timeout``: seconds to wait for the next
    bytes of an answer, by default 300; comments in an event stream count.
    ``client``: a client to use instead of an own one. It stays its giver's to close.
    """

    headers: Mapping[str, str] | None
    forward_headers: Collection[str] | None
    header_hook: HeaderHook | None
    connect_timeout: float
    idle_timeout: float
    client: httpx.AsyncClient | None


class Transport:
    """Posts JSON to one service. Its connections are opened on demand and closed by ``aclose``.

    Redirects are followed within the service's origin only: beyond it, credentials and the conversation would reach
    somebody else.

    Args:
        refusal: Makes the error for an HTTP status that is not a success, and the URL that answered with it.
        settings: As ``TransportSettings`` has them.
    """

    def __init__(self, refusal: Refusal | None = None, /, **settings: Unpack[TransportSettings]) -> None:
        self._headers = dict(settings.get("headers") or {})
        names = settings.get("forward_headers", ())
        self._forward = None if names is None else frozenset(name.lower() for name in names)
        self._own_names = frozenset(name.lower() for name in self._headers)
        self._hook = settings.get("header_hook")
        self._timeout = httpx.Timeout(
            settings.get("idle_timeout", IDLE_SECONDS), connect=settings.get("connect_timeout", CONNECT_SECONDS)
        )
        self._given_client = settings.get("client")
        # Made here and not on the loop, which what httpx imports for its first client would hold up.
        self._own_client = _own_client() if self._given_client is None else None
        self._refusal = refusal or refusal_of

    @property
    def client(self) -> httpx.AsyncClient:
        """The client in use."""
        if self._given_client is not None:
            return self._given_client
        if self._own_client is None or self._own_client.is_closed:
            self._own_client = _own_client()
        return self._own_client

    async def aclose(self) -> None:
        """Close the connections that this transport opened."""
        client, self._own_client = self._own_client, None
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def stream(
        self, url: str, payload: Mapping[str, Any], context: RunContext, *, accept: str
    ) -> AsyncIterator[httpx.Response]:
        """Post ``payload``, and yield the answer while it comes in. Leaving the block closes the request.

        Raises:
            CopilotKitError: If the service cannot be reached, breaks off, is silent for too long, or refuses.
        """
        own = {"content-type": "application/json", "accept": accept}
        headers = {**await self._headers_for(context), **own, **UNCOMPRESSED}
        body = msgspec.json.encode(payload)
        with network_errors():
            async with AsyncExitStack() as stack:
                response = await self._send(stack, "POST", url, content=body, headers=headers)
                if not response.is_success:
                    raise await self._refuse(response)
                yield response

    async def post(self, url: str, payload: Mapping[str, Any], context: RunContext) -> Any:
        """Post ``payload``, and return what the answer's JSON holds.

        Raises:
            CopilotKitError: As ``stream``; also if the answer is not JSON.
        """
        async with self.stream(url, payload, context, accept="application/json") as response:
            return decode_body(await self._whole_body(response))

    async def get(self, url: str, context: RunContext) -> Any:
        """Get ``url``, and return what the answer's JSON holds. Raises as ``post`` does."""
        headers = {**await self._headers_for(context), "accept": "application/json", **UNCOMPRESSED}
        with network_errors():
            async with AsyncExitStack() as stack:
                response = await self._send(stack, "GET", url, headers=headers)
                if not response.is_success:
                    raise await self._refuse(response)
                return decode_body(await self._whole_body(response))

    async def _send(self, stack: AsyncExitStack, method: str, url: str, **request: Any) -> httpx.Response:
        """Send a request and follow its redirects; ``stack`` closes the answer."""
        followed = _SAME_METHOD if method == "POST" else _ANY_REDIRECT
        for left in reversed(range(_REDIRECTS_FOLLOWED + 1)):
            response = await stack.enter_async_context(
                self.client.stream(method, url, timeout=self._timeout, **request)
            )
            target = redirect_within_origin(response.url, response.headers)
            if target is None or response.status_code not in followed or not left:
                break
            await response.aclose()
            url = str(target)
        _check_uncompressed(response)
        return response

    async def _whole_body(self, response: httpx.Response) -> bytes:
        """Return a body that has an end. It may take as long to come as the service may be silent, and no longer.

        Raises:
            NetworkError: It takes longer.
            ProtocolError: It is too long.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout.read):
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER_BYTES:
                        raise ProtocolError(f"The remote service answered with more than {MAX_ANSWER_BYTES} bytes.")
        except TimeoutError as error:
            raise NetworkError("The remote service took too long to send its answer.") from error
        return bytes(body)

    async def _refuse(self, response: httpx.Response) -> CopilotKitError:
        refusal = self._refusal(response.status_code, str(response.url))
        body = await _start_of_body(response)
        # The body may hold stack traces: it is for the log, not for the client.
        target = f", redirecting to {response.headers['location'][:200]}" if "location" in response.headers else ""
        refusal.add_note(f"{response.request.method} {response.url} answered {response.status_code}{target}: {body}")
        return refusal

    async def _headers_for(self, context: RunContext) -> dict[str, str]:
        forwarded = {name: value for name, value in context.headers.items() if self._is_forwarded(name.lower())}
        return {**self._headers, **forwarded, **await self._hooked(context)}

    def _is_forwarded(self, name: str) -> bool:
        if name in self._own_names:
            return False
        if self._forward is not None:
            return name in self._forward
        return (name == "authorization" or name.startswith("x-")) and not is_infrastructure(name)

    async def _hooked(self, context: RunContext) -> Mapping[str, str]:
        if self._hook is None:
            return {}
        more = self._hook(context)
        return await more if inspect.isawaitable(more) else more


def redirect_within_origin(url: httpx.URL, headers: Mapping[str, str]) -> httpx.URL | None:
    """Return where an answer from ``url`` redirects to, or None if that is nowhere, or another origin."""
    try:
        target = url.join(headers["location"])
    except (KeyError, httpx.InvalidURL):
        return None
    return target if origin_of(target) == origin_of(url) and not target.userinfo else None


def origin_of(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return scheme, host and port, with the scheme's own port if the URL names none."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def checked_url(url: str) -> str:
    """Return ``url`` without its trailing slash.

    Raises:
        MisuseError: If it is not an absolute HTTP URL.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise MisuseError(f"Not a URL: {url!r}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise MisuseError(f"Not an absolute http or https URL: {url!r}")
    return url.rstrip("/")


def decode_body(body: bytes) -> Any:
    """Return what a JSON body holds.

    Raises:
        ProtocolError: If it is not JSON.
    """
    try:
        return decode_agent_json(body)
    except msgspec.DecodeError as error:
        raise ProtocolError("The remote service answered with something that is not JSON.") from error


def _own_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(limits=httpx.Limits(max_connections=None, max_keepalive_connections=100))


@contextmanager
def network_errors() -> Iterator[None]:
    """Raise the failures of httpx as the runtime's own errors."""
    try:
        yield
    except httpx.HTTPError as error:
        raise to_public_error(error) from error


def refusal_of(status: int, url: str) -> CopilotKitError:
    """Return the error for an HTTP status that is not a success."""
    if status in _UNAUTHORIZED:
        return AuthenticationError("The agent service did not accept our credentials.", status_code=status)
    if status == 404:
        return RemoteEndpointNotFoundError(url)
    if status in _ANY_REDIRECT:
        return CopilotKitError(
            f"The agent service answered with HTTP status {status}: it redirects to another place, which is not"
            " followed. Use the URL that it redirects to.",
            status_code=status,
        )
    kind = NetworkError if status in _UNAVAILABLE else CopilotKitError
    return kind(f"The agent service answered with HTTP status {status}.", status_code=status)


def _check_uncompressed(response: httpx.Response) -> None:
    """Check that what comes is what is sent.

    Raises:
        ProtocolError: The body is compressed, for which nobody asked.
    """
    encoding = compression_of(response.headers)
    if encoding is not None:
        raise ProtocolError(f"The remote service compressed its answer ({encoding[:20]}), for which nobody asked.")


async def _start_of_body(response: httpx.Response) -> str:
    if response.is_stream_consumed:
        return response.text[:_ERROR_BODY_BYTES]
    start = b""
    async for piece in response.aiter_bytes():
        start += piece
        if len(start) >= _ERROR_BODY_BYTES:
            break
    return start[:_ERROR_BODY_BYTES].decode("utf-8", "replace")

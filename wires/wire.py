"""The interface of a wire: a protocol that clients speak to the runtime."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from starlette.convertors import PathConvertor, register_url_convertor

from .http.body import Body
from .http.client import ClientRequest
from .http.cors import HeaderPairs
from .http.exchange import Exchange
from .http.refusal import Refusal


class Rendered(NamedTuple):
    """A whole answer: its status, its headers and its body."""

    status: int
    headers: HeaderPairs
    body: bytes = b""


class Page(NamedTuple):
    """A page for browsers: its HTML, and the content security policy that it is shown under."""

    html: str
    policy: str


Handler: TypeAlias = Callable[[Exchange, ClientRequest], Awaitable[None]]

EVERY_PATH = "/{suffix:every}"
"""The route of everything below the shared URL that has no other."""


class _Everything(PathConvertor):
    """All of a path. Starlette's own ends at a line's end, which ids may have."""

    regex = "(?s:.*)"


register_url_convertor("every", _Everything())


class WireRoute(NamedTuple):
    """A path below the shared URL, as Starlette writes it, and what answers there."""

    path: str
    handler: Handler
    wildcard: bool = False
    """Whether answers admit all origins by ``*``, where the settings admit all."""


class Renderer(Protocol):
    """Knows how refusals look to its clients."""

    def render(self, refusal: Refusal, exchange: Exchange) -> Rendered:
        """Return a refusal as the wire's clients expect it."""


class Routed(Renderer, Protocol):
    """Answers on paths of its own."""

    def routes(self) -> Sequence[WireRoute]:
        """Return the paths below the shared URL that it owns alone."""


class Wire(Routed, Protocol):
    """A protocol that clients speak: who may speak at all has been decided before it is called."""

    def accepts(self, body: Mapping[str, Any]) -> bool:
        """Return whether a JSON object that was posted to the shared URL is for this wire."""

    def page(self, exchange: Exchange) -> Page | None:
        """Return the page for a browser that opens the shared URL, or None."""

    async def answer(self, exchange: Exchange, client: ClientRequest, body: Body) -> None:
        """Answer a request on the shared URL.

        Raises:
            Refusal: The request cannot be answered.
        """

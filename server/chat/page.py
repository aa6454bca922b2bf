"""The chat page: local files under a strict content security policy."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ..guarded_files import files_route

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
FILES = Path(__file__).parent / "files"
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def page_routes(base: str) -> list[BaseRoute]:
    """Return the routes of the page below a runtime's URL: ``chat/`` and its files.

    Not for a runtime that is mounted at the root of an application, which may have a ``/chat`` itself.
    """

    async def to_page(_request: Request) -> Response:
        return RedirectResponse("chat/")

    return [Route(f"{base}/chat", to_page), files_route(f"{base}/chat", FILES, _HEADERS)]


def front_routes(base: str, *, graphiql: bool) -> list[BaseRoute]:
    """Return what browsers find at the root of a server that serves a runtime alone: the page, its icon, ``/docs``.

    Args:
        base: The path of the runtime's URL. Where it is the root itself, the page is only at ``chat/``.
        graphiql: Whether the runtime's URL shows GraphiQL, with the schema's documentation.
    """
    inside = base.lstrip("/")
    page = f"{inside}/chat/" if inside else "chat/"
    docs = (inside or "./") if graphiql else page

    async def front(_request: Request) -> Response:
        html = (FILES / "index.html").read_text("utf-8")
        return HTMLResponse(html.replace("<head>", f'<head>\n  <base href="{page}">', 1), headers=_HEADERS)

    async def icon(_request: Request) -> Response:
        return FileResponse(FILES / "icon.svg", headers=_HEADERS)

    async def to_docs(_request: Request) -> Response:
        return RedirectResponse(docs)

    routes: list[BaseRoute] = [Route("/favicon.ico", icon), Route("/docs", to_docs)]
    return [Route("/", front), *routes] if base else [*page_routes(""), *routes]

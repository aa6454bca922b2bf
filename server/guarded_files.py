"""Static files under a strict content security policy."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override


class GuardedFiles(StaticFiles):
    """Serves a folder's files with headers, also where no file has that name.

    Args:
        folder: The files. An editable installation links to them.
        headers: What each answer has.
    """

    def __init__(self, folder: Path, headers: dict[str, str]) -> None:
        super().__init__(directory=folder, html=True, follow_symlink=True)
        self._headers = headers

    @override
    def get_path(self, scope: Scope) -> str:
        # A mount takes the path apart by ``root_path``, which a proxy's prefix is in and what it sends is not.
        return super().get_path({"path": f"/{scope['path_params']['file']}", "root_path": ""})

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await super().__call__(scope, receive, guarded)


def files_route(path: str, folder: Path, headers: dict[str, str]) -> Route:
    """Return the route of a folder's files below ``path``, whatever prefix the application is served under."""
    return Route(f"{path}/{{file:path}}", GuardedFiles(folder, headers))

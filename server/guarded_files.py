"""Static files under a strict content security policy."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import MutableHeaders
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
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await super().__call__(scope, receive, guarded)

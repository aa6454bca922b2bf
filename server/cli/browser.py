"""Opens the chat page in the browser once the server answers."""

from __future__ import annotations

import threading
import time
import webbrowser
from http import HTTPStatus
from urllib.error import URLError
from urllib.request import urlopen

_PATIENCE_SECONDS = 60
_POLL_SECONDS = 0.2


def open_when_ready(page: str, health: str) -> None:
    """Open a page as soon as a server answers, from a thread that ends with the process.

    Args:
        page: The page's URL.
        health: What answers when the server is there.
    """
    threading.Thread(target=_open, args=(page, health), daemon=True).start()


def _open(page: str, health: str) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        if _answers(health):
            webbrowser.open(page)
            return
        time.sleep(_POLL_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=_POLL_SECONDS * 10) as response:  # noqa: S310 - the server's own address
            return bool(response.status == HTTPStatus.OK)
    except (URLError, OSError):
        return False  # it is still starting

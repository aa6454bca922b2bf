"""An AG-UI agent behind a URL."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Unpack

from ...runtime.errors import NetworkError, ProtocolError
from ...runtime.events import TERMINAL, Event, RunStarted
from ..transport import Transport, TransportSettings, checked_url
from .decoding import decode_stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from ...runtime.context import RunContext

_EVENT_STREAM = "text/event-stream"


class AGUIHttpAgent:
    """Runs an agent by posting to its URL and reading the event stream it answers with.

    Args:
        url: Where the agent is.
        description: What the client is shown about the agent.
        settings: As ``TransportSettings`` has them. Unless ``forward_headers`` names others, the agent receives what an
            agent in this process would see.

    Raises:
        MisuseError: If ``url`` is not an absolute HTTP URL.
    """

    def __init__(self, url: str, *, description: str = "", **settings: Unpack[TransportSettings]) -> None:
        checked_url(url)
        self.url = url
        self.description = description
        settings.setdefault("forward_headers", None)
        self._transport = Transport(**settings)

    async def events(self, payload: Mapping[str, Any], context: RunContext) -> AsyncGenerator[Event]:
        """Post a ``RunAgentInput`` to the agent and yield its events; closing the iterator closes the request.

        Raises:
            CopilotKitError: If the agent cannot be reached, refuses, breaks off, is silent for too long,
                answers with anything but AG-UI events, or reports that its run failed.
        """
        ended = False
        async with aclosing(decode_stream(self._pieces(payload, context))) as decoded:
            async for event in decoded:
                # One run may follow another in one stream.
                ended = isinstance(event, TERMINAL) or (ended and not isinstance(event, RunStarted))
                yield event
        if not ended:
            raise NetworkError("The agent service ended the stream before the run was over.")

    async def aclose(self) -> None:
        """Close the connections to the agent."""
        await self._transport.aclose()

    async def _pieces(self, payload: Mapping[str, Any], context: RunContext) -> AsyncGenerator[bytes]:
        async with self._transport.stream(self.url, payload, context, accept=_EVENT_STREAM) as response:
            _check_type(response.headers.get("content-type", _EVENT_STREAM))
            async for piece in response.aiter_bytes():
                yield piece


def _check_type(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != _EVENT_STREAM:
        raise ProtocolError(f"The agent service answered with {media_type}, not with an event stream.")

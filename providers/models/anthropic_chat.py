"""Anthropic's models."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from ...runtime.events import Event
from .anthropic_request import request_body
from .anthropic_stream import StreamReader
from .attachments import ANTHROPIC
from .chat import ChatModel
from .conversation import Exchange
from .failures import Vendor
from .options import ModelOptions
from .prompt import Prompt
from .server_sent import answered
from .transport import host_of
from .window import context_of

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

NOTHING_SAID = "Task completed successfully."


class AnthropicChat(ChatModel):
    """A model behind an ``AsyncAnthropic`` client.

    Args:
        client: The client.
        model: The model's name.
        options: How to use it.
        owned: Whether ``close`` closes the client.
    """

    takes = ANTHROPIC

    def __init__(self, client: AsyncAnthropic, model: str, options: ModelOptions, *, owned: bool = False) -> None:
        self._client = client
        self._model = model
        self._options = options
        self._owned = owned

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._model

    def named(self, name: str) -> AnthropicChat:
        """Return another model behind the same client."""
        return AnthropicChat(self._client, name, self._options)

    def load(self) -> None:
        """Have the SDK import its resources, and what newer ones trace requests with."""
        _ = self._client.messages.with_streaming_response
        with suppress(ImportError):
            import_module("opentelemetry.propagate")

    def answer(self, prompt: Prompt) -> AsyncGenerator[Event]:
        """Stream the model's answer."""
        fitting = prompt.within(self._options.context_tokens or context_of(self._model))
        address = host_of(self._client)
        origin = f"anthropic {address}"
        body = request_body(self._model, fitting, self._options, origin)
        create = self._client.messages.with_streaming_response.create
        reader = StreamReader(prompt.assembler(), _fallback(fitting))
        vendor = Vendor("Anthropic", address, _secrets(self._client))
        return answered(partial(create, **body), reader, vendor, partial(prompt.details.keep, origin))

    async def close(self) -> None:
        """Close the client if it was made for this model."""
        if self._owned:
            await self._client.close()


# Claude may have nothing to add to a tool's result, and a page that gets no message shows none.
def _fallback(prompt: Prompt) -> str | None:
    last = prompt.turns[-1] if prompt.turns else None
    return (last.results[-1] or NOTHING_SAID) if isinstance(last, Exchange) else None


def _secrets(client: AsyncAnthropic) -> list[str]:
    secrets = (getattr(client, name, None) for name in ("api_key", "auth_token"))
    return [secret for secret in secrets if secret]

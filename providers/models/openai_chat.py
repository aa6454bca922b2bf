"""Models that speak OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import TYPE_CHECKING

from ...runtime.events import Event
from .attachments import OPENAI
from .chat import ChatModel
from .failures import Vendor
from .openai_dialects import Dialect
from .openai_request import request_body
from .openai_stream import StreamReader
from .options import ModelOptions
from .prompt import Prompt
from .server_sent import answered
from .transport import host_of
from .window import context_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAIChat(ChatModel):
    """A model behind an ``AsyncOpenAI`` client, whichever vendor the client talks to.

    Args:
        client: The client.
        model: The model's name.
        dialect: The vendor's ways.
        options: How to use it.
        owned: Whether ``close`` closes the client.
    """

    takes = OPENAI

    def __init__(
        self, client: AsyncOpenAI, model: str, dialect: Dialect, options: ModelOptions, *, owned: bool = False
    ) -> None:
        self._client = client
        self._model = model
        self._dialect = dialect
        self._options = options
        self._owned = owned

    @property
    def name(self) -> str:
        """Return the model's name; at Azure, the deployment's."""
        return self._model

    def named(self, name: str) -> OpenAIChat:
        """Return another model behind the same client."""
        return OpenAIChat(self._client, name, self._dialect, self._options)

    def load(self) -> None:
        """Have the SDK import its resources: some five hundred modules."""
        _ = self._client.chat.completions.with_streaming_response

    def answer(self, prompt: Prompt) -> AsyncGenerator[Event]:
        """Stream the model's answer."""
        fitting = prompt.within(self._options.context_tokens or context_of(self._model))
        address = host_of(self._client)
        origin = f"openai {address}"
        body = request_body(self._model, fitting, self._dialect, self._options, origin)
        create = self._client.chat.completions.with_streaming_response.create
        vendor = Vendor(self._dialect.title, address, [str(self._client.api_key)])
        return answered(
            partial(create, **body), StreamReader(prompt.assembler()), vendor, partial(prompt.details.keep, origin)
        )

    async def close(self) -> None:
        """Close the client if it was made for this model."""
        if self._owned:
            await self._client.close()

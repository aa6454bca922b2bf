"""Clients for Anthropic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...runtime.errors import MissingVariableError
from ...runtime.optional import optional
from .anthropic_chat import AnthropicChat
from .chat import ChatModel
from .options import ModelOptions
from .transport import unlimited
from .vendors import VENDORS

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic


def open_chat(vendor: str, name: str, options: ModelOptions) -> ChatModel:
    """Open a model over a client made from the environment. Blocks while it imports the SDK.

    Raises:
        MissingExtraError: The SDK is not installed.
        MissingVariableError: The key is not set.
    """
    with optional(f"The model '{vendor}:{name}'", "anthropic"):
        import anthropic
    timeout = anthropic.Timeout(options.idle_seconds, connect=options.connect_seconds)
    client = anthropic.AsyncAnthropic(timeout=timeout, http_client=unlimited(anthropic))
    if not any(getattr(client, name, None) for name in ("api_key", "auth_token", "credentials")):
        raise MissingVariableError("ANTHROPIC_API_KEY")
    return AnthropicChat(client, name, options, owned=True)


def adopt(client: AsyncAnthropic, name: str | None, options: ModelOptions) -> ChatModel:
    """Return a model over a client that the user made, which keeps its own keys, limits and retries.

    Args:
        client: The client.
        name: The model; the default one if None.
        options: How to use it.
    """
    return AnthropicChat(client, name or VENDORS["anthropic"].default_model, options)

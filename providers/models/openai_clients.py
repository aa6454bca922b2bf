"""Clients for the vendors that speak OpenAI's protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...runtime.errors import ConfigurationError, MissingVariableError
from ...runtime.optional import optional
from .chat import ChatModel
from .missing_variables import missing_variable
from .openai_chat import OpenAIChat
from .openai_dialects import AZURE, COMPATIBLE, Dialect, dialect_at
from .options import ModelOptions
from .transport import unlimited
from .vendors import VENDORS

if TYPE_CHECKING:
    import openai


def open_chat(vendor: str, name: str, options: ModelOptions) -> ChatModel:
    """Open a model of ``vendor``, over a client made from the environment. Blocks while it imports the SDK.

    Raises:
        MissingExtraError: The SDK is not installed.
        MissingVariableError: The vendor's key or address is not set.
        ConfigurationError: The client cannot be made for another reason.
    """
    with optional(f"The model '{vendor}:{name}'", "openai"):
        import openai
    timeout = openai.Timeout(options.idle_seconds, connect=options.connect_seconds)
    try:
        client = _client(vendor, timeout=timeout, http_client=unlimited(openai))
    except (openai.OpenAIError, ValueError) as error:
        raise _refusal(vendor, name, error) from error
    return OpenAIChat(client, name, _dialect(vendor, client, options), options, owned=True)


def _refusal(vendor: str, name: str, error: Exception) -> ConfigurationError:
    variable = missing_variable(error)
    if variable is not None:
        return MissingVariableError(variable)
    return ConfigurationError(f"The model '{vendor}:{name}' could not be set up: {error}")


def adopt(client: openai.AsyncOpenAI, name: str | None, options: ModelOptions) -> ChatModel:
    """Return a model over a client that the user made, which keeps its own keys, limits and retries.

    Args:
        client: The client, of any base URL.
        name: The model; the default one of ``openai`` if None.
        options: How to use it.
    """
    import openai

    vendor = "azure" if isinstance(client, openai.AsyncAzureOpenAI) else "openai"
    return OpenAIChat(client, name or VENDORS[vendor].default_model, _dialect(vendor, client, options), options)


def _dialect(vendor: str, client: openai.AsyncOpenAI, options: ModelOptions) -> Dialect:
    dialect = AZURE if vendor == "azure" else COMPATIBLE.get(vendor) or dialect_at(client.base_url.host)
    return dialect.keeping_system_role() if options.keep_system_role else dialect


def _client(vendor: str, **transport: Any) -> openai.AsyncOpenAI:
    import openai

    if vendor == "openai":
        return openai.AsyncOpenAI(**transport)
    if vendor == "azure":
        return openai.AsyncAzureOpenAI(**transport)
    dialect = COMPATIBLE[vendor]
    return openai.AsyncOpenAI(api_key=_key(dialect), base_url=_base_url(dialect), **transport)


# Without one of its own, the SDK would send the vendor the key for OpenAI.
def _key(dialect: Dialect) -> str:
    if not dialect.key_variable:
        return "none"
    key = os.environ.get(dialect.key_variable)
    if not key:
        raise MissingVariableError(dialect.key_variable)
    return key


def _base_url(dialect: Dialect) -> str | None:
    url = os.environ.get(dialect.url_variable)
    if not url:
        return dialect.base_url
    return _ollama_url(url) if dialect.title == "Ollama" else url


# OLLAMA_HOST is Ollama's own variable: a host, with or without scheme and port, and without the path.
def _ollama_url(host: str) -> str:
    if "://" not in host:
        host = f"http://{host}" if ":" in host else f"http://{host}:11434"
    host = host.rstrip("/")
    return host if host.endswith("/v1") else f"{host}/v1"

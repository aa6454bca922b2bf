"""Models by name: which vendor ``vendor:model`` means, and where its models come from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import cast

import msgspec

from ...runtime.errors import MisuseError
from ...runtime.per_loop import PerLoop
from .attachments import ANTHROPIC, LANGCHAIN, OPENAI
from .chat import ChatModel
from .options import ModelOptions

Opener = Callable[[str, str, ModelOptions], ChatModel]


class Vendor(msgspec.Struct, kw_only=True, frozen=True):
    """A vendor that is reached without LangChain.

    Attributes:
        default_model: What answers when a vendor is named without a model: the TypeScript adapter's default.
        opener: The module beside this one whose ``open_chat`` makes its models.
        takes: What its protocol takes besides texts and pictures.
    """

    default_model: str
    opener: str
    takes: frozenset[str] = OPENAI


VENDORS = {
    "openai": Vendor(default_model="gpt-4o", opener="openai_clients"),
    "azure": Vendor(default_model="gpt-4o", opener="openai_clients"),
    "groq": Vendor(default_model="llama-3.3-70b-versatile", opener="openai_clients"),
    "unify": Vendor(default_model="gpt-4o@openai", opener="openai_clients"),
    "ollama": Vendor(default_model="llama3:latest", opener="openai_clients"),
    "anthropic": Vendor(default_model="claude-3-5-sonnet-latest", opener="anthropic_clients", takes=ANTHROPIC),
}
_BY_PREFIX = {
    "gpt-": "openai",
    "chatgpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude": "anthropic",
}
_CLOSE = 0.8
"""How alike a vendor must be to be a misspelt one. LangChain's own names, such as ``azure_ai``, are less alike."""
_ASSISTANTS = ("openai-assistant", "openai_assistant")
NO_ASSISTANTS = (
    "OpenAI Assistants are not supported: OpenAI shut the Assistants API down on 26 August 2026. Name a model, such as"
    " 'openai:gpt-4o', and give the runtime actions or an agent instead."
)


class Vendors:
    """The models named so far, each made once and kept, so that runs share its connections.

    Args:
        options: How models are to be used.
    """

    def __init__(self, options: ModelOptions) -> None:
        self._options = options
        self._chats: dict[str, ChatModel] = {}
        self._opening = PerLoop(asyncio.Lock)

    async def chat(self, spec: str) -> ChatModel:
        """Return the model called ``spec``.

        Args:
            spec: ``vendor:model``, a vendor alone for its default model, or a model whose vendor is known.

        Raises:
            MissingExtraError: The vendor's package is not installed.
            MissingVariableError: The vendor's key or address is not set.
            ConfigurationError: The model could not be set up for another reason.
            MisuseError: The vendor is unknown.
        """
        vendor, name = split(spec)
        if vendor not in VENDORS:
            return await self._opened(spec, "langchain_named", vendor, name)
        chat = await self._opened(vendor, VENDORS[vendor].opener, vendor, name)
        return chat if chat.name == name else chat.named(name)

    async def close(self) -> None:
        """Close all connections."""
        chats, self._chats = self._chats, {}
        for chat in chats.values():
            await chat.close()

    # SDKs take a second or more to import, which would hold up every other run.
    async def _opened(self, key: str, opener: str, vendor: str, name: str) -> ChatModel:
        if key in self._chats:
            return self._chats[key]
        async with self._opening.here:
            if key not in self._chats:
                self._chats[key] = await asyncio.to_thread(_open, opener, vendor, name, self._options)
            return self._chats[key]


def check_spelling(spec: str) -> None:
    """Check that a vendor and a model are written with a colon between them, and the vendor as it is spelt.

    Raises:
        MisuseError: It is a slash, as other libraries have it, or the vendor is nearly one of those here.
    """
    vendor, slash, name = spec.strip().partition("/")
    if slash and ":" not in vendor:
        raise MisuseError(f"{spec!r} names no vendor. Write it as '{vendor}:{name}'.")
    vendor, colon, name = spec.strip().partition(":")
    close = get_close_matches(vendor.lower(), VENDORS, n=1, cutoff=_CLOSE) if colon and vendor not in VENDORS else []
    if close:
        raise MisuseError(f"{spec!r} names no vendor. Did you mean '{close[0]}:{name}'?")


def split(spec: str) -> tuple[str, str]:
    """Return the vendor and the model that ``spec`` names; an empty vendor when only LangChain may know it.

    Raises:
        MisuseError: It names nothing, or an OpenAI assistant, or is written with a slash for the colon.
    """
    check_spelling(spec)
    vendor, colon, name = spec.strip().partition(":")
    if vendor in _ASSISTANTS:
        raise MisuseError(NO_ASSISTANTS)
    if not vendor or (colon and not name):
        raise MisuseError(f"{spec!r} names no model. Write it as 'vendor:model', such as 'openai:gpt-4o'.")
    if colon:
        return vendor, name
    if vendor in VENDORS:
        return vendor, VENDORS[vendor].default_model
    return next((known for prefix, known in _BY_PREFIX.items() if vendor.startswith(prefix)), ""), vendor


def vendor_takes(spec: str) -> frozenset[str]:
    """Return what the model called ``spec`` takes besides texts and pictures.

    Raises:
        MisuseError: As ``split`` does.
    """
    vendor, _ = split(spec)
    return VENDORS[vendor].takes if vendor in VENDORS else LANGCHAIN


def _open(opener: str, vendor: str, name: str, options: ModelOptions) -> ChatModel:
    open_chat = cast("Opener", import_module(f".{opener}", __package__).open_chat)
    chat = open_chat(vendor, name, options)
    chat.load()
    return chat

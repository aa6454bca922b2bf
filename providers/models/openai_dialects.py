"""How the vendors that speak OpenAI's protocol differ."""

from __future__ import annotations

from typing import Literal

import msgspec


class Dialect(msgspec.Struct, kw_only=True, frozen=True):
    """One vendor's way of OpenAI's chat completions.

    Attributes:
        title: The vendor, as errors call it.
        instructions: The role of system texts.
        developer: The role of developer texts.
        token_limit: The name of the limit on an answer's length.
        base_url: Where it answers, if not where the SDK asks by itself.
        key_variable: The environment variable with its key.
        url_variable: The environment variable with another base URL.
    """

    title: str
    instructions: Literal["developer", "system"] = "system"
    developer: Literal["developer", "system"] = "system"
    token_limit: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"  # noqa: S105
    base_url: str | None = None
    key_variable: str = ""
    url_variable: str = ""

    def keeping_system_role(self) -> Dialect:
        """The same, with system texts sent as such."""
        return msgspec.structs.replace(self, instructions="system")


OPENAI = Dialect(
    title="OpenAI",
    instructions="developer",
    developer="developer",
    token_limit="max_completion_tokens",  # noqa: S106
)
AZURE = msgspec.structs.replace(OPENAI, title="Azure OpenAI")
COMPATIBLE = {
    "groq": Dialect(
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_variable="GROQ_API_KEY",
        url_variable="GROQ_BASE_URL",
    ),
    "unify": Dialect(
        title="Unify",
        base_url="https://api.unify.ai/v0/",
        key_variable="UNIFY_API_KEY",
        url_variable="UNIFY_BASE_URL",
    ),
    "ollama": Dialect(
        title="Ollama",
        base_url="http://localhost:11434/v1",
        url_variable="OLLAMA_HOST",
    ),
}

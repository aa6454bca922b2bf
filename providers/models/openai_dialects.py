"""The differences between vendors that speak OpenAI's protocol."""

from __future__ import annotations

from typing import Literal

import msgspec

_REASONING = ("gpt-5", "o1", "o3", "o4")


class Dialect(msgspec.Struct, kw_only=True, frozen=True):
    """One vendor's way of OpenAI's chat completions.

    Attributes:
        title: The vendor, as errors call it.
        instructions: The role of system texts.
        developer: The role of developer texts.
        token_limit: The name of the limit on an answer's length.
        needs_user: Whether a conversation of instructions alone is refused.
        reports_usage: Whether it may be asked to report what an answer cost. Others are not, as some refuse the request
            then; what they report unasked counts.
        base_url: Where it answers, if not where the SDK asks by itself.
        key_variable: The environment variable with its key.
        url_variable: The environment variable with another base URL.
    """

    title: str
    instructions: Literal["developer", "system"] = "system"
    developer: Literal["developer", "system"] = "system"
    token_limit: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"  # noqa: S105
    needs_user: bool = True
    reports_usage: bool = False
    base_url: str | None = None
    key_variable: str = ""
    url_variable: str = ""

    def keeping_system_role(self) -> Dialect:
        """Return the same, with system texts sent as such."""
        return msgspec.structs.replace(self, instructions="system")

    def token_limit_of(self, model: str) -> str:
        """Return the name of the limit for ``model``: OpenAI's reasoning models refuse the older one anywhere."""
        reasons = model.rpartition("/")[2].startswith(_REASONING)
        return "max_completion_tokens" if reasons else self.token_limit


OPENAI = Dialect(
    title="OpenAI",
    instructions="developer",
    developer="developer",
    token_limit="max_completion_tokens",  # noqa: S106
    needs_user=False,
    reports_usage=True,
)
AZURE = msgspec.structs.replace(OPENAI, title="Azure OpenAI", reports_usage=False)
OTHER = Dialect(title="OpenAI")
"""A server that speaks OpenAI's protocol and is not known: roles and settings that all of them take."""

_OPENAI_HOSTS = ("api.openai.com",)
_AZURE_HOSTS = ("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com")
COMPATIBLE = {
    "groq": Dialect(
        title="Groq",
        reports_usage=True,
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
        reports_usage=True,
        base_url="http://localhost:11434/v1",
        url_variable="OLLAMA_HOST",
    ),
}


def dialect_at(host: str) -> Dialect:
    """Return the dialect that the server at ``host`` speaks."""
    if _is_within(host, _OPENAI_HOSTS):
        return OPENAI
    return AZURE if _is_within(host, _AZURE_HOSTS) else OTHER


def _is_within(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)

"""Copilot Cloud's guardrails (docs/contract.md, section 3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ..errors import CopilotKitError, NetworkError, ProtocolError
from ..optional import optional
from .interface import ALLOWED, Guardrail, InputCheck, Verdict, denied

if TYPE_CHECKING:
    import httpx

_SHOWN_ROLES = ("user", "assistant")


class _Answer(msgspec.Struct):
    status: Literal["allowed", "denied"]
    reason: str | None = None


class CloudGuardrail(Guardrail):
    """Asks a service that speaks Copilot Cloud's protocol, with the client's public key and the client's topics.

    Args:
        base_url: Where the service is, without ``/guardrails/validate``.
        timeout: Seconds that an answer may take.
        client: A client to use instead of an own one. It stays its giver's to close.
    """

    name = "cloud"

    def __init__(self, base_url: str, *, timeout: float = 10.0, client: httpx.AsyncClient | None = None) -> None:
        self._url = f"{base_url.rstrip('/')}/guardrails/validate"
        self._timeout = timeout
        self._given = client
        self._own: httpx.AsyncClient | None = None

    async def check_input(self, check: InputCheck) -> Verdict:
        """Return the service's judgement.

        Raises:
            CopilotKitError: It cannot be reached, refuses, or answers in a wrong form.
        """
        answer = await self._post(_question(check), {"X-CopilotCloud-Public-API-Key": check.cloud_key or ""})
        return ALLOWED if answer.status == "allowed" else denied(answer.reason or "")

    async def stop(self) -> None:
        """Close the connections to the service."""
        if self._own is not None:
            await self._own.aclose()
            self._own = None

    async def _post(self, question: dict[str, Any], headers: dict[str, str]) -> _Answer:
        client = self._client()
        from httpx import HTTPError

        try:
            response = await client.post(self._url, json=question, headers=headers, timeout=self._timeout)
        except HTTPError as error:
            raise NetworkError("The guardrails service could not be reached.") from error
        if not response.is_success:
            raise CopilotKitError("The guardrails service rejected the request.", status_code=response.status_code)
        try:
            return msgspec.json.decode(response.content, type=_Answer)
        except msgspec.MsgspecError as error:
            raise ProtocolError("The guardrails service returned an invalid response.") from error

    def _client(self) -> httpx.AsyncClient:
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = _new_client()
        return self._own


def _new_client() -> httpx.AsyncClient:
    with optional("Copilot Cloud's guardrails", "cloud"):
        import httpx
    return httpx.AsyncClient()


def _question(check: InputCheck) -> dict[str, Any]:
    return {
        "input": check.text,
        "validTopics": list(check.valid_topics),
        "invalidTopics": list(check.invalid_topics),
        "messages": [{"role": m.role, "content": m.content} for m in check.history if m.role in _SHOWN_ROLES],
    }

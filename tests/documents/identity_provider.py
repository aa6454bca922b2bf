"""An identity provider: its published keys, and the tokens that it signs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from copilotkit_runtime.testing import Request, ScriptedService, head

_KEY = ec.generate_private_key(ec.SECP256R1())
_NAME = "the-key"
_NEVER = 2**40


@asynccontextmanager
async def identity_provider(_: Path) -> AsyncIterator[str]:
    """The provider, wherever its keys are asked for."""
    key = {**ECAlgorithm.to_jwk(_KEY.public_key(), as_dict=True), "kid": _NAME, "alg": "ES256", "use": "sig"}

    async def answer(_request: Request) -> AsyncIterator[bytes]:
        body = json.dumps({"keys": [key]}).encode()
        yield head("application/json", length=len(body)) + body

    async with ScriptedService(answer) as service:
        yield service.url


def token(issuer: str, audience: str) -> str:
    """A token of somebody who has signed in."""
    claims = {"sub": "ann", "iss": issuer, "aud": audience, "exp": _NEVER}
    return jwt.encode(claims, _KEY, "ES256", headers={"kid": _NAME})

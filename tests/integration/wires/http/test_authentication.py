"""Who is let in by a server process, and what is then known of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.server.process import Running, running
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.key_server import publishing
from tests.support.request_bodies import generate, text_message

SECRET = "a secret that is long enough for HMAC"
HELLO = {"query": "{hello}"}


def token(key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    content = {"sub": "ann", "exp": time.time() + 60, "aud": "chat", "iss": "idp", **claims}
    return jwt.encode({name: value for name, value in content.items() if value is not None}, key, algorithm)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = {"jwt_secret": SECRET, "jwt_audience": "chat", "jwt_issuer": "idp", "api_keys": "bob:key-of-bob"}
    with running(tmp_path_factory.mktemp("authentication"), **settings) as server:
        yield server


def asked(server: Running, **headers: str) -> httpx.Response:
    return httpx.post(
        server.url, json=HELLO, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_a_token_and_a_key_let_in(server: Running) -> None:
    assert asked(server, authorization=f"Bearer {token()}").status_code == 200
    assert asked(server, authorization="Bearer key-of-bob").status_code == 200
    assert asked(server, x_api_key="key-of-bob").status_code == 200


BAD = {
    "of another secret": token(key=SECRET * 2),
    "of another algorithm": token(key=SECRET * 2, algorithm="HS512"),
    "not signed": token(key=None, algorithm="none"),
    "not signed, with a signature": token(key=None, algorithm="none") + "c2lnbmVk",
    "expired": token(exp=time.time() - 60),
    "for ever": token(exp=None),
    "of nobody": token(sub=None),
    "not yet": token(nbf=time.time() + 600),
    "for others": token(aud="another"),
    "for nobody": token(aud=None),
    "by others": token(iss="another"),
    "broken": token() + "x",
    "no token": "x.y.z",
}


@pytest.mark.parametrize("shown", BAD.values(), ids=BAD.keys())
def test_another_token_lets_nobody_in(server: Running, shown: str) -> None:
    refused = asked(server, authorization=f"Bearer {shown}")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    told = refused.json()["errors"][0]
    assert (told["message"], told["extensions"]["code"]) == ("Valid credentials are needed.", "AUTHENTICATION_ERROR")


def test_the_public_key_is_not_taken_for_the_secret_of_hmac(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = forged_with(public)
    with running(tmp_path, jwt_public_key=public.decode()) as server:
        assert asked(server, authorization=f"Bearer {token(key, 'RS256', aud=None)}").status_code == 200
        assert asked(server, authorization=f"Bearer {forged}").status_code == 401
        assert asked(server, authorization=f"Bearer {token()}").status_code == 401


def test_keys_that_are_published_let_in_and_are_an_error_while_they_cannot_be_fetched(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    signed = jwt.encode({"sub": "ann", "exp": time.time() + 60}, key, "RS256", headers={"kid": "k"})
    with publishing(key) as publisher, running(tmp_path, jwt_jwks_url=publisher.url) as server:
        assert asked(server, authorization=f"Bearer {signed}").status_code == 200
        other = token(rsa.generate_private_key(65537, 2048), "RS256", aud=None)
        assert asked(server, authorization=f"Bearer {other}").status_code == 401
    with running(tmp_path, jwt_jwks_url=publisher.url) as server:
        failed = asked(server, authorization=f"Bearer {signed}")
        told = failed.json()["errors"][0]
        assert (told["message"], told["extensions"]["code"]) == (
            "The keys of access tokens cannot be fetched.",
            "NETWORK_ERROR",
        )


def forged_with(public: bytes) -> str:
    """A token signed with HMAC and the public key, which PyJWT itself refuses to make."""
    import hmac
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    def part(data: bytes) -> bytes:
        return urlsafe_b64encode(data).rstrip(b"=")

    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(b'{"sub":"ann","exp":%d}' % (time.time() + 60))
    return (signed + b"." + part(hmac.digest(public, signed, sha256))).decode()


async def test_the_caller_reaches_the_agent_the_hooks_and_the_log(server: Running) -> None:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token(sub='eve')}"}, timeout=20) as http:
        answer = await ask(http, server.url, generate(text_message("hi"), agent="witness", threadId="of-eve"))
    assert fold(answer.parts)["messages"][0]["content"] == ["eve []"]
    for hook in ("before", "after"):
        server.await_event("hook_told", hook=hook, asker="eve")
    line = server.await_event("run_ended", thread_id="of-eve")
    assert (line["identity"], line["agent"]) == ("eve", "witness")
    assert {"run_id", "correlation_id"} <= line.keys()
    assert SECRET not in server.log.read_text()
    assert "eyJ" not in server.log.read_text()

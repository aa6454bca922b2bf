"""API keys and JWTs."""

from __future__ import annotations

import re
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from starlette.requests import HTTPConnection
from structlog.testing import capture_logs

from copilotkit_runtime import RuntimeConfig
from copilotkit_runtime.runtime.errors import ConfigurationError, MisuseError
from copilotkit_runtime.wires.http.auth import (
    ApiKeyAuth,
    Authenticator,
    FirstOf,
    Identity,
    JwtAuth,
    authentication,
    configured,
    identify,
)

SECRET = "a secret that is long enough for HMAC"


def request(**headers: str) -> HTTPConnection:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": pairs})


async def ask(auth: Authenticator, **headers: str) -> Identity | None:
    return await identify(auth.authenticate, request(**headers))


def token(key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    content = {"sub": "me", "exp": time.time() + 60, **claims}
    kept = {name: value for name, value in content.items() if value is not None}
    return "Bearer " + jwt.encode(kept, key, algorithm, headers={"kid": "k"})


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def public(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer k2"}, {"authorization": "bearer k2"}, {"x_api_key": "k2"}]
)
async def test_a_key_names_its_identity(headers: dict[str, str]) -> None:
    assert await ask(ApiKeyAuth({"you": "k1", "me": ["k2", "k3"]}), **headers) == Identity("me")


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer nope"}, {"authorization": "Basic k"}, {"x_api_key": ""}]
)
async def test_another_key_names_nobody(headers: dict[str, str]) -> None:
    assert await ask(ApiKeyAuth({"me": "k"}), **headers) is None


async def test_a_token_names_its_subject_and_brings_its_claims() -> None:
    identity = await ask(JwtAuth(secret=SECRET), authorization=token(role="admin"))
    assert identity is not None
    assert (identity.id, identity.claims["role"]) == ("me", "admin")


@pytest.mark.parametrize(
    "claims", [{"exp": 1}, {"exp": None}, {"sub": None}, {"aud": "other"}, {"iss": "other"}, {"nbf": 1e12}]
)
async def test_a_token_that_is_old_or_incomplete_or_for_others_names_nobody(claims: dict[str, Any]) -> None:
    auth = JwtAuth(secret=SECRET, audience="us", issuer="them")
    good = {"aud": "us", "iss": "them"}
    assert await ask(auth, authorization=token(**good)) is not None
    assert await ask(auth, authorization=token(**{**good, **claims})) is None


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "you"}, "audience"),
        ({"iss": "others"}, "issuer"),
        ({"exp": 1}, "expired"),
        ({"sub": None}, "sub"),
        ({"sub": " "}, "subject"),
    ],
)
async def test_the_log_has_why_a_token_is_refused_and_not_the_token(claims: dict[str, Any], reason: str) -> None:
    shown = token(**{"aud": "us", "iss": "them", **claims})
    with capture_logs() as logs:
        assert await ask(JwtAuth(secret=SECRET, audience="us", issuer="them"), authorization=shown) is None
    (entry,) = logs
    assert entry["event"] == "token_refused"
    assert re.search(reason, entry["reason"], re.IGNORECASE)
    assert shown.removeprefix("Bearer ") not in str(entry)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
async def test_clocks_may_differ_by_the_leeway_and_no_more(name: str) -> None:
    towards = -1 if name == "exp" else 1
    auth = JwtAuth(secret=SECRET, leeway=600)
    assert await ask(auth, authorization=token(**{name: time.time() + towards * 500})) is not None
    assert await ask(auth, authorization=token(**{name: time.time() + towards * 700})) is None


@pytest.mark.parametrize("name", ["secret", "public_key", "jwks_url"])
def test_an_empty_key_is_refused_instead_of_letting_everybody_in(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        JwtAuth(**{name: " "})  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", [{}, {"me": ""}, {"me": []}, {"": "k"}, {"me": ["k", " "]}])
def test_api_keys_that_are_none_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="API keys"):
        ApiKeyAuth(keys)


def test_production_needs_authentication_or_a_setting_that_admits_everybody() -> None:
    production = RuntimeConfig(env="production")
    with pytest.raises(ConfigurationError, match='auth = "none"'):
        authentication(None, production)
    assert authentication(None, RuntimeConfig(env="production", auth="none")) is None
    assert authentication("none", production) is None
    assert authentication(None, RuntimeConfig()) is None
    assert authentication(ApiKeyAuth({"me": "k"}), production) is not None


def test_authentication_cannot_be_set_and_disabled_at_once() -> None:
    with pytest.raises(ConfigurationError, match="'none'"):
        authentication(ApiKeyAuth({"me": "k"}), RuntimeConfig(auth="none"))
    with pytest.raises(ConfigurationError, match="'none'"):
        authentication("none", RuntimeConfig(api_keys=("me:k",)))


async def test_a_token_of_another_key_or_none_names_nobody() -> None:
    auth = JwtAuth(secret=SECRET)
    unsigned = "Bearer " + jwt.encode({"sub": "me", "exp": time.time() + 60}, None, "none")
    for shown in (token(key=SECRET * 2), unsigned, "Bearer x.y.z", "Basic x"):
        assert await ask(auth, authorization=shown) is None


async def test_a_public_key_verifies_and_is_never_taken_for_a_secret(key: rsa.RSAPrivateKey, public: str) -> None:
    auth = JwtAuth(public_key=public)
    assert await ask(auth, authorization=token(key, "RS256")) is not None
    assert await ask(auth, authorization=token("x" * 32, "HS256")) is None
    with pytest.raises(ConfigurationError, match="HS"):
        JwtAuth(public_key=public, algorithms=["HS256"])


async def test_settings_make_authenticators() -> None:
    auth = configured(RuntimeConfig(api_keys=("me:k:with:colons", "me:k2"), jwt_secret=SECRET))
    assert isinstance(auth, FirstOf)
    assert await ask(auth, x_api_key="k:with:colons") == Identity("me")
    assert await ask(auth, authorization=token()) is not None
    assert configured(RuntimeConfig()) is None


@pytest.mark.parametrize("algorithm", ["none", "RS999", "HS256"])
def test_an_algorithm_that_would_let_anybody_or_nobody_in_is_refused(public: str, algorithm: str) -> None:
    with pytest.raises(ConfigurationError, match="jwt_algorithms"):
        JwtAuth(public_key=public, algorithms=[algorithm])


@pytest.mark.parametrize("text", ["no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_a_public_key_that_is_none_is_reported_at_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="jwt_public_key"):
        JwtAuth(public_key=text)


def test_one_source_of_keys_is_needed(key: rsa.RSAPrivateKey) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for sources in ({}, {"secret": SECRET, "public_key": private}):
        with pytest.raises(ConfigurationError, match="one of"):
            JwtAuth(**sources)


@pytest.mark.parametrize("head", [b'{"alg":"HS256","a":' + b"[" * 40_000, b"[" * 40_000, b"9" * 40_000, b"{}", b"\xff"])
async def test_a_token_whose_head_is_no_json_of_a_token_names_nobody(head: bytes) -> None:
    shown = urlsafe_b64encode(head).rstrip(b"=").decode()
    for auth in (JwtAuth(secret=SECRET), JwtAuth(jwks_url="http://127.0.0.1:1/")):
        assert await ask(auth, authorization=f"Bearer {shown}.e30.c2ln") is None


@pytest.mark.parametrize("subject", ["", "  "])
async def test_a_token_of_an_empty_subject_names_nobody(subject: str) -> None:
    assert await ask(JwtAuth(secret=SECRET), authorization=token(sub=subject)) is None


@pytest.mark.parametrize("id_", ["", " ", None, 7])
def test_an_identity_has_a_name(id_: Any) -> None:
    with pytest.raises(MisuseError, match="not empty"):
        Identity(id_)

"""Keys that an identity provider publishes: who has a known one waits for nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import HTTPConnection

from copilotkit_runtime.runtime.errors import NetworkError
from copilotkit_runtime.wires.http import published_keys
from copilotkit_runtime.wires.http.auth import Identity, JwtAuth
from tests.support.key_server import Publisher, publishing
from tests.support.polling import until


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return new_key()


@pytest.fixture
def publisher(key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setattr(published_keys, "PAUSE_SECONDS", 0.05)
    with publishing(key) as publisher:
        yield publisher


async def ask(auth: JwtAuth, key: rsa.RSAPrivateKey, key_id: str = "k") -> str | None:
    """Show a token; return whose it is, if it is anybody's."""
    shown = jwt.encode({"sub": "me", "exp": time.time() + 60}, key, "RS256", headers={"kid": key_id})
    headers = [(b"authorization", f"Bearer {shown}".encode())]
    identity = await auth.authenticate(HTTPConnection({"type": "http", "headers": headers}))
    return identity.id if isinstance(identity, Identity) else None


async def await_look(publisher: Publisher, number: int) -> None:
    """Wait until the keys are being fetched for the ``number``-th time."""

    async def is_begun() -> bool:
        return publisher.fetched == number

    await until(is_begun)


async def test_published_keys_verify(key: rsa.RSAPrivateKey, publisher: Publisher) -> None:
    auth = JwtAuth(jwks_url=publisher.url)
    assert await ask(auth, key) == "me"
    assert await ask(auth, new_key()) is None
    assert publisher.fetched == 1


async def test_a_key_that_was_just_published_verifies_at_once(key: rsa.RSAPrivateKey, publisher: Publisher) -> None:
    auth = JwtAuth(jwks_url=publisher.url)
    assert await ask(auth, key) == "me"
    publisher.keys["new"] = new_key()
    assert await ask(auth, publisher.keys["new"], "new") == "me"


async def test_keys_that_cannot_be_fetched_are_an_error_and_no_refusal(key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(NetworkError):
        await ask(JwtAuth(jwks_url="http://127.0.0.1:1/"), key)


async def test_a_token_of_an_unknown_key_holds_up_nobody_else(key: rsa.RSAPrivateKey, publisher: Publisher) -> None:
    auth = JwtAuth(jwks_url=publisher.url)
    assert await ask(auth, key) == "me"
    publisher.answers.clear()
    forged = [asyncio.create_task(ask(auth, key, f"made up {number}")) for number in range(20)]
    await await_look(publisher, 2)
    assert await ask(auth, key) == "me"
    assert not any(task.done() for task in forged)
    publisher.answers.set()
    assert await asyncio.gather(*forged) == [None] * 20
    assert publisher.fetched <= 3, "one look serves all who wait for one"


async def test_a_request_that_is_given_up_leaves_the_look_to_the_next(
    key: rsa.RSAPrivateKey, publisher: Publisher
) -> None:
    auth = JwtAuth(jwks_url=publisher.url)
    publisher.answers.clear()
    given_up, waiting = (asyncio.create_task(ask(auth, key)) for _ in range(2))
    await await_look(publisher, 1)
    given_up.cancel()
    await asyncio.wait([given_up])
    publisher.answers.set()
    assert await waiting == "me"


async def test_known_keys_are_used_on_while_the_provider_does_not_answer(
    key: rsa.RSAPrivateKey, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = JwtAuth(jwks_url=publisher.url)
    assert await ask(auth, key) == "me"
    publisher.keys.clear()
    monkeypatch.setattr(published_keys, "FRESH_SECONDS", 0.0)
    assert [await ask(auth, key) for _ in range(3)] == ["me"] * 3
    assert publisher.fetched == 2, "a provider that is away is not asked for each request"
    with pytest.raises(NetworkError):
        await ask(auth, new_key(), "unknown")
    monkeypatch.setattr(published_keys, "MOST_SECONDS", 0.0)
    with pytest.raises(NetworkError):
        await ask(auth, key)


async def test_a_key_that_was_withdrawn_is_used_no_longer_than_it_is_fresh(
    key: rsa.RSAPrivateKey, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = JwtAuth(jwks_url=publisher.url)
    assert await ask(auth, key) == "me"
    publisher.keys["other"] = publisher.keys.pop("k")
    assert await ask(auth, key) == "me"
    monkeypatch.setattr(published_keys, "FRESH_SECONDS", 0.0)
    assert await ask(auth, key) is None

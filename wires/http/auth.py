"""Authentication: the `Authenticator` interface, API keys and JWT."""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec
import structlog
from starlette.requests import HTTPConnection
from typing_extensions import override

from ...runtime.descriptions import described
from ...runtime.errors import ConfigurationError, MisuseError
from ...runtime.optional import optional
from .published_keys import PublishedKeys

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ...runtime.config import RuntimeConfig

NO_AUTHENTICATION = (
    "Production needs authentication. Set api_keys, or one of jwt_secret, jwt_public_key and"
    " jwt_jwks_url, or give CopilotRuntime(auth=...) an authenticator. If everybody is to be let in, for example"
    ' because a proxy or your own application authenticates, set auth = "none" (COPILOTKIT_AUTH=none).'
)

_MOST_CHARACTERS = 200
"""How much of what is wrong with a token is logged."""
_HMAC = ("HS256",)
_PUBLIC_KEY = ("RS256", "ES256")

log = structlog.get_logger(__name__)


class Identity(msgspec.Struct, frozen=True):
    """An authenticated caller: ``id`` owns threads and is counted by limits, ``claims`` is what else is known of them.

    Raises:
        MisuseError: ``id`` is not a text, or empty: all callers without one would be one person.
    """

    id: str
    claims: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        """Check the id."""
        id_: object = self.id  # which an application gives
        if not isinstance(id_, str) or not id_.strip():
            raise MisuseError("An identity's id is a text that is not empty.")


class Authenticator(ABC):
    """Identifies the caller. A subclass may also await."""

    @abstractmethod
    def authenticate(self, request: HTTPConnection) -> Identity | Awaitable[Identity | None] | None:
        """Return who sends the request, or None if it shows no valid credentials."""


Authenticate: TypeAlias = Callable[[HTTPConnection], Identity | Awaitable[Identity | None] | None]


async def identify(authenticate: Authenticate, request: HTTPConnection) -> Identity | None:
    """Call an authenticator, whether it awaits or not."""
    answer = authenticate(request)
    return await answer if isawaitable(answer) else answer


def bearer_token(request: HTTPConnection) -> str | None:
    """Return the token of an ``Authorization: Bearer`` header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


class ApiKeyAuth(Authenticator):
    """Knows identities by the key they show, as a bearer token or in ``X-API-Key``.

    Args:
        keys: Keys by identity; an identity may have several.

    Raises:
        ConfigurationError: No keys by identity are given, or an identity or a key is empty.
    """

    def __init__(self, keys: Mapping[str, str | Sequence[str]]) -> None:
        if not isinstance(keys, Mapping):
            raise ConfigurationError(
                f'ApiKeyAuth takes keys by identity, not {described(keys)}. Write ApiKeyAuth({{"me": "my-key"}}).'
            )
        listed = ((identity, [key] if isinstance(key, str) else key) for identity, key in keys.items())
        pairs = [(identity, key) for identity, each in listed for key in each]
        if not pairs or not all(name.strip() for pair in pairs for name in pair):
            raise ConfigurationError("API keys: the list is empty, or an identity or a key is empty.")
        self._digests = [(Identity(identity), _digest(key)) for identity, key in pairs]

    @override
    def authenticate(self, request: HTTPConnection) -> Identity | None:
        shown = bearer_token(request) or request.headers.get("x-api-key")
        if not shown:
            return None
        digest = _digest(shown)
        # All are compared, so that the time taken reveals nothing.
        matches = [identity for identity, own in self._digests if hmac.compare_digest(own, digest)]
        return matches[0] if matches else None


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()


class JwtAuth(Authenticator):
    """Knows identities by the JSON Web Token they show as a bearer token. It must have ``exp`` and ``sub``.

    Args:
        secret: The secret of tokens signed with HMAC.
        public_key: The PEM key of tokens signed with RSA, EC or Ed25519.
        jwks_url: Where the keys are published; they are kept, for an hour while that does not answer.
        algorithms: What to accept: HS256 with a secret, else RS256 and ES256, unless named.
        audience: The ``aud`` asked for.
        issuer: The ``iss`` asked for.
        leeway: How many seconds clocks may differ.

    Raises:
        ConfigurationError: Not exactly one of ``secret``, ``public_key`` and ``jwks_url`` is given, an algorithm is
            unknown or is of the other kind than the key, or the key is none or empty.
        MissingExtraError: The extra ``auth`` is not installed.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        public_key: str | None = None,
        jwks_url: str | None = None,
        algorithms: Sequence[str] = (),
        audience: str | None = None,
        issuer: str | None = None,
        leeway: float = 30.0,
    ) -> None:
        with optional("JWT authentication", "auth"):
            import jwt
        if sum(source is not None for source in (secret, public_key, jwks_url)) != 1:
            raise ConfigurationError("JWT authentication needs one of a secret, a public key and a JWKS URL.")
        given = {"secret": secret, "public_key": public_key, "jwks_url": jwks_url}
        given |= {"audience": audience, "issuer": issuer}
        empty = [f"jwt_{name}" for name, value in given.items() if value is not None and not value.strip()]
        if empty:
            raise ConfigurationError(f"{', '.join(empty)}: set, but empty.")
        self._algorithms = list(algorithms) or list(_HMAC if secret is not None else _PUBLIC_KEY)
        # A public key taken for an HMAC secret would let everybody sign (RFC 8725, section 2.1).
        if any(name.startswith("HS") != (secret is not None) for name in self._algorithms):
            raise ConfigurationError("jwt_algorithms: HS* can only be used with jwt_secret.")
        unknown = set(self._algorithms) - (set(jwt.algorithms.get_default_algorithms()) - {"none"})
        if unknown:
            raise ConfigurationError(f"jwt_algorithms: {', '.join(sorted(unknown))} is not supported.")
        if public_key is not None and not any(_fits(jwt, name, public_key) for name in self._algorithms):
            raise ConfigurationError(f"jwt_public_key is not a PEM key for {', '.join(self._algorithms)}.")
        self._jwt = jwt
        self._key = secret if secret is not None else public_key
        self._published = PublishedKeys(jwks_url) if jwks_url is not None else None
        self._audience = audience
        self._issuer = issuer
        self._leeway = leeway

    @override
    async def authenticate(self, request: HTTPConnection) -> Identity | None:
        token = bearer_token(request)
        if token is None:
            return None
        try:
            key = self._key if self._published is None else await self._published.key_of(token)
            claims = self._claims(token, key)
        except (
            self._jwt.PyJWTError,
            RecursionError,
            OverflowError,
        ) as error:  # the latter two: JSON that nobody writes
            # Who is refused is not told which of these it was; who sets this up has to know.
            log.info("token_refused", reason=str(error)[:_MOST_CHARACTERS])
            return None
        return Identity(claims["sub"], claims)

    def _claims(self, token: str, key: Any | None) -> dict[str, Any]:
        if key is None:
            raise self._jwt.InvalidKeyError("It names no key, or one that is not published.")
        claims: dict[str, Any] = self._jwt.decode(
            token,
            key,
            algorithms=self._algorithms,
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway,
            options={"require": ["exp", "sub"], "verify_aud": self._audience is not None},
        )
        if not claims["sub"].strip():
            raise self._jwt.InvalidTokenError("Subject is empty")
        return claims


def _fits(jwt: Any, algorithm: str, key: str) -> bool:
    try:
        jwt.get_algorithm_by_name(algorithm).prepare_key(key)
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return True


class FirstOf(Authenticator):
    """Asks one authenticator after the other.

    Args:
        authenticators: Who to ask, in order.

    Raises:
        ConfigurationError: There is nobody to ask.
    """

    def __init__(self, *authenticators: Authenticator) -> None:
        if not authenticators:
            raise ConfigurationError("FirstOf needs an authenticator.")
        self._authenticators = authenticators

    @override
    async def authenticate(self, request: HTTPConnection) -> Identity | None:
        for authenticator in self._authenticators:
            identity = await identify(authenticator.authenticate, request)
            if identity is not None:
                return identity
        return None


def authentication(given: Authenticator | Authenticate | str | None, config: RuntimeConfig) -> Authenticate | None:
    """Return what identifies callers.

    Args:
        given: What the application passed: an authenticator, ``"none"`` for nobody, or None for the settings'.
        config: The settings.

    Returns:
        What identifies a request, or None if everybody may call.

    Raises:
        ConfigurationError: Arguments and settings contradict each other, or everybody may call in production although
            that is not stated.
        MissingExtraError: The extra ``auth`` is needed and not installed.
    """
    if isinstance(given, str) and given != "none":
        raise ConfigurationError("auth: give an authenticator, or 'none'.")
    by_settings = configured(config)
    open_to_all = "none" in (given, config.auth)
    chosen = None if given == "none" else by_settings if given is None else given
    if open_to_all and (chosen is not None or by_settings is not None):
        raise ConfigurationError("auth is 'none', but something else requires authentication.")
    if chosen is None and not open_to_all and config.env == "production":
        raise ConfigurationError(NO_AUTHENTICATION)
    return chosen.authenticate if isinstance(chosen, Authenticator) else cast("Authenticate | None", chosen)


def configured(config: RuntimeConfig) -> Authenticator | None:
    """Return what the settings ask for, or None if they ask for no authentication.

    Raises:
        ConfigurationError: They contradict each other.
        MissingExtraError: The extra ``auth`` is needed and not installed.
    """
    ways: list[Authenticator] = []
    if config.api_keys:
        ways.append(ApiKeyAuth(_keys(config.api_keys)))
    if any(key is not None for key in (config.jwt_secret, config.jwt_public_key, config.jwt_jwks_url)):
        ways.append(
            JwtAuth(
                secret=_shown(config.jwt_secret),
                public_key=_shown(config.jwt_public_key),
                jwks_url=config.jwt_jwks_url,
                algorithms=config.jwt_algorithms,
                audience=config.jwt_audience,
                issuer=config.jwt_issuer,
            )
        )
    return FirstOf(*ways) if len(ways) > 1 else next(iter(ways), None)


def _shown(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


def _keys(entries: Sequence[SecretStr]) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {}
    for entry in entries:
        identity, _, key = entry.get_secret_value().partition(":")
        keys.setdefault(identity, []).append(key)
    return keys

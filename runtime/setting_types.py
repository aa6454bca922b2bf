"""Types of settings: how values are parsed from text, and which are allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated, Any, TypeAlias

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import (
    NoDecode,
)

from .client_config import is_framework_name
from .rates import Rate
from .stores.urls import REDIS_SCHEMES, SCHEMES, about_scheme, scheme_of

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s*?#@]+")
_QUEUE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PATH = re.compile(r"/[^{}?#\s]*")


def _listed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise ValueError(f"starts like a JSON list but is not one: {error}") from error
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _rated(value: Any) -> Any:
    return value if value is None or isinstance(value, Rate) else Rate.parse(str(value))


def _each(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda values: tuple(map(check, values)))


def _origin(text: str) -> str:
    origin = text.rstrip("/").lower()
    if text != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError("each must be '*' or an origin such as https://app.example.com")
    return origin


def _network(text: str) -> str:
    if text == "*":
        return text
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"each must be '*', an address or a network: {error}") from error
    return text


def _queue_name(text: str) -> str:
    if not _QUEUE.fullmatch(text):
        raise ValueError("a queue's name consists of letters, digits, '-' and '_', at most 64 of them")
    return text


def _pin(text: str) -> str:
    agent, equals, queue = text.rpartition("=")
    if not agent or not equals:
        raise ValueError("each must be written as agent=queue")
    return f"{agent}={_queue_name(queue)}"


def _client_key(text: str) -> str:
    if is_framework_name(text):
        raise ValueError(f"'{text}' is a name that frameworks set themselves")
    return text


def _web_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return text


def _filled(value: Any) -> Any:
    """Refuse an authentication setting that is there and empty: a missing secret must not let everybody in.

    Raises:
        ValueError: It is empty.
    """
    parts = value if isinstance(value, list | tuple) else (value,)
    if value is not None and not any(_revealed(part).strip() for part in parts):
        raise ValueError("is set, but empty. Give it a value, or remove it")
    return value


def _revealed(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _with_identity(entries: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not all(all(map(str.strip, entry.get_secret_value().partition(":"))) for entry in entries):
        raise ValueError("each must be written as identity:key")
    return entries


def _one_of(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if scheme_of(url) not in schemes:
            raise ValueError(about_scheme(url, schemes))
        return url

    return AfterValidator(check)


def served_path(text: str) -> str:
    """Return a path that can be served.

    Raises:
        ValueError: ``text`` is none.
    """
    if not _PATH.fullmatch(text):
        raise ValueError("must begin with '/' and have none of '{}?#' and no spaces")
    return text


Names: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Secrets: TypeAlias = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed)]
ServedPath: TypeAlias = Annotated[str, AfterValidator(served_path)]
WebUrl: TypeAlias = Annotated[str, AfterValidator(_web_url)]
Filled = BeforeValidator(_filled)
_AS_IS = Field(validate_default=False)
RateSetting: TypeAlias = Annotated[Rate, NoDecode, BeforeValidator(_rated)]
Networks: TypeAlias = Annotated[Names, _each(_network)]
Origins: TypeAlias = Annotated[Names, _each(_origin)]
ClientKeys: TypeAlias = Annotated[Names, _each(_client_key)]
QueueNames: TypeAlias = Annotated[Names, _each(_queue_name)]
QueuePins: TypeAlias = Annotated[Names, _each(_pin)]
WebUrls: TypeAlias = Annotated[Names, _each(_web_url)]
FilledNames: TypeAlias = Annotated[Names, AfterValidator(_filled), Filled, _AS_IS]
ApiKeys: TypeAlias = Annotated[Secrets, AfterValidator(_filled), AfterValidator(_with_identity), Filled, _AS_IS]
StoreUrl: TypeAlias = Annotated[str, _one_of(*SCHEMES)]
RateStoreUrl: TypeAlias = Annotated[str, _one_of("memory", *REDIS_SCHEMES)]
Seconds: TypeAlias = Annotated[float, Field(gt=0)]
Count: TypeAlias = Annotated[int, Field(gt=0)]

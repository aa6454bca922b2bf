"""Admission of requests: authentication, rate limits and concurrent runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Network

import structlog
from starlette.requests import HTTPConnection

from ...runtime.config import RuntimeConfig
from ...runtime.error_texts import to_public_error
from ...runtime.errors import AuthenticationError, CopilotKitError, StoreError
from ...runtime.patience import within
from ...runtime.rates import Rate
from ...runtime.runs.handle import RunHandle
from ...runtime.stores.interface import StateStore
from ...runtime.stores.settings import StoreSettings
from ...runtime.stores.urls import REDIS_SCHEMES, scheme_of
from .auth import Authenticate, Identity, identify
from .client import ClientRequest
from .rate_limits import Slots, TooManyRequestsError, open_buckets
from .refusal import Refusal, refusal
from .request import RequestHeaders

log = structlog.get_logger(__name__)

AUTHENTICATION_SECONDS = 30.0
"""How long an authenticator may take, such as one that asks an identity provider."""
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_HOST_BITS = 64
"""Of an IPv6 address, the end, which whoever has the network gives to themselves."""


class Admission:
    """Lets requests in, or not.

    Args:
        config: The limits.
        authenticate: Identifies the caller; None lets everybody in.
        store: Beside whose keys rates are counted, if it is Redis and the settings name no other place.
    """

    def __init__(self, config: RuntimeConfig, authenticate: Authenticate | None, store: StateStore) -> None:
        self._config = config
        self._authenticate = authenticate
        self._place = _place_of_rates(config, store.url or "")
        self._buckets = open_buckets(self._place, (store.settings or StoreSettings()).prefix)
        self._slots = Slots("runs", config.max_concurrent_runs, config.max_concurrent_runs_per_client)
        self._joined = Slots("streams", None, config.max_joined_threads_per_client)
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def authenticates(self) -> bool:
        """Whether requests need credentials."""
        return self._authenticate is not None

    @property
    def checks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What must answer so that requests can be let in, by name."""
        return {"rates": self._buckets.check} if _is_limited(self._config) else {}

    async def start(self) -> None:
        """Prepare; called before the first request.

        Raises:
            StoreError: The place where requests are counted does not answer.
        """
        try:
            if _is_limited(self._config):
                await self._buckets.start()
        except CopilotKitError as error:
            log.error("rates_not_counted", store=self._place, reason=str(error.__cause__ or error))  # noqa: TRY400
            raise

    async def identify(self, request: HTTPConnection) -> ClientRequest:
        """Identify the caller.

        Raises:
            Refusal: They ask too often, or show no valid credentials.
        """
        caller = request.client
        address = caller.host if caller else ""
        address = _network_of(address) if ":" in address else address
        await self._take("address", address, self._config.address_rate_limit, 1)
        identity = await self._identity(request)
        if identity is not None:
            structlog.contextvars.bind_contextvars(identity=identity.id)
        return ClientRequest(
            headers=RequestHeaders.of(request).named,
            identity=identity.id if identity else None,
            claims=identity.claims if identity else {},
            address=address,
        )

    async def confirm(self, request: HTTPConnection, client: ClientRequest) -> bool:
        """Return whether the request would be let in again, as the same caller.

        Nobody is turned away because the authenticator fails: who was let in is not shown to be somebody else.
        """
        if self._authenticate is None:
            return True
        try:
            identity = await within(AUTHENTICATION_SECONDS, identify(self._authenticate, request))
        except Exception:
            log.exception("authentication_failed")
            return True
        return identity is not None and identity.id == client.identity

    async def charge(self, client: ClientRequest, operations: int) -> None:
        """Count operations against the client's rate.

        Raises:
            Refusal: There are too many.
        """
        await self._take("identity", _name_of(client), self._config.rate_limit, operations)

    def running(self, client: ClientRequest, count: int, runs: list[RunHandle]) -> HeldPlaces:
        """Return a block that holds places for ``count`` runs until it is left and ``runs`` have ended.

        Entering it raises ``Refusal`` if there are not so many left.
        """
        return HeldPlaces(self, _name_of(client), count, runs)

    @contextmanager
    def joining(self, client: ClientRequest) -> Iterator[None]:
        """Hold a place for a client that follows a thread, until the block is left.

        Raises:
            Refusal: The client follows too many.
        """
        name = _name_of(client)
        try:
            self._joined.take(name, 1)
        except TooManyRequestsError as error:
            raise _too_many(error) from error
        try:
            yield
        finally:
            self._joined.give_back(name, 1)

    def take_places(self, name: str, count: int) -> None:
        """Take places for runs of a client.

        Raises:
            Refusal: There are not so many left.
        """
        try:
            self._slots.take(name, count)
        except TooManyRequestsError as error:
            raise _too_many(error) from error

    def give_back(self, name: str, count: int, runs: list[RunHandle]) -> None:
        """Give places back, once all of the runs have ended."""
        if all(run.is_over for run in runs):
            self._slots.give_back(name, count)
        else:
            self._give_back_later(name, count, runs)

    async def close(self) -> None:
        """Clean up; called once, after the last request."""
        await self._buckets.close()

    def _give_back_later(self, name: str, count: int, runs: list[RunHandle]) -> None:
        leaving = asyncio.create_task(self._give_back(name, count, runs))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _give_back(self, name: str, count: int, runs: list[RunHandle]) -> None:
        try:
            for run in runs:
                await run.join()
        except StoreError as error:  # whether they have ended cannot be seen; the places are not lost for it
            log.warning("runs_not_joined", runs=len(runs), reason=str(error))
        finally:
            self._slots.give_back(name, count)

    async def _identity(self, request: HTTPConnection) -> Identity | None:
        if self._authenticate is None:
            return None
        try:
            identity = await within(AUTHENTICATION_SECONDS, identify(self._authenticate, request))
        except Exception as error:  # an authenticator that fails lets nobody in
            log.exception("authentication_failed")
            raise refusal(to_public_error(error), 503) from error
        if identity is None:
            raise refusal(AuthenticationError("Valid credentials are needed."), 401, _CHALLENGE)
        return identity

    async def _take(self, kind: str, name: str, rate: Rate | None, tokens: int) -> None:
        if rate is None:
            return
        try:
            waiting = await self._buckets.take(f"{kind}:{name}", rate, tokens)
        except CopilotKitError as error:
            log.exception("rates_not_counted")
            raise refusal(error, 503) from error
        if waiting > 0:
            raise _too_many(TooManyRequestsError("Too many requests. Please wait a moment.", waiting))


class HeldPlaces:
    """Places for runs, held in a block. A class, because each open stream is in such a block.

    Args:
        admission: Where the places are.
        name: Whose they are.
        count: How many.
        runs: The runs, which are known later.
    """

    __slots__ = ("_admission", "_count", "_name", "_runs")

    def __init__(self, admission: Admission, name: str, count: int, runs: list[RunHandle]) -> None:
        self._admission = admission
        self._name = name
        self._count = count
        self._runs = runs

    def __enter__(self) -> None:
        self._admission.take_places(self._name, self._count)

    def __exit__(self, *_error: object) -> None:
        self._admission.give_back(self._name, self._count, self._runs)


def _network_of(address: str) -> str:
    """Return what somebody cannot choose of their IPv6 address; of one that stands for an IPv4 address, that."""
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed) >> _HOST_BITS << _HOST_BITS, 128 - _HOST_BITS)))


def _name_of(client: ClientRequest) -> str:
    return f"id {client.identity}" if client.identity is not None else f"at {client.address}"


def _too_many(error: TooManyRequestsError) -> Refusal:
    return refusal(error, 429, {"Retry-After": str(error.retry_after)})


def _is_limited(config: RuntimeConfig) -> bool:
    return config.rate_limit is not None or config.address_rate_limit is not None


def _place_of_rates(config: RuntimeConfig, store: str) -> str:
    if config.rate_limit_store is not None:
        return config.rate_limit_store
    return store if _is_limited(config) and scheme_of(store) in REDIS_SCHEMES else "memory://"

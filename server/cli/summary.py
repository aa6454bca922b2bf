"""The summary that a server prints at startup."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from ...runtime.config import RuntimeConfig
from ...runtime.provider import AgentDescriptor
from ...runtime.stores.urls import scheme_of
from ..runtime import CopilotRuntime

_SAFE_SECRET_BYTES = 32  # RFC 7518, section 3.2


def origin(config: RuntimeConfig, port: int) -> str:
    """Where the server answers, as a URL."""
    scheme = "https" if config.ssl_certfile is not None else "http"
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{scheme}://{host}:{port}"


def summary(runtime: CopilotRuntime, port: int, agents: list[AgentDescriptor]) -> Iterator[str]:
    """The lines that tell a person where the server is, what it serves, and what they may have overlooked."""
    config, base = runtime.config, origin(runtime.config, port)
    yield f"CopilotKit runtime at {base}{config.graphql_path}"
    yield f"  ready    {base}/ready"
    if config.metrics:
        yield f"  metrics  {base}/metrics"
    if config.graphiql:
        yield f"  GraphiQL {base}{config.graphql_path} in a browser"
    yield f"  agents   {', '.join(agent.name for agent in agents) or 'none'}"
    yield f"  model    {'yes' if runtime.service.model is not None else 'none'}"
    yield f"  store    {runtime.store_name}"
    for warning in warnings(runtime, agents):
        yield f"  warning  {warning}"


def warnings(runtime: CopilotRuntime, agents: list[AgentDescriptor]) -> Iterator[str]:
    """What may not be as it was meant."""
    config = runtime.config
    if not agents and runtime.service.model is None:
        yield "there is neither an agent nor a model: no chat can be answered"
    if config.jwt_secret is not None and len(config.jwt_secret.get_secret_value().encode()) < _SAFE_SECRET_BYTES:
        yield f"jwt_secret is shorter than {_SAFE_SECRET_BYTES} bytes: tokens can be forged by guessing it"
    if not _is_local(config.host):
        yield from _public_warnings(runtime)
    if config.workers > 1:
        yield from _worker_warnings(runtime)


def _public_warnings(runtime: CopilotRuntime) -> Iterator[str]:
    if not runtime.authenticates:
        yield "whoever reaches this address may use the agents: no authentication is configured"
    if runtime.config.env != "production":
        yield "GraphiQL and introspection may be on: set env to production"


def _worker_warnings(runtime: CopilotRuntime) -> Iterator[str]:
    config = runtime.config
    if scheme_of(runtime.store_name) == "memory":
        yield "the workers do not share a memory:// store: an agent forgets what another worker was told"
    rates = config.rate_limit or config.address_rate_limit
    place = config.rate_limit_store or runtime.store_name
    if rates is not None and not scheme_of(place).startswith("redis"):
        yield "each worker counts rates for itself: set rate_limit_store to a Redis URL"


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

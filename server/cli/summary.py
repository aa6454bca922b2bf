"""The summary that a server prints at startup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import typer

from ...runtime.config import RuntimeConfig
from ...runtime.provider import AgentDescriptor
from ...runtime.stores.urls import scheme_of
from ..runtime import CopilotRuntime

_SAFE_SECRET_BYTES = 32  # RFC 7518, section 3.2


def origin(config: RuntimeConfig, port: int) -> str:
    """Return where the server answers, as a URL."""
    scheme = "https" if config.ssl_certfile is not None else "http"
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{scheme}://{host}:{port}"


def summary(runtime: CopilotRuntime, port: int, agents: list[AgentDescriptor]) -> Iterator[str]:
    """Yield the lines of the summary: the server's address, what it serves, warnings, and what to do next."""
    config, base = runtime.config, origin(runtime.config, port)
    endpoint = f"{base}{config.graphql_path}"
    yield f"CopilotKit runtime at {endpoint}"
    if runtime.serves_chat:
        yield f"  chat     {chat_url(config, port)} in a browser"
    if config.graphiql:
        yield f"  GraphiQL {endpoint} in a browser"
    yield f"  ready    {base}/ready"
    if config.metrics:
        yield f"  metrics  {base}/metrics"
    yield f"  agents   {', '.join(agent.name for agent in agents) or 'none'}"
    yield f"  model    {runtime.model_name or 'none'}"
    yield f"  store    {runtime.store_name}{state_file(runtime.store_name)}"
    for warning in warnings(runtime, agents):
        yield f"  warning  {warning}"
    agent = f' agent="{agents[0].name}"' if agents else ""
    yield f'  next     <CopilotKit runtimeUrl="{endpoint}"{agent}> in a React app'
    yield "  stop     Ctrl+C"


def chat_url(config: RuntimeConfig, port: int) -> str:
    """Return where the chat page is."""
    return f"{origin(config, port)}{'/' if config.graphql_path.rstrip('/') else '/chat/'}"


def state_file(store: str) -> str:
    """Return a remark about the file that a store writes, which nobody may have asked for."""
    if scheme_of(store) != "sqlite":
        return ""
    file = Path(store.partition(":///")[2]).absolute()
    return f" ({file} keeps all threads; with --store memory:// nothing is kept)"


_LINE = re.compile(r"  (?P<label>\S+)(?P<gap> +)(?P<rest>.*)")


def coloured(line: str) -> str:
    """Return a line of the summary for a terminal: labels faint, warnings yellow, addresses bold."""
    match = _LINE.fullmatch(line)
    if match is None:
        return typer.style(line, bold=True)
    if match["label"] == "warning":
        return typer.style(line, fg=typer.colors.YELLOW)
    rest = re.sub(r"https?://[^\s\"]+", lambda url: typer.style(url[0], fg=typer.colors.CYAN), match["rest"])
    return f"  {typer.style(match['label'], dim=True)}{match['gap']}{rest}"


def warnings(runtime: CopilotRuntime, agents: list[AgentDescriptor]) -> Iterator[str]:
    """Yield what may not be as it was meant."""
    config = runtime.config
    if not agents and runtime.service.model is None:
        yield _nobody_answers(config)
    if config.jwt_secret is not None and len(config.jwt_secret.get_secret_value().encode()) < _SAFE_SECRET_BYTES:
        yield f"jwt_secret is shorter than {_SAFE_SECRET_BYTES} bytes: tokens can be forged by guessing it"
    if config.env == "production" and not runtime.authenticates and "*" in config.cors_origins:
        yield "any web page may use the agents: cors_origins is '*', and no authentication is configured"
    if not _is_local(config.host):
        yield from _public_warnings(runtime)
    if config.workers > 1:
        yield from _worker_warnings(runtime)


def _nobody_answers(config: RuntimeConfig) -> str:
    if config.execution == "queue":
        return "no worker is there: its agents are served as soon as it is"
    return "there is neither an agent nor a model: no chat can be answered"


def _public_warnings(runtime: CopilotRuntime) -> Iterator[str]:
    if not runtime.authenticates:
        yield "whoever reaches this address may use the agents: no authentication is configured"
    if runtime.config.env != "production":
        yield "GraphiQL and introspection may be on: set env to production"


def _worker_warnings(runtime: CopilotRuntime) -> Iterator[str]:
    config = runtime.config
    if scheme_of(runtime.store_name) == "memory":
        yield "the workers do not share a memory:// store: an agent does not remember messages that another worker got"
    rates = config.rate_limit or config.address_rate_limit
    place = config.rate_limit_store or runtime.store_name
    if rates is not None and not scheme_of(place).startswith("redis"):
        yield "each worker counts rates for itself: set rate_limit_store to a Redis URL"


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

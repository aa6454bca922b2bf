"""Checks for common problems, and reports what to do about each."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ...runtime.config import RuntimeConfig
from ...runtime.errors import ConfigurationError, CopilotKitError
from ...runtime.info import DISTRIBUTION
from ...runtime.redaction import without_secrets
from ...runtime.stores.urls import scheme_of
from ..runtime import CopilotRuntime
from .errors import target_failure
from .extras import EXTRAS
from .finding import Finding
from .listening import check_tls
from .model_checks import check_keys, check_model
from .proxy_check import check_server
from .target import GRAPH_FILE, TargetError, load_runtime
from .target_advice import file_hint

_PACKAGES = ("ariadne", "graphql-core", "starlette", "uvicorn", "pydantic")
_CLIENT = "@copilotkit/react-core"
_OLDEST_PYTHON = (3, 11)
_STORE_SECONDS = 15
"""Longer than stores themselves wait, which then report what it was."""


async def examine(
    runtime: CopilotRuntime, fault: Finding | None, folder: Path, url: str | None, headers: dict[str, str]
) -> list[Finding]:
    """Look at everything that can be looked at from here.

    Args:
        runtime: The runtime.
        fault: Why its agents are not looked at, if it could not be loaded or is only one of settings.
        folder: Where a page's ``package.json`` may be.
        url: A running server behind its proxies, if that is to be looked at.
        headers: What to send to it, such as credentials.
    """
    config = runtime.config
    port = _port(config.host, config.port, serves=url is not None)
    found = [*_versions(), *_extras(), *check_keys(), *port, *_tls(config), *_clients(folder)]
    found += [
        await _store(runtime),
        *await _rates(runtime),
        *await check_model(runtime),
        await _agents(runtime) if fault is None else fault,
    ]
    return [*found, *await asyncio.to_thread(list, check_server(url, headers))] if url is not None else found


def loaded(target: str | None) -> tuple[CopilotRuntime, Finding | None]:
    """Return the runtime of a target, or one with the settings alone, and why the target has none."""
    if target is None and not Path(GRAPH_FILE).is_file():
        runtime = CopilotRuntime()
        return runtime, None if runtime.config.execution == "queue" else _no_target()
    try:
        return load_runtime(target), None
    except (CopilotKitError, TargetError) as error:
        return CopilotRuntime(), Finding("fail", f"target {target or GRAPH_FILE}: {target_failure(error)}")


def _no_target() -> Finding:
    hint = "".join(file_hint(Path())).strip()
    return Finding(
        "note", "no TARGET was given, so that agents were not looked at", hint or "Name one: app.py:runtime."
    )


def _versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _OLDEST_PYTHON:
        yield Finding("fail", f"Python {python}", "Use 3.11 or newer.")
    else:
        yield Finding("ok", f"Python {python}, {DISTRIBUTION} {version(DISTRIBUTION)}")
    for name in _PACKAGES:
        try:
            yield Finding("ok", f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding("fail", f"{name} is not installed", f"Install {DISTRIBUTION} anew.")


def _extras() -> Iterator[Finding]:
    there = [extra for extra, module in EXTRAS.items() if _is_installed(module)]
    missing = [extra for extra in EXTRAS if extra not in there]
    yield Finding("ok", f"extras: {', '.join(there) or 'none'}")
    if missing:
        yield Finding("note", f"not installed: {', '.join(missing)}", f"pip install '{DISTRIBUTION}[NAME]' if needed.")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False


def _port(host: str, port: int, *, serves: bool) -> Iterator[Finding]:
    """Look whether a server could listen there, or ``serves`` already."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = (
                "For another server, choose another one with --port." if serves else "Choose another one with --port."
            )
            yield Finding("note" if serves else "fail", f"{host}, port {port}: {error.strerror}", advice)
        else:
            yield Finding("ok", f"{host}, port {port} is free")


def _tls(config: RuntimeConfig) -> Iterator[Finding]:
    if config.ssl_certfile is None or config.ssl_keyfile is None:
        return
    try:
        check_tls(config.ssl_certfile, config.ssl_keyfile)
    except ConfigurationError as error:
        yield Finding("fail", error.message.rstrip("."), "Name the certificate, and the key that belongs to it.")
    else:
        yield Finding("ok", f"certificate {config.ssl_certfile} and its key")


def _clients(folder: Path) -> Iterator[Finding]:
    for file in (folder / "package.json", *sorted(folder.glob("*/package.json"))):
        try:
            package = json.loads(file.read_text("utf-8"))
            wanted = {**package.get("devDependencies", {}), **package.get("dependencies", {})}
        except (OSError, ValueError, AttributeError, TypeError):
            continue  # there is none, or none that can be read, and that is npm's to report
        if _CLIENT in wanted:
            yield _client(file, str(wanted[_CLIENT]))


def _client(file: Path, wanted: str) -> Finding:
    match = re.search(r"(\d+)\.(\d+)", wanted)
    if match is None or match[1] != "1":
        return Finding("note", f"{file}: {_CLIENT} {wanted}", "Versions 1.0 to 1.75 were tested.")
    wire = "AG-UI" if int(match[2]) >= 50 else "GraphQL"
    return Finding("ok", f"{file}: {_CLIENT} {wanted} speaks {wire}")


async def _store(runtime: CopilotRuntime) -> Finding:
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it warns of each attempt
    if (new := _new_file(runtime.store_name)) is not None:
        return new
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            await runtime.store.start()
            await runtime.store.health()
            await runtime.store.stop()
    except (CopilotKitError, TimeoutError, OSError) as error:
        reason = _reason(error) or "no answer"
        remedy = "Name" if scheme_of(runtime.store_name) == "sqlite" else "Start it, or name"
        return Finding("fail", f"store {runtime.store_name}: {reason}", f"{remedy} another one with --store.")
    return Finding("ok", f"store {runtime.store_name} answers")


async def _rates(runtime: CopilotRuntime) -> list[Finding]:
    """Look whether requests can be counted, where that is done in a place of its own."""
    place = runtime.config.rate_limit_store
    if place is None:
        return []
    try:
        await runtime.check_rates()
    except CopilotKitError as error:
        advice = "Start it, or name another one as rate_limit_store."
        return [Finding("fail", f"rates {without_secrets(place)}: {_reason(error)}", advice)]
    return [Finding("ok", f"rates {without_secrets(place)} can be counted")]


def _reason(error: BaseException) -> str:
    """Return what an error comes from, on one line."""
    return " ".join(without_secrets(str(error.__cause__ or error)).split()).rstrip(".?")


def _new_file(store: str) -> Finding | None:
    """Look at the place of a file that is not there yet, and that looking must not leave behind."""
    file = Path(store.partition(":///")[2]).absolute()
    if scheme_of(store) != "sqlite" or file.exists():
        return None
    if file.parent.is_dir() and os.access(file.parent, os.W_OK):
        return Finding("ok", f"store {store} will be the file {file}")
    return Finding("fail", f"store {store}: {file.parent} cannot be written", "Name another one with --store.")


async def _agents(runtime: CopilotRuntime) -> Finding:
    agents = await runtime.discover_agents()
    if not agents and runtime.config.execution == "queue":
        return Finding("note", "agents are those of workers", "List them with: copilotkit-runtime agents")
    if not agents and runtime.model_name is None:
        return Finding("note", "no agent and no model", "Give the runtime one: CopilotRuntime(agents=…, model=…).")
    return Finding(
        "ok", f"agents: {', '.join(agent.name for agent in agents) or 'none'}; model: {runtime.model_name or 'none'}"
    )

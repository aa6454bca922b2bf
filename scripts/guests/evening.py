"""One application's evening: it is fetched, installed, served, and its guests are asked for all that they can do."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from scripts.guests.agui_wire import AGUIConversation
from scripts.guests.checks import CHECKS, Check, CheckError
from scripts.guests.conversation import TURN_SECONDS, Conversation
from scripts.guests.environment import Environments, InstallError
from scripts.guests.graphql_wire import GraphQLConversation
from scripts.guests.processes import ADDRESSES, StartError, bare_environment, running
from scripts.guests.report import Outcome
from scripts.guests.sources import SourceError, bring
from scripts.guests.table import CAPABILITIES, Application, Guest
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
WIRES: dict[str, type[GraphQLConversation] | type[AGUIConversation]] = {
    "GraphQL": GraphQLConversation,
    "AG-UI": AGUIConversation,
}
_CHECK_SECONDS = 4 * TURN_SECONDS


def vendor_variables(vendor: str) -> dict[str, str]:
    """Return what sends the usual clients of models to the scripted vendor."""
    return {
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": f"{vendor}/v1",
        "OPENAI_API_BASE": f"{vendor}/v1",
        "ANTHROPIC_API_KEY": "none",
        "ANTHROPIC_BASE_URL": vendor,
        "GOOGLE_API_KEY": "none",
        "GOOGLE_GEMINI_BASE_URL": vendor,
        "CREWAI_DISABLE_TELEMETRY": "true",
        "OTEL_SDK_DISABLED": "true",
    }


def spend(application: Application, sources: str, environments: Environments, vendor: str) -> list[Outcome]:
    """Serve an application and check each of its guests.

    Returns:
        An outcome for each guest and capability; if it does not start, for each guest's start.
    """
    with TemporaryDirectory(prefix="guests-") as place:
        try:
            with _served(application, sources, environments, vendor, Path(place)) as origin:
                return asyncio.run(_check_all(application, origin))
        except (SourceError, InstallError, StartError) as error:
            faults = {type(error).__name__: str(error)}
            return [Outcome(application, guest, "start", faults) for guest in application.guests]


@contextmanager
def _served(
    application: Application, sources: str, environments: Environments, vendor: str, place: Path
) -> Iterator[str]:
    folder = bring(application, sources, place)
    own = {name: value.format(vendor=vendor) for name, value in application.environment.items()}
    variables = bare_environment(place, {**vendor_variables(vendor), **own})
    if not application.agui:
        python = environments.python_of(application)
        command = [str(python.with_name("copilotkit-runtime")), "serve", application.served]
        with _runtime(command, folder, variables, place) as origin:
            yield origin
        return
    port = free_port()
    with running(_server(application, environments, folder, port), folder, variables, place / "guest.log") as process:
        process.await_port(port)
        paths = {guest.name: f"http://127.0.0.1:{port}{guest.path}" for guest in application.guests}
        ours = bare_environment(place, {ADDRESSES: json.dumps(paths), "PYTHONPATH": str(ROOT)})
        command = [str(Path(sys.executable).with_name("copilotkit-runtime")), "serve", "scripts.guests.front:runtime"]
        with _runtime(command, ROOT, ours, place) as origin:
            yield origin


def _server(application: Application, environments: Environments, folder: Path, port: int) -> list[str]:
    """Return the command of an application's own AG-UI server."""
    if application.packages:
        (folder / "node_modules").symlink_to(environments.node_modules_of(application))
        return ["node", application.served, str(port)]
    python = environments.python_of(application)
    return [str(python), "-m", "uvicorn", application.served, "--host", "127.0.0.1", "--port", str(port)]


@contextmanager
def _runtime(command: list[str], folder: Path, variables: dict[str, str], place: Path) -> Iterator[str]:
    port = free_port()
    settings = {"COPILOTKIT_STORE": f"sqlite:///{place / 'runtime.sqlite'}", "COPILOTKIT_LOG_LEVEL": "warning"}
    with running(
        [*command, "--host", "127.0.0.1", "--port", str(port)], folder, {**variables, **settings}, place / "runtime.log"
    ) as process:
        process.await_port(port)
        yield f"http://127.0.0.1:{port}"


async def _check_all(application: Application, origin: str) -> list[Outcome]:
    async with httpx.AsyncClient(base_url=origin, timeout=TURN_SECONDS) as client:
        return [
            Outcome(application, guest, capability, await _faults(guest, capability, client))
            for guest in application.guests
            for capability in CAPABILITIES
        ]


async def _faults(guest: Guest, capability: str, client: httpx.AsyncClient) -> dict[str, str]:
    if capability == "start" or guest.lacking(capability):
        return {}
    faults = {wire: await _fault(CHECKS[capability], guest, wire, client) for wire in WIRES}
    return {wire: fault for wire, fault in faults.items() if fault is not None}


async def _fault(check: Check, guest: Guest, wire: str, client: httpx.AsyncClient) -> str | None:
    def opened() -> Conversation:
        return WIRES[wire](client, guest.name)

    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check(guest, opened)
    except CheckError as failed:
        return str(failed)
    except Exception as error:  # noqa: BLE001  # whatever a guest brings about is its row's reason, and the next follows
        return " ".join(traceback.format_exception_only(error)).strip()[:300]
    return None

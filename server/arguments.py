"""The arguments of ``CopilotRuntime`` that take objects of one kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from starlette.applications import Starlette

from ..runtime.config import RuntimeConfig
from ..runtime.descriptions import described
from ..runtime.errors import ConfigurationError
from ..runtime.guardrails.interface import Guardrail
from ..runtime.hooks.interface import Hooks
from ..runtime.stores.interface import StateStore
from ..wires.http.auth import Authenticator

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "config": ((RuntimeConfig,), 'a RuntimeConfig, such as RuntimeConfig(env="production")'),
    "store": ((str, StateStore), 'a URL, such as "sqlite:///states.sqlite", or a store'),
    "hooks": ((Hooks,), "a Hooks object, such as Hooks(on_error=report)"),
}

_OF_TYPESCRIPT = {
    "service_adapter": 'Write model="openai:gpt-4o", or the like',
    "serviceAdapter": 'Write model="openai:gpt-4o", or the like',
    "remote_endpoints": "Write providers=[RemoteEndpointProvider(url)]",
    "remoteEndpoints": "Write providers=[RemoteEndpointProvider(url)]",
    "runner": "Write store=…",
    "middleware": "Write hooks=Hooks(…)",
}


def refuse_unknown(unknown: Mapping[str, object], known: Iterable[str]) -> None:
    """Refuse arguments that ``CopilotRuntime`` does not have.

    Args:
        unknown: The arguments, by name.
        known: The names of those that it has.

    Raises:
        ConfigurationError: There is one; the text names what to write instead.
    """
    for name in unknown:
        raise ConfigurationError(f"CopilotRuntime has no argument '{name}'.{_instead(name, known)}")


def _instead(name: str, known: Iterable[str]) -> str:
    if name in RuntimeConfig.model_fields:
        return f" It is a setting. Write config=RuntimeConfig({name}=…)."
    if name in _OF_TYPESCRIPT:
        return f" {_OF_TYPESCRIPT[name]}."
    close = get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def check_arguments(*, auth: Any, config: Any, hooks: Any, store: Any, transcribe: Any) -> None:
    """Check arguments of ``CopilotRuntime`` that would otherwise fail later, and elsewhere.

    Raises:
        ConfigurationError: One of them is of another kind than its name promises.
    """
    for name, value in {"config": config, "store": store, "hooks": hooks}.items():
        kinds, wanted = _KINDS[name]
        if value is not None and not isinstance(value, kinds):
            raise ConfigurationError(f"{name} takes {wanted}, not {described(value)}.")
    if not _authenticates(auth):
        raise ConfigurationError(
            f"auth takes an authenticator, such as ApiKeyAuth(…), or a function of the request, not {described(auth)}."
        )
    if transcribe is not None and not callable(transcribe):
        raise ConfigurationError(f"transcribe takes an async function of a recording, not {described(transcribe)}.")


def _authenticates(auth: Any) -> bool:
    if isinstance(auth, type):
        return not issubclass(auth, Authenticator)
    return auth is None or isinstance(auth, str | Authenticator) or callable(auth)


def listed_guardrails(guardrails: Any) -> list[Guardrail]:
    """Return ``CopilotRuntime(guardrails=...)``, one or several, as a list.

    Raises:
        ConfigurationError: One of them is not a guardrail.
    """
    several = isinstance(guardrails, Iterable) and not isinstance(guardrails, str)
    listed = list(guardrails) if several else [guardrails]
    for each in listed:
        if not isinstance(each, Guardrail):
            raise ConfigurationError(f"guardrails takes Guardrail objects, not {described(each)}.")
    return listed


def check_application(app: Any) -> None:
    """Check what ``CopilotRuntime.mount`` is to mount the runtime on.

    Raises:
        ConfigurationError: It is not an application of Starlette or FastAPI.
    """
    if not isinstance(app, Starlette):
        raise ConfigurationError(
            f"mount takes a Starlette or FastAPI application, not {described(app)}. An application of another kind is"
            ' mounted beside the runtime on a Starlette one: app = Starlette(); runtime.mount(app, "/api/copilotkit");'
            ' app.mount("/", other).'
        )

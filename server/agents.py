"""What an application hands over as agents: providers, or graphs, crews and URLs by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeGuard

from ..runtime.descriptions import described
from ..runtime.errors import ConfigurationError
from ..runtime.provider import AgentProvider


class Kind(Enum):
    """What an object is, judged by the framework that its class comes from."""

    GRAPH = "a LangGraph graph"
    CREW = "a crew or flow of CrewAI"
    AGUI = "an AG-UI agent"


_FRAMEWORKS = {"langgraph": Kind.GRAPH, "crewai": Kind.CREW, "ag_ui": Kind.AGUI}


def kind_of(value: object) -> Kind | None:
    """Return what kind of agent an object is, without importing a framework; None if it is none.

    A function may make an agent of any kind, and is therefore of none; so is a framework's own class.
    """
    if isinstance(value, str):
        return Kind.AGUI if value.startswith(("http://", "https://")) else None
    found = next((_FRAMEWORKS[root] for root in _packages(value) if root in _FRAMEWORKS), None)
    if inspect.isclass(value):
        return found if found is Kind.CREW and _root_package(value) != "crewai" else None
    return Kind.AGUI if found is None and _speaks_agui(value) else found


def _packages(value: object) -> list[str]:
    """Return the packages of a value's classes. Only its metaclass shows that a class is decorated with @CrewBase."""
    own = value if inspect.isclass(value) else type(value)
    return [_root_package(kind) for kind in (*own.__mro__, type(own))]


def _root_package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _speaks_agui(value: object) -> bool:
    if any(kind.__module__ == "copilotkit_runtime.providers.agui.http" for kind in type(value).__mro__):
        return True
    runs = callable(getattr(value, "run", None)) and not isinstance(value, AgentProvider)
    return runs and foreign_framework(value) is None and _OTHERS.isdisjoint(_packages(value))


_FOREIGN = ("pydantic_ai", "agno", "llama_index", "google.adk", "strands", "autogen", "agents", "smolagents")
"""Frameworks whose agents have a ``run`` that does not speak AG-UI."""
_APPLICATIONS = {"flask", "django", "quart", "sanic", "aiohttp", "litestar"}
_OTHERS = {*_APPLICATIONS, "langchain_core"}
"""Packages whose objects have a ``run`` and are no agents: applications and tools."""


def foreign_framework(value: object) -> str | None:
    """Return the framework whose agent, or class of agents, a value is, if its agents do not speak AG-UI."""
    own = value if inspect.isclass(value) else type(value)
    modules = [f"{kind.__module__}." for kind in own.__mro__]
    return next((package for package in _FOREIGN if any(name.startswith(f"{package}.") for name in modules)), None)


def is_application(value: object) -> bool:
    """Return whether a value is an application of a framework for the web that is not Starlette's."""
    return not inspect.isclass(value) and not _APPLICATIONS.isdisjoint(_packages(value))


def answers_as_model(value: object) -> bool:
    """Return whether a value is what ``CopilotRuntime(model=...)`` takes: a chat model, a chain, a vendor's client."""
    is_tool = any(kind.__module__.startswith("langchain_core.tools.") for kind in type(value).__mro__)
    return not is_tool and not {"langchain_core", "openai", "anthropic"}.isdisjoint(_packages(value))


def providers_of(agents: Any) -> Iterator[AgentProvider]:
    """Yield the providers for ``CopilotRuntime(agents={"name": ...})``, one for each framework.

    Args:
        agents: By name: a LangGraph graph, a crew or flow, an AG-UI agent or its URL.

    Raises:
        ConfigurationError: It is not a mapping, or a value is none of these.
        MissingExtraError: What an agent needs is not installed.
    """
    if not isinstance(agents, Mapping):
        raise ConfigurationError(
            f'agents takes agents by name, not {described(agents)}. Write agents={{"my_agent": graph}}.'
        )
    sorted_out: dict[Kind, dict[str, Any]] = {}
    for name, agent in agents.items():
        sorted_out.setdefault(_checked_kind(name, agent), {})[name] = agent
    for kind, named in sorted_out.items():
        yield _provider(kind, named)


def _checked_kind(name: str, agent: object) -> Kind:
    if isinstance(agent, AgentProvider) or _is_provider_class(agent):
        provider = agent if inspect.isclass(agent) else type(agent)
        raise ConfigurationError(
            f"agents: '{name}' is a provider, which names its agents itself. Write providers=[{provider.__name__}(…)]."
        )
    kind = kind_of(agent)
    if kind is not None:
        return kind
    if inspect.isroutine(agent):
        raise ConfigurationError(
            f"agents: '{name}' is a function, and what it makes cannot be seen. Write"
            f' providers=[LangGraphProvider({{"{name}": {agent.__name__}}})], or CrewAIProvider or AGUIProvider.'
        )
    if isinstance(agent, str):
        raise ConfigurationError(
            f"agents: '{name}' is a text that is not a URL: an agent's URL begins with http:// or https://."
        )
    if inspect.iscoroutine(agent):
        raise ConfigurationError(f"agents: '{name}' is a coroutine. Await it first: agents={{\"{name}\": await …}}.")
    if (package := foreign_framework(agent)) is not None:
        raise ConfigurationError(
            f"agents: '{name}' is {described(agent)} of {package}, which does not speak AG-UI by itself. Wrap it in a"
            " function for AGUIProvider, or serve it with AG-UI and name the URL: docs/agents.md has the lines."
        )
    if answers_as_model(agent):
        raise ConfigurationError(
            f"agents: '{name}' is {described(agent)}, which answers as a model and not as an agent."
            " Write model=… instead."
        )
    raise ConfigurationError(
        f"agents: '{name}' is {described(agent)}, not a LangGraph graph, a crew or flow, an AG-UI agent or its"
        " http:// or https:// URL. For agents of your own write a provider: providers=[MyProvider()]."
    )


def _provider(kind: Kind, agents: dict[str, Any]) -> AgentProvider:
    if kind is Kind.GRAPH:
        from ..providers.langgraph import LangGraphProvider

        return LangGraphProvider(agents, name="agents-langgraph")
    if kind is Kind.CREW:
        from ..providers.crewai import CrewAIProvider

        return CrewAIProvider(agents, name="agents-crewai")
    from ..providers.agui import AGUIProvider

    return AGUIProvider(agents, name="agents-agui")


def checked_providers(providers: Any) -> Iterable[Any]:
    """Return ``CopilotRuntime(providers=...)`` if it is a list or the like.

    Raises:
        ConfigurationError: It is a single provider or agent, or agents by name.
    """
    if isinstance(providers, AgentProvider):
        raise ConfigurationError(
            f"providers takes a list, not one {type(providers).__name__}. Write providers=[provider]."
        )
    if isinstance(providers, Mapping):
        raise ConfigurationError('providers takes a list, not agents by name. Write agents={"my_agent": …}.')
    if kind_of(providers) is not None or not isinstance(providers, Iterable):
        checked_provider(providers)
    return providers  # type: ignore[no-any-return]


def checked_provider(provider: Any) -> AgentProvider:
    """Return a provider that can be registered.

    Raises:
        ConfigurationError: It is not a provider, or it can run nothing.
    """
    if _is_provider_class(provider):
        raise ConfigurationError(
            f"{provider.__name__} is a class, not a provider. Write providers=[{provider.__name__}(…)]."
        )
    if not isinstance(provider, AgentProvider):
        raise ConfigurationError(_no_provider(provider))
    _check_run(provider)
    _check_awaited(provider)
    return provider


def _no_provider(value: object) -> str:
    if (kind := kind_of(value)) is not None:
        return (
            f"providers takes providers, and {_class_name(value)} is {kind.value} without a name."
            ' Write agents={"my_agent": …} instead.'
        )
    return f"providers takes AgentProvider objects, not {described(value)}.{_remedy(value)}"


def _remedy(value: object) -> str:
    """Return what to write for something that may have a provider in it; empty for all else."""
    if value is None:
        return " Leave it out if you have none."
    if inspect.iscoroutine(value):
        return " Await it first: providers=[await …]."
    if inspect.iscoroutinefunction(value):
        return f" If it makes one, write providers=[await {value.__name__}()]."
    if inspect.isroutine(value):
        return f" If it makes one, write providers=[{value.__name__}()]."
    if isinstance(value, list | tuple) and any(isinstance(each, AgentProvider) for each in value):
        return " Write providers=[*first, second]."
    return ""


def _is_provider_class(value: object) -> TypeGuard[type[AgentProvider]]:
    return inspect.isclass(value) and issubclass(value, AgentProvider)


def _class_name(value: object) -> str:
    return value.__name__ if inspect.isclass(value) else type(value).__name__


def _check_run(provider: AgentProvider) -> None:
    run, owner = provider.execute_run, type(provider).__name__
    if inspect.isgeneratorfunction(run):
        raise ConfigurationError(
            f"{owner}.execute_run is synchronous, and would block all other runs."
            " Write `async def execute_run`, and await what takes time."
        )
    if inspect.iscoroutinefunction(run):
        raise ConfigurationError(
            f"{owner}.execute_run never yields. It is an async generator: yield the events of"
            " copilotkit_runtime.events, such as TextMessageStart, in place of returning."
        )
    try:
        inspect.signature(run).bind("my_agent", None, None)
    except TypeError as error:
        raise ConfigurationError(
            f"{owner}.execute_run is called with an agent's name, its input and its context."
            " Write `async def execute_run(self, agent_name, run, context)`."
        ) from error


_AWAITED = ("list_agents", "load_state", "save_state", "keeps_thread", "delete_thread", "start", "stop")


def _check_awaited(provider: AgentProvider) -> None:
    """Check that what the runtime awaits can be awaited. One that passes a coroutine on has an annotation for it."""
    for name in _AWAITED:
        method = inspect.unwrap(getattr(provider, name))
        if not (inspect.ismethod(method) or inspect.isfunction(method)) or inspect.iscoroutinefunction(method):
            continue
        returned = str(inspect.signature(method).return_annotation)
        if not any(word in returned for word in ("Awaitable", "Coroutine", "Future", "Task")):
            raise ConfigurationError(
                f"{type(provider).__name__}.{name} is synchronous, and the runtime awaits it. Write `async def {name}`."
            )

"""What the package imports is declared where it is needed; private parts of dependencies are as the code has them."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
FOLDERS = ("schema", "resolvers", "runtime", "wires", "server", "providers", "testing")

# The rooms that need extras, most special first: with any one of a line's groups, all that the room imports is there.
ROOMS: dict[str, tuple[str, ...]] = {
    "providers/langgraph/postgres_": ("langgraph", "postgres"),
    "providers/langgraph/redis": ("langgraph", "redis"),
    "providers/langgraph/savers.py": ("langgraph", "sqlite", "postgres", "redis"),
    "providers/langgraph": ("langgraph",),
    "providers/crewai": ("crewai",),
    "providers/mcp": ("mcp",),
    "providers/agui": ("agui",),
    "providers/remote": ("remote",),
    "providers/langserve.py": ("remote",),
    "providers/transport.py": ("remote",),
    "providers/models/openai": ("openai",),
    "providers/models/anthropic": ("anthropic",),
    "providers/models": ("models",),
    "runtime/execution/saq_": ("queue", "redis", "postgres"),
    "runtime/stores/redis": ("redis",),
    "runtime/stores/postgres": ("postgres",),
    "runtime/guardrails/cloud.py": ("cloud",),
    "runtime/observability/metrics.py": ("metrics",),
    "runtime/observability/process_metrics.py": ("metrics",),
    "runtime/observability/span_stage.py": ("otel",),
    "runtime/observability/tracing.py": ("otel",),
    "server/cli/upgrades.py": ("serve",),
    "wires/http/auth.py": ("auth",),
    "wires/http/published_keys.py": ("auth",),
    "wires/http/rate_limits.py": ("redis",),
}
# Distributions that share a package.
SHARED = {
    "langgraph.checkpoint.sqlite": "langgraph-checkpoint-sqlite",
    "langgraph.checkpoint.postgres": "langgraph-checkpoint-postgres",
    "langgraph.checkpoint": "langgraph-checkpoint",
    "langgraph": "langgraph",
    "crewai_core": "crewai",
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry": "opentelemetry-api",
}
# What stands in for another in some versions of the dependency that brings both, or what newer versions alone bring.
ALTERNATIVES = {
    ("providers/mcp/library.py", "httpx"),
    ("providers/mcp/library.py", "httpx2"),
    ("providers/models/anthropic_chat.py", "opentelemetry"),
}
INSTALLED = packages_distributions()
HIGHEST = {"graphql-core": 1, "uvicorn": 2, "langgraph": 1, "crewai": 1, "mcp": 1, "saq": 1}


def named(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return match[0].lower().replace("_", "-")


def declared(extras: tuple[str, ...]) -> set[str]:
    lists = [PROJECT["dependencies"], *(EXTRAS[extra] for extra in extras)]
    return {named(requirement) for requirements in lists for requirement in requirements}


def imported(source: str) -> Iterator[str]:
    """All modules that a program imports, by a statement or by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
        elif isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith("import_module"):
            yield from (str(text) for text in map(_text, ast.walk(node.args[0])) if text and not text.startswith("."))


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def distribution(module: str) -> str:
    shared = next((name for prefix, name in SHARED.items() if f"{module}.".startswith(f"{prefix}.")), None)
    root = module.partition(".")[0]
    return shared or named(INSTALLED.get(root, [root])[0])


def files() -> Iterator[Path]:
    yield ROOT / "__init__.py"
    for folder in FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def test_each_import_is_declared_by_the_package_or_by_the_extra_of_its_room() -> None:
    undeclared = []
    for path in files():
        place = path.relative_to(ROOT).as_posix()
        extras = next((extras for prefix, extras in ROOMS.items() if place.startswith(prefix)), ())
        for module in imported(path.read_text(encoding="utf-8")):
            root = module.partition(".")[0]
            if root in sys.stdlib_module_names or root == "copilotkit_runtime" or (place, root) in ALTERNATIVES:
                continue
            if distribution(module) not in declared(extras):
                undeclared.append(f"{place} imports {module} ({distribution(module)})")
    assert not undeclared


def test_every_room_and_extra_of_the_table_exists() -> None:
    assert {extra for extras in ROOMS.values() for extra in extras} <= EXTRAS.keys()
    places = [path.relative_to(ROOT).as_posix() for path in files()]
    assert all(any(place.startswith(prefix) for place in places) for prefix in ROOMS)


def test_the_guide_to_installation_has_every_extra() -> None:
    table = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8").split("| extra |")[1].split("\n\n")[0]
    shown = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    assert shown == set(EXTRAS)


def test_every_requirement_has_a_floor_and_those_with_private_parts_in_use_a_ceiling() -> None:
    requirements = [*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]
    assert not [one for one in requirements if ">=" not in one]
    bounded = [named(one) for one in requirements if "<" in one.partition(";")[0]]
    assert {name: bounded.count(name) for name in bounded} == HIGHEST


def test_the_python_versions_of_the_classifiers_begin_with_the_lowest_that_may_be_used() -> None:
    prefix = "Programming Language :: Python :: 3."
    minors = sorted(int(one.removeprefix(prefix)) for one in PROJECT["classifiers"] if one.startswith(prefix))
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[-1] + 1))


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_graphql_cores_executor_has_the_private_parts_that_runs_are_delivered_through() -> None:
    from graphql import GraphQLSchema, build_schema, parse
    from graphql.execution import Executor

    schema: GraphQLSchema = build_schema("type Query { a: Int }")
    executor: Any = Executor.build(schema, parse("{ a }"))
    assert isinstance(executor, Executor)
    assert "async_helpers" in vars(executor)
    assert parameters(executor.complete_object_value) == [
        "return_type",
        "field_details_list",
        "info",
        "path",
        "result",
        "position_context",
    ]
    assert parameters(executor.collect_subfields) == ["return_type", "field_details_list"]
    assert parameters(executor.get_stream_usage)[:2] == ["field_details_list", "path"]


def test_uvicorns_supervisor_has_the_private_parts_that_workers_are_made_of() -> None:
    import uvicorn.config
    from uvicorn.supervisors.multiprocess import Multiprocess, Process

    from copilotkit_runtime.server.cli.workers import STARTUP_FAILURE

    assert uvicorn.config.STARTUP_FAILURE == STARTUP_FAILURE
    assert parameters(Multiprocess.__init__) == ["self", "config", "sockets"]
    assert parameters(Process.wait_until_ready) == ["self", "timeout", "should_exit"]
    supervisor = Multiprocess(uvicorn.Config("no:app"), [])
    assert {"processes", "should_exit", "signal_queue"} <= vars(supervisor).keys()
    for overridden in ("init_processes", "keep_subprocess_alive", "join_all"):
        assert parameters(getattr(Multiprocess, overridden)) == ["self"]
    assert isinstance(vars(Process)["exitcode"], property)
    assert "process" in vars(Process(uvicorn.Config("no:app"), []))


@pytest.mark.parametrize("version", ["0.30.0", "0.51.2", "0.55.0", "1.0.0"])
def test_several_workers_are_refused_on_a_uvicorn_that_was_not_tested(version: str) -> None:
    from copilotkit_runtime.runtime.errors import ConfigurationError
    from copilotkit_runtime.server.cli.workers import check_version

    with pytest.raises(ConfigurationError, match=rf"{re.escape(version)} is installed.*\[serve\]"):
        check_version(version)


def test_the_extra_for_serving_brings_a_uvicorn_that_workers_were_tested_with() -> None:
    from copilotkit_runtime.server.cli.workers import TESTED, check_version

    (requirement,) = (one for one in EXTRAS["serve"] if named(one) == "uvicorn")
    first, last = TESTED
    after = f"0.{int(last.partition('.')[2]) + 1}"
    assert requirement == f"uvicorn>={first},<{after}"
    check_version(f"{first}.0")
    check_version(f"{last}.9")

"""A package that is installed brings its provider along."""

from __future__ import annotations

from pathlib import Path

import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig, errors

PROVIDER = """
from copilotkit_runtime import AgentDescriptor, AgentProvider


class Talker(AgentProvider):
    async def list_agents(self):
        return [AgentDescriptor(name="talker")]

    async def execute_run(self, agent_name, run, context):
        return
        yield


def make():
    return Talker()


def make_nothing():
    return None


def fail():
    raise RuntimeError("no licence")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "some_provider.py").write_text(PROVIDER, encoding="utf-8")
    information = tmp_path / "some_provider-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: some-provider\nVersion: 1.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return information / "entry_points.txt"


def name(entry_points: Path, made_by: str) -> None:
    entry_points.write_text(f"[copilotkit_runtime.providers]\nsome = some_provider:{made_by}\n", encoding="utf-8")


async def test_its_agents_are_served(install: Path) -> None:
    name(install, "make")
    agents = await CopilotRuntime().discover_agents()
    assert [agent.name for agent in agents] == ["talker"]


async def test_a_setting_leaves_it_out(install: Path) -> None:
    name(install, "make")
    assert await CopilotRuntime(config=RuntimeConfig(installed_providers=False)).discover_agents() == []


@pytest.mark.parametrize(
    ("made_by", "reason"),
    [("make_nothing", "is not an AgentProvider"), ("fail", "no licence"), ("gone", "cannot be loaded")],
)
def test_one_that_cannot_be_made_is_named(install: Path, made_by: str, reason: str) -> None:
    name(install, made_by)
    with pytest.raises(errors.ConfigurationError, match=f"The provider 'some'.*{reason}"):
        CopilotRuntime()

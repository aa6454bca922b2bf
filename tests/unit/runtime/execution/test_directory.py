"""What a web process lists of the agents of workers, which come, go, change and are of other versions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from copilotkit_runtime.runtime.errors import AgentNotFoundError, NoWorkerError
from copilotkit_runtime.runtime.execution import directory as directory_module
from copilotkit_runtime.runtime.execution.directory import WorkerDirectory
from copilotkit_runtime.runtime.execution.engine import Card
from copilotkit_runtime.runtime.provider import AgentProvider
from copilotkit_runtime.runtime.registry import ProviderRegistry

STOPPED = msgspec.json.encode({"queues": []}).decode()
"""What a worker publishes that ends."""


def card(*agents: str, provider: str = "p", queue: str = "default", **more: Any) -> str:
    """What a worker of one queue publishes; more is added to each agent."""
    listed = [{"name": name, "queue": queue, **more} for name in agents]
    offered = {"name": provider, "kind": "Provider", "agents": listed}
    return msgspec.json.encode({"queues": [queue], "providers": [offered]}).decode()


MODEL = msgspec.json.encode({"queues": ["default"], "model": {"name": "m", "kind": "Model"}}).decode()


class Web:
    """A process that lists the agents of workers, of which only the cards are there."""

    def __init__(self) -> None:
        self.bodies: dict[str, str] = {}
        self.registry = ProviderRegistry()
        self._model: AgentProvider | None = None
        engine: Any = self
        self.directory = WorkerDirectory(engine, self.registry, self._use_model, lambda _: None)
        self.registry.absent = self.directory.absent

    def _use_model(self, model: AgentProvider | None) -> None:
        self._model = model

    def has_model(self) -> bool:
        return self._model is not None

    async def cards(self) -> list[Card]:
        return [Card(name, body) for name, body in self.bodies.items()]

    async def agents(self, **bodies: str) -> list[str]:
        """Look while these workers are there; return the agents that are listed then."""
        self.bodies = bodies
        await self.directory.look()
        return sorted(await self.registry.agents())


@pytest.fixture
def web() -> Web:
    return Web()


async def fails(web: Web, agent: str) -> type[Exception]:
    with pytest.raises((AgentNotFoundError, NoWorkerError)) as failure:
        await web.registry.owner_of(agent)
    return failure.type


async def test_a_worker_of_a_later_version_is_listed_and_one_that_cannot_be_read_is_passed_over(web: Web) -> None:
    later = {
        "queues": ["default"],
        "later": True,
        "version": 2,
        "providers": [{"name": "p", "kind": "Later", "agents": [{"name": "a", "later": {}}], "later": 1}],
    }
    assert await web.agents(one=msgspec.json.encode(later).decode(), two="not JSON", three="[]") == ["a"]


async def test_what_is_published_for_no_queue_is_passed_over(web: Web) -> None:
    offered = {"name": "q", "kind": "Provider", "agents": [{"name": "b"}]}
    served_by_nobody = msgspec.json.encode({"queues": [], "providers": [offered], "model": offered}).decode()
    assert await web.agents(one=card("a"), two=served_by_nobody) == ["a"]
    assert not web.has_model()


async def test_an_agent_that_is_published_twice_by_one_worker_is_listed_once(web: Web) -> None:
    assert await web.agents(one=card("a", "a", "b")) == ["a", "b"]


async def test_an_agent_whose_descriptor_changes_is_described_anew(web: Web) -> None:
    await web.agents(one=card("a", description="old"))
    await web.agents(one=card("a", description="new"))
    ((agent, _),) = (await web.registry.agents()).values()
    assert agent.description == "new"


async def test_an_agent_that_its_workers_no_longer_have_is_unknown_at_once(web: Web) -> None:
    await web.agents(one=card("a", "b"))
    assert await web.agents(one=card("a")) == ["a"]
    assert await fails(web, "b") is AgentNotFoundError


@pytest.mark.parametrize("ending", [{}, {"gpu": STOPPED}])
async def test_agents_of_a_queue_whose_last_worker_has_gone_are_listed_for_a_while_and_away_then(
    web: Web, ending: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    common = card("a")
    await web.agents(one=common, gpu=card("painter", queue="gpu"))
    assert await web.agents(one=common, **ending) == ["a", "painter"]
    monkeypatch.setattr(directory_module, "FORGET_SECONDS", -1.0)
    assert await web.agents(one=common, **ending) == ["a"]
    assert await fails(web, "painter") is NoWorkerError
    assert await fails(web, "nobody") is AgentNotFoundError
    monkeypatch.undo()
    assert await web.agents(one=common, gpu=card("painter", queue="gpu")) == ["a", "painter"]


async def test_without_any_worker_every_agent_and_the_model_are_away(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await web.agents() == []
    assert await fails(web, "a") is NoWorkerError
    assert isinstance(web.directory.absent(None), NoWorkerError)
    await web.agents(one=MODEL)
    assert web.has_model()
    assert web.directory.absent(None) is None
    assert await fails(web, "a") is AgentNotFoundError
    monkeypatch.setattr(directory_module, "FORGET_SECONDS", -1.0)
    await web.agents()
    assert not web.has_model()
    assert isinstance(web.directory.absent(None), NoWorkerError)


async def test_a_provider_that_is_renamed_while_workers_are_replaced_has_each_agent_once(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = card("a", "b", provider="old"), card("a", "b", "c", provider="new")
    assert await web.agents(one=old) == ["a", "b"]
    assert await web.agents(one=old, two=new) == ["a", "b", "c"]
    assert await web.agents(two=new) == ["a", "b", "c"]
    monkeypatch.setattr(directory_module, "FORGET_SECONDS", -1.0)
    assert await web.agents(two=new) == ["a", "b", "c"]


async def test_a_worker_that_cannot_be_read_is_reported_once_and_anew_when_it_publishes_otherwise(web: Web) -> None:
    with capture_logs() as lines:
        for body in ("no JSON", "no JSON", '{"queues": 1}', '{"queues": 1}', card("a"), "no JSON"):
            await web.agents(worker=body)
        await web.agents()
        await web.agents(worker="no JSON")
    assert [(line["event"], line["worker"]) for line in lines] == [("worker_not_readable", "worker")] * 4

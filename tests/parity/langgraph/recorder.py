"""Plays the scenarios on the TypeScript runtime in front of a LangGraph server, and keeps what it answers."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.parity.langgraph.page import Page
from tests.parity.langgraph.scenarios import SCENARIOS, Scenario
from tests.parity.placeholders import Placeholders
from tests.parity.servers import PATH, REFERENCE, Target, reference, serving

HERE = Path(__file__).parent
RECORDINGS = HERE / "recordings"


def langgraph_server(folder: Path) -> Target:
    """``langgraph dev`` in ``folder``, which holds its environment, ``langgraph.json``, and the threads it keeps."""
    options = "--no-browser --no-reload --host 127.0.0.1"
    command = f'cd {folder} && exec venv/bin/langgraph dev {options} --port "$PORT"'
    quiet = {"LANGGRAPH_CLI_NO_ANALYTICS": "1", "LANGSMITH_TRACING": "false", "LOG_LEVEL": "error"}
    return Target("langgraph", ("bash", "-c", command), quiet)


def typescript(deployment_url: str) -> Target:
    """The published TypeScript runtime with its LangGraph agents."""
    graphs = json.loads((HERE / "langgraph.json").read_text())["graphs"]
    command = ("node", str(REFERENCE / "langgraph.mjs"), deployment_url, *graphs)
    return Target("typescript", command, reference().environment)


async def record(name: str, scenario: Scenario, client: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    """What the page sent and was answered in each turn, with names for what differs from run to run."""
    page = Page(client, url, scenario.agent, name)
    recorded = []
    for turn in scenario.turns:
        data, answer = await page.take(turn)
        recorded.append({"data": data, "complete": answer.complete, "parts": answer.parts})
    named: list[dict[str, Any]] = Placeholders().put(recorded)
    return named


async def record_all(url: str) -> None:
    """Writes the recordings of all scenarios."""
    RECORDINGS.mkdir(exist_ok=True)
    async with httpx.AsyncClient(timeout=30) as client:
        for name, scenario in SCENARIOS.items():
            turns = await record(name, scenario, client, url)
            (RECORDINGS / f"{name}.json").write_text(json.dumps(turns, ensure_ascii=False, indent=1) + "\n")
            sys.stdout.write(f"{name}: {[len(turn['parts']) for turn in turns]} parts\n")


def main() -> None:
    """Records on servers of its own: ``recorder FOLDER``, see ``langgraph_server``."""
    with (
        serving(langgraph_server(Path(sys.argv[1]))) as deployment,
        serving(typescript(deployment.url.removesuffix(PATH))) as server,
    ):
        asyncio.run(record_all(server.url))


if __name__ == "__main__":
    main()

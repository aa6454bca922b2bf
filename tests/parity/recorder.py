"""Plays the scenarios on the published TypeScript runtime and keeps what it answers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import httpx

from tests.parity.placeholders import Placeholders
from tests.parity.scenarios import DOCUMENT, Scenario, load
from tests.parity.servers import REFERENCE, reference, serving
from tests.parity.wire import ask

RECORDINGS = DOCUMENT.parent
PATIENCE = 4.0


def write_document() -> None:
    """Keeps the mutation as the published client sends it."""
    command = ["node", str(REFERENCE / "request.mjs")]
    sent = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    DOCUMENT.write_text(json.loads(sent[0])["query"])


async def record(scenario: Scenario, client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """What the server at ``url`` answers to ``scenario``, with names for what differs from run to run."""
    answer = await ask(client, url, scenario.body, PATIENCE)
    return {
        "data": scenario.data,
        "status": answer.status,
        "contentType": answer.content_type,
        "complete": answer.complete,
        "parts": Placeholders().put(answer.parts),
    }


def _text(recording: dict[str, Any]) -> str:
    """JSON with a line for each part and each other field."""
    parts = ",\n    ".join(_json(part) for part in recording["parts"])
    lines = [f"{_json(key)}: {_json(value)}" for key, value in recording.items() if key != "parts"]
    return "{\n  " + ",\n  ".join([*lines, f'"parts": [\n    {parts}\n  ]']) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


async def record_all(url: str, wanted: list[str]) -> None:
    """Writes the recordings of all scenarios, or of those whose ids are ``wanted``."""
    async with httpx.AsyncClient(timeout=30) as client:
        for scenario in load():
            if wanted and scenario.id not in wanted:
                continue
            recording = await record(scenario, client, url)
            (RECORDINGS / f"{scenario.id}.json").write_text(_text(recording))
            ending = "" if recording["complete"] else ", no end"
            sys.stdout.write(f"{scenario.id}: {len(recording['parts'])} parts{ending}\n")


def main() -> None:
    """Records on a server of its own."""
    RECORDINGS.mkdir(exist_ok=True)
    write_document()
    with serving(reference()) as server:
        asyncio.run(record_all(server.url, sys.argv[1:]))


if __name__ == "__main__":
    main()

"""Plays the scenarios on the newest TypeScript runtime, over AG-UI, and keeps what it sends."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from tests.parity.agui.client import play
from tests.parity.agui.scenarios import load
from tests.parity.servers import newest_reference, serving

RECORDINGS = Path(__file__).parent / "recordings"


def _text(recording: dict[str, Any]) -> str:
    """Return JSON with a line for each event and each other field."""
    streams = {key: _stream(value) for key, value in recording.items() if key != "body"}
    lines = [f'"body": {_json(recording["body"])}', *(f"{_json(key)}: {text}" for key, text in streams.items())]
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def _stream(stream: dict[str, Any]) -> str:
    events = ",\n  ".join(_json(event) for event in stream["events"])
    lines = [f"{_json(key)}: {_json(value)}" for key, value in stream.items() if key != "events"]
    return "{" + ", ".join(lines) + f', "events": [\n  {events}\n ]}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


async def record(name: str, body: dict[str, Any]) -> None:
    """Write the recording of a scenario, made on a server of its own: some end the server's process."""
    with serving(newest_reference()) as server:
        async with httpx.AsyncClient(timeout=30) as client:
            streams = await play(client, server.url, body)
    recording = {"body": body, **{phase: asdict(stream) for phase, stream in streams.items()}}
    (RECORDINGS / f"{name}.json").write_text(_text(recording), encoding="utf-8")
    sys.stdout.write(f"{name}: {len(streams['run'].events)} and {len(streams['connect'].events)} events\n")


def main() -> None:
    """Record all scenarios, or those whose names are given."""
    RECORDINGS.mkdir(exist_ok=True)
    wanted = sys.argv[1:]
    for name, body in load().items():
        if not wanted or name in wanted:
            asyncio.run(record(name, body))


if __name__ == "__main__":
    main()

"""Writes what the gate lets pass of a thousand random runs: ``python -m tests.clients.agui.streams``, a line each."""

from __future__ import annotations

import sys

import msgspec

from copilotkit_runtime.runtime.agui_messages import messages_from_agui
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.wires.agui.down_level import Reasoning
from copilotkit_runtime.wires.agui.frames import frame
from copilotkit_runtime.wires.agui.gate import Gate, GateOptions
from copilotkit_runtime.wires.agui.replay import synthesised_run
from tests.support.random_runs import THREAD, random_run

RUNS = 1000
KEPT = AgentState(state={"n": 1}, messages=messages_from_agui(THREAD[:1] + THREAD[2:]))
LEVELS: tuple[Reasoning, ...] = ("thinking", "on", "off")


def stream(seed: int, reasoning: Reasoning, *, history: bool) -> list[msgspec.Raw]:
    """The events of one run as clients get them."""
    on = reasoning == "on"
    options = GateOptions(reasoning=reasoning, raw=True, encrypted_reasoning=on, interrupt_outcome=on, history=history)
    gate = Gate("t", f"r-{seed}", options, known=("u",))
    frames = [frame(event) for event in gate.pass_(random_run(seed))]
    frames += [frame(event) for event in gate.finish()]
    return [msgspec.Raw(data.removeprefix(b"data: ").strip()) for data in frames]


def main() -> None:
    """Write a line of JSON for each run and each way of showing reasoning, and one for a remembered thread."""
    for seed in range(RUNS):
        for reasoning in LEVELS:
            shown = stream(seed, reasoning, history=seed % 2 == 0)
            _write(seed, reasoning, shown)
    _write(RUNS, "off", [msgspec.Raw(msgspec.json.encode(event)) for event in synthesised_run("t", "r", KEPT)])


def _write(seed: int, reasoning: Reasoning, shown: list[msgspec.Raw]) -> None:
    line = {"seed": seed, "reasoning": reasoning, "events": shown}
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")


if __name__ == "__main__":
    main()

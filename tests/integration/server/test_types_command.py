"""``copilotkit-runtime types``: the types of agents' states for a TypeScript page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.server.process import ROOT, run

TARGET = "tests/integration/server/typed_agents.py:runtime"
COMPILER = ROOT / "tests" / "e2e" / "node_modules" / ".bin" / "tsc"

PAGE = """
import type { AgentInputs, AgentName, AgentStates } from "./agents";

const names: AgentName[] = ["typed", "odd one-2", "functional", "own"];
// @ts-expect-error there is no such agent
const nobody: AgentName = "nobody";

const state: AgentStates["typed"] = {
  mood: "good",
  tree: { label: "root", children: [{ label: "leaf" }] },
  weather: { Berlin: { degrees: 21.5 }, Oslo: { degrees: 3, wind: 4 } },
  step: 3,
  place: [52.5, 13.4],
  mixed: [1, "two", null],
  anything: { of: ["any", "kind"] },
};
const empty: AgentStates["typed"] = { tree: null };
// @ts-expect-error not one of the moods
const mood: AgentStates["typed"] = { mood: "fair" };
// @ts-expect-error a leaf needs a label
const leaf: AgentStates["typed"] = { tree: { label: "root", children: [{}] } };
// @ts-expect-error a place has two coordinates
const place: AgentStates["typed"] = { place: [1] };
// @ts-expect-error the output does not show it
const secret: AgentStates["typed"] = { secret: "x" };
const set: AgentInputs["typed"] = { secret: "x" };
const odd: AgentStates["odd one-2"] = { "a-key": 1, class: true };
const own: AgentStates["own"] = { whatever: 1 };

export { names, nobody, state, empty, mood, leaf, place, secret, set, odd, own };
"""


def test_types_are_written_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "agents.d.ts"
    written = run("types", TARGET, "--output", str(file))
    assert written.returncode == 0, written.stderr
    assert written.stdout == f"wrote {file}\n"
    printed = run("types", TARGET)
    assert printed.stdout == file.read_text()
    assert "export type AgentName = keyof AgentStates;" in printed.stdout
    assert "messages" not in printed.stdout


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    refused = run("types", TARGET, "--output", str(tmp_path / "nowhere" / "agents.d.ts"))
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr


def test_the_model_is_among_the_agents_by_the_name_that_clients_reach_it_by(tmp_path: Path) -> None:
    file = tmp_path / "plain.py"
    file.write_text("from copilotkit_runtime import CopilotRuntime\nruntime = CopilotRuntime(model='openai:gpt-4o')\n")
    printed = run("types", f"{file}:runtime")
    assert printed.returncode == 0, printed.stderr
    assert "  default: Record<string, unknown>;" in printed.stdout


@pytest.mark.e2e
def test_a_page_is_compiled_against_them(tmp_path: Path) -> None:
    assert run("types", TARGET, "--output", str(tmp_path / "agents.d.ts")).returncode == 0
    (tmp_path / "page.ts").write_text(PAGE)
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"]
    compiled = subprocess.run(
        [COMPILER, *options, "page.ts"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert compiled.returncode == 0, compiled.stdout

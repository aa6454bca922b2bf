"""Runs the tests of runs against a runtime that is broken on purpose: ``scripts/mutate [MUTATION...]``.

A test that passes although every run is refused, every stream is empty or every state is empty does not check what a
run does. Some tests rightly pass: they are about something that a run does not do. They are listed, by mutation, in
``survivors.txt``; a survivor that is not listed there fails the check, and so does a listed one that fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
SURVIVORS = HERE / "survivors.txt"
RUNS = [f"tests/integration/runtime/{room}" for room in ("runs", "actions", "guardrails", "hooks")]
MUTATIONS = {
    "refused": RUNS,
    "silent": RUNS,
    "forgetful": ["tests/integration/stores/test_contract.py", "-k", "memory"],
}
"""The tests that a mutation should break, by its name."""
SECONDS_PER_TEST = 12
"""A test that takes longer counts as failed: many hang while runs are broken."""


def survivors_of(mutation: str) -> set[str]:
    """Return the tests that pass under a mutation, without their parameters; a hanging test counts as failed.

    Raises:
        RuntimeError: The tests were not all run, or the mutation was not applied.
    """
    passed, failed = results_of(mutation, MUTATIONS[mutation])
    if not failed:
        raise RuntimeError(f"no test failed under the mutation {mutation}: it was not applied")
    return passed


def results_of(mutation: str, tests: Sequence[str]) -> tuple[set[str], int]:
    """Run tests under a mutation; return those that pass, without their parameters, and how many fail.

    Raises:
        RuntimeError: The tests were not all run.
    """
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "not e2e", "-p", "no:cacheprovider"]
        command += ["-W", "ignore::pytest.PytestAssertRewriteWarning", "--timeout", str(SECONDS_PER_TEST)]
        # Where a hanging test was interrupted, Python 3.11 cannot always parse the source that pytest shows otherwise.
        command += ["-o", "timeout_func_only=true", "--tb", "native", "--junitxml", str(report), *tests]
        environment = {**os.environ, "COPILOTKIT_TEST_MUTATION": mutation, "PYTHONPATH": str(HERE)}
        ended = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if ended.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise RuntimeError(f"pytest broke off under the mutation {mutation}, with status {ended.returncode}")
        cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - pytest wrote it
    passed = {f"{case.get('classname')}::{str(case.get('name')).split('[')[0]}" for case in cases if not len(case)}
    return passed, sum(len(case) > 0 for case in cases)


def failing_again(mutation: str, names: AbstractSet[str]) -> set[str]:
    """Return which tests fail again where others do not slow them down."""
    if not names:
        return set()
    nodes = [f"{module.replace('.', '/')}.py::{test}" for module, _, test in (name.partition("::") for name in names)]
    return set(names) - results_of(mutation, nodes)[0]


def listed(mutation: str) -> set[str]:
    """Return the tests that may pass under a mutation."""
    lines = [line.split() for line in SURVIVORS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {words[0] for words in lines if words and mutation in words[1:]}


def main(mutations: list[str]) -> int:
    """Check the mutations; return the exit status."""
    wrong = 0
    for mutation in mutations or MUTATIONS:
        found, allowed = survivors_of(mutation), listed(mutation)
        stale = failing_again(mutation, allowed - found)
        print(f"{mutation}: {len(found)} tests pass, of which {len(found - allowed)} should not")
        for name in sorted(found - allowed):
            print(f"  passes: {name}")
        for name in sorted(stale):
            print(f"  listed, but fails: {name}")
        wrong += len(found - allowed) + len(stale)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

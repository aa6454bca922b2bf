"""Every expression of the dashboard, the alerts and the recording rules has data from a real server under load."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy.prometheus import Prometheus, watching
from tests.deploy.tools import DEPLOY, program, run
from tests.integration.server.process import Running, running
from tests.integration.stores.servers import RedisServer
from tests.parity.wire import ask
from tests.support.request_bodies import event, generate, scripted, text, text_message

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

KEY = "the-key"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "copilotkit-runtime.json").read_text())
RULES: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
ALL_RULES = [rule for group in RULES["groups"] for rule in group["rules"]]
USAGE = event("RUN_USAGE", inputTokens=11, outputTokens=7, cachedTokens=5, model="gpt-4o")


def of_the_dashboard() -> Iterator[tuple[str, str]]:
    """The expressions of the dashboard as Grafana sends them, by their panels."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            listed = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert listed is not None
            yield f"variable {variable['name']}", f"count by ({listed[2]}) ({listed[1]})"


def of_the_rules() -> Iterator[tuple[str, str]]:
    """The expressions of the rules, by their names."""
    for rule in ALL_RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]


def without_bound(expression: str) -> str:
    """An alert's expression without the bound at its end, which a healthy server keeps within."""
    return re.sub(r"\s+(==|>)\s+[\d.]+\s*$", "", expression)


def filled(expression: str) -> str:
    """An expression with the values of the dashboard's variables."""
    return expression.replace("$__rate_interval", "1m").replace("$job", "copilotkit-runtime").replace("$agent", ".*")


async def load(server: Running, ending: threading.Event) -> None:
    """Use the server in all ways that are measured, for as long as it is watched."""
    fine = scripted(USAGE, *text("a", "one", "two"))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(timeout=60, headers=headers) as http:
        turn = 0
        while not ending.is_set():
            turn += 1
            await ask(http, server.url, {**fine, "variables": _on(fine, f"t-{turn}")})
            await ask(http, server.url, scripted({"raise": "boom"}, threadId=f"f-{turn}"))
            await http.post(server.url, json={"query": "{nope}"})
            if turn == 3:
                await ask(http, server.url, generate(text_message("hi"), agent="blocker"))
            await asyncio.sleep(0.2)


def _on(body: dict[str, Any], thread: str) -> dict[str, Any]:
    variables: dict[str, Any] = body["variables"]
    return {**variables, "data": {**variables["data"], "threadId": thread}}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that watches two workers on Redis, which are in use."""
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    redis.start()
    ending = threading.Event()
    settings = {"metrics": "true", "api_keys": f"prometheus:{KEY}", "blocked_loop_seconds": "0.3", "store": redis.url}
    try:
        with (
            running(tmp_path_factory.mktemp("server"), "--workers", "2", **settings) as server,
            watching(tmp_path_factory.mktemp("prometheus"), server.origin.removeprefix("http://"), KEY) as watched,
        ):
            using = threading.Thread(target=lambda: asyncio.run(load(server, ending)))
            using.start()
            try:
                yield watched
            finally:
                ending.set()
                using.join(60)
    finally:
        redis.kill()


def test_the_rules_are_sound_and_alert_when_they_should() -> None:
    folder = DEPLOY / "prometheus"
    run(program("promtool"), "check", "config", "--syntax-only", folder / "prometheus.yml")
    run(program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", folder / "rules.yml")
    run(program("promtool"), "test", "rules", folder / "rules_test.yml")
    tests = yaml.safe_load((folder / "rules_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in ALL_RULES if "alert" in rule}
    assert {case["alertname"] for case in cases if "exp_alerts" in case} == alerts
    assert {case["alertname"] for case in cases if "exp_alerts" not in case} == alerts


def test_every_process_is_watched_with_its_credentials(prometheus: Prometheus) -> None:
    [up] = prometheus.await_series("up == 1")
    assert up["metric"]["job"] == "copilotkit-runtime"
    prometheus.await_series("count(process_resident_memory_bytes) == 2")


# No blocked loop, failure of the store or start need have been seen at that moment; those panels say 0 or nothing.
@pytest.mark.parametrize(("name", "expression"), list(of_the_dashboard()))
def test_the_panel_has_data(prometheus: Prometheus, name: str, expression: str) -> None:
    expression = filled(expression)
    if name == "Starts":
        expression = expression.removesuffix(" > 0")
    assert prometheus.await_series(expression)


@pytest.mark.parametrize(("name", "expression"), list(of_the_rules()))
def test_the_rule_has_data(prometheus: Prometheus, name: str, expression: str) -> None:
    expression = without_bound(expression)
    if name in ("CopilotKitStoreFails", "CopilotKitRequestsRefused"):
        # Nothing of the kind happens here: the labels are looked for in what does.
        expression = expression.replace(
            "copilotkit_store_failures_total", "copilotkit_store_operation_duration_seconds_count"
        )
        expression = expression.replace('{status=~"429|503"}', '{status="400"}')
    assert prometheus.await_series(expression)


def test_nothing_that_is_measured_is_left_out_of_the_dashboard(prometheus: Prometheus) -> None:
    prometheus.await_series("copilotkit_runs_total")
    names = {name for name in prometheus.get("label/__name__/values") if name.startswith("copilotkit_")}
    names = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in names}
    used = " ".join(expression for _, expression in list(of_the_dashboard()))
    elsewhere = {"copilotkit_model_calls_total", "copilotkit_reasoning_tokens_total"}
    assert {name for name in names - elsewhere if ":" not in name and name not in used} <= {
        name for name in names if f"{name}_total" in names
    }

"""The manifests of web processes and workers, rendered, against the schemas of Kubernetes and against the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from copilotkit_runtime import RuntimeConfig
from copilotkit_runtime.runtime.observability.metrics import RuntimeMetrics
from copilotkit_runtime.server.cli.worker import HEALTH_PORT
from tests.deploy.test_kubernetes import CONNECTIONS_GRACE_SECONDS, NEWEST, OLDEST
from tests.deploy.tools import DEPLOY, SCHEMAS, program, run

pytestmark = pytest.mark.e2e

WEB, WORKER = "copilotkit-runtime", "copilotkit-worker"


def charted(*flags: str) -> str:
    """Render the chart with its workers; what is named after the release has the names of the plain manifests."""
    chart = DEPLOY / "helm" / "copilotkit-runtime"
    command = [program("helm"), "template", WEB, str(chart), "--kube-version", NEWEST, "--set", "worker.enabled=true"]
    return run(*command, *flags).replace(f"{WEB}-worker", WORKER)


@pytest.fixture(scope="module", params=["kustomize", "helm"])
def objects(request: pytest.FixtureRequest) -> dict[tuple[str, str], Any]:
    """The objects by kind and name, the hash of config maps left out."""
    plain = request.param == "kustomize"
    text = run(program("kubectl"), "kustomize", DEPLOY / "kubernetes-tiers") if plain else charted()
    return objects_of(text)


def objects_of(text: str) -> dict[tuple[str, str], Any]:
    found = [one for one in yaml.safe_load_all(text) if one is not None]
    return {(one["kind"], re.sub(r"-[a-z0-9]{10}$", "", one["metadata"]["name"])): one for one in found}


def pod_of(objects: dict[tuple[str, str], Any], name: str) -> Any:
    return objects["Deployment", name]["spec"]["template"]


def settings_of(objects: dict[tuple[str, str], Any], name: str) -> dict[str, str]:
    data: dict[str, str] = objects["ConfigMap", name]["data"]
    return {key.removeprefix("COPILOTKIT_").lower(): value for key, value in data.items()}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_schemas_of_kubernetes_accept_the_manifests(
    objects: dict[tuple[str, str], Any], version: str, tmp_path: Path
) -> None:
    file = tmp_path / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(objects.values()))
    printed = run(SCHEMAS, "--strict", "--no-warn", "-k", version, file)
    assert printed.count("passed for resource") == len(objects)


@pytest.mark.parametrize("name", [WEB, WORKER])
def test_settings_are_those_of_the_code_and_come_from_the_tier_s_own_map(
    objects: dict[tuple[str, str], Any], name: str
) -> None:
    assert settings_of(objects, name).keys() <= RuntimeConfig.model_fields.keys()
    (container,) = pod_of(objects, name)["spec"]["containers"]
    maps = [one["configMapRef"]["name"] for one in container["envFrom"] if "configMapRef" in one]
    assert maps == [objects["ConfigMap", name]["metadata"]["name"]]


def test_web_pods_hand_runs_over_and_have_no_agents(objects: dict[tuple[str, str], Any]) -> None:
    (container,) = pod_of(objects, WEB)["spec"]["containers"]
    assert "args" not in container
    assert settings_of(objects, WEB)["execution"] == "queue"


def test_worker_pods_run_the_command_and_are_probed_where_it_listens(objects: dict[tuple[str, str], Any]) -> None:
    pod = pod_of(objects, WORKER)
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["copilotkit-runtime", "worker"]
    assert container["ports"] == [{"name": "probes", "containerPort": HEALTH_PORT}]
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(HEALTH_PORT)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "probes"
    grace = float(settings_of(objects, WORKER)["shutdown_grace_seconds"])
    assert pod["spec"]["terminationGracePeriodSeconds"] > grace + CONNECTIONS_GRACE_SECONDS


@pytest.mark.parametrize("name", [WEB, WORKER])
def test_selectors_find_the_pods_of_their_tier_alone(objects: dict[tuple[str, str], Any], name: str) -> None:
    labels = pod_of(objects, name)["metadata"]["labels"]
    others = pod_of(objects, WORKER if name == WEB else WEB)["metadata"]["labels"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        selector = objects[kind, name]["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels.items()
        assert not selector.items() <= others.items()
    service = objects["Service", WEB]["spec"]["selector"]
    assert (service.items() <= labels.items()) is (name == WEB)
    target = objects["HorizontalPodAutoscaler", name]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", name)
    assert "replicas" not in objects["Deployment", name]["spec"]


def test_pod_monitors_find_the_workers_and_scrape_them_with_a_key_of_the_secret() -> None:
    chart = objects_of(charted("--set", "serviceMonitor.enabled=true"))
    tiers = run(program("kubectl"), "kustomize", DEPLOY / "kubernetes-tiers")
    plain = objects_of(f"{tiers}\n---\n{(DEPLOY / 'kubernetes-tiers' / 'worker-podmonitor.yaml').read_text()}")
    for objects in (chart, plain):
        spec = objects["PodMonitor", WORKER]["spec"]
        selector = spec["selector"]["matchLabels"]
        assert selector.items() <= pod_of(objects, WORKER)["metadata"]["labels"].items()
        assert not selector.items() <= pod_of(objects, WEB)["metadata"]["labels"].items()
        (container,) = pod_of(objects, WORKER)["spec"]["containers"]
        (endpoint,) = spec["podMetricsEndpoints"]
        assert endpoint["port"] in [port["name"] for port in container["ports"]]
        assert endpoint["path"] == pod_of(objects, WORKER)["metadata"]["annotations"]["prometheus.io/path"]
        credentials = endpoint["authorization"]["credentials"]
        secrets = [one["secretRef"]["name"] for one in container["envFrom"] if "secretRef" in one]
        assert credentials == {"name": secrets[0], "key": "PROMETHEUS_KEY"}
        assert settings_of(objects, WORKER)["metrics"] == "true"
    assert ("PodMonitor", WORKER) not in objects_of(charted())


def metrics_of(autoscaler: Any) -> set[str]:
    parts = [metric.get("pods") or metric.get("external") for metric in autoscaler["spec"]["metrics"]]
    return {part["metric"]["name"] for part in parts if part is not None}


def test_autoscalers_follow_open_streams_and_queue_time_which_the_adapter_reads_from_what_is_measured(
    objects: dict[tuple[str, str], Any],
) -> None:
    followed = {name: metrics_of(objects["HorizontalPodAutoscaler", name]) for name in (WEB, WORKER)}
    assert followed[WEB] == {"copilotkit_active_streams"}
    assert followed[WORKER] == {"copilotkit_run_queue_seconds", "copilotkit_active_runs"}
    rules = yaml.safe_load((DEPLOY / "prometheus" / "adapter.yaml").read_text())["rules"]
    measured = measured_names()
    (pods,), (external,) = rules["custom"], rules["external"]
    named = re.search(r'__name__=~"([^"]+)"', pods["seriesQuery"])
    assert named is not None
    read = {name for name in measured if re.fullmatch(named[1], name)}
    assert read == followed[WEB] | followed[WORKER] - {external["name"]["as"]}
    assert external["seriesQuery"].partition("{")[0].removesuffix("_bucket") in measured
    assert external["name"]["as"] in followed[WORKER]


def test_the_chart_s_workers_have_the_settings_of_both_tiers_and_their_own() -> None:
    flags = ["--set-string", "settings.tracing=true", "--set-string", "worker.settings.shutdown_grace_seconds=100.5"]
    found = objects_of(charted(*flags, "--set", "worker.autoscaling.enabled=false", "--set", "worker.replicas=5"))
    given = settings_of(found, WORKER)
    assert (given["tracing"], given["shutdown_grace_seconds"], given["on_crash"]) == ("true", "100.5", "resume")
    assert settings_of(found, WEB)["shutdown_grace_seconds"] == "30"
    assert pod_of(found, WORKER)["spec"]["terminationGracePeriodSeconds"] == 101 + 15
    assert found["Deployment", WORKER]["spec"]["replicas"] == 5
    assert ("HorizontalPodAutoscaler", WORKER) not in found
    before = pod_of(objects_of(charted()), WORKER)["metadata"]["annotations"]["checksum/settings"]
    assert pod_of(found, WORKER)["metadata"]["annotations"]["checksum/settings"] != before


def measured_names() -> set[str]:
    page, _ = RuntimeMetrics().page()
    return {family.name for family in text_string_to_metric_families(page.decode())}

"""The Kubernetes manifests and the Helm chart, rendered, against the schemas of Kubernetes and against the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from copilotkit_runtime import RuntimeConfig
from tests.deploy.tools import DEPLOY, ROOT, SCHEMAS, program, run
from tests.integration.server.process import run as run_command
from tests.integration.server.process import running

pytestmark = pytest.mark.e2e

CHART = DEPLOY / "helm" / "copilotkit-runtime"
OLDEST, NEWEST = "1.27", "1.37"
CONNECTIONS_GRACE_SECONDS = 10
"""What the server waits, behind the runs, for the last connections."""

VARIANTS: dict[str, list[str]] = {
    "the defaults": [],
    "all that can be enabled": [
        "ingress.enabled=true",
        "ingress.host=chat.example.com",
        "ingress.tlsSecret=tls",
        "serviceMonitor.enabled=true",
        "settings.graphql_path=/copilot",
        "podAnnotations.team=ai",
        "image.tag=1.2.3",
        "imagePullSecrets[0].name=pull",
        "nodeSelector.disk=ssd",
        "tolerations[0].operator=Exists",
    ],
    "nothing that can be left out": ["autoscaling.enabled=false", "replicas=3", "disruptionBudget.enabled=false"],
    "a long grace": ["settings.shutdown_grace_seconds=119.5", "preStopSeconds=15"],
}


def rendered(variant: str) -> str:
    """The chart's manifests."""
    flags = [f"--set-string={one}" if "settings" in one else f"--set={one}" for one in VARIANTS[variant]]
    return run(program("helm"), "template", "chat", CHART, "--kube-version", NEWEST, *flags)


def kustomized() -> str:
    """The plain manifests."""
    return run(program("kubectl"), "kustomize", DEPLOY / "kubernetes")


def manifests() -> dict[str, str]:
    """All manifests there are, by what they are."""
    return {"kustomize": kustomized(), **{f"helm, {variant}": rendered(variant) for variant in VARIANTS}}


@pytest.fixture(scope="module", params=["kustomize", *(f"helm, {variant}" for variant in VARIANTS)])
def text(request: pytest.FixtureRequest) -> str:
    kind = str(request.param)
    return kustomized() if kind == "kustomize" else rendered(kind.removeprefix("helm, "))


def by_kind(text: str) -> dict[str, Any]:
    """The objects of manifests, each of a kind of its own."""
    objects = [one for one in yaml.safe_load_all(text) if one is not None]
    found = {one["kind"]: one for one in objects}
    assert len(found) == len(objects)
    return found


def container_of(objects: dict[str, Any]) -> dict[str, Any]:
    """The one container."""
    [container] = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def settings_of(objects: dict[str, Any]) -> dict[str, str]:
    """The settings that the config map makes, by their names."""
    return {name.removeprefix("COPILOTKIT_").lower(): value for name, value in objects["ConfigMap"]["data"].items()}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_schemas_of_kubernetes_accept_the_manifests(text: str, version: str, tmp_path: Path) -> None:
    objects = [one for one in yaml.safe_load_all(text) if one and one["kind"] != "ServiceMonitor"]
    file = tmp_path / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    printed = run(SCHEMAS, "--strict", "--no-warn", "-k", version, file)
    assert printed.count("passed for resource") == len(objects)


def test_the_schemas_would_refuse_a_slip(tmp_path: Path) -> None:
    file = tmp_path / "manifests.yaml"
    file.write_text(kustomized().replace("failureThreshold", "failureTreshold", 1))
    ended = subprocess.run([SCHEMAS, "--strict", "-k", NEWEST, file], capture_output=True, text=True, check=False)
    assert ended.returncode != 0


def test_the_settings_are_those_of_the_code(text: str) -> None:
    made = settings_of(by_kind(text))
    assert made.keys() <= RuntimeConfig.model_fields.keys()
    ended = run_command("config", **made, api_keys="me:my-key", env="production")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert made["metrics"] == "true"


def test_a_pod_is_given_longer_to_end_than_its_runs(text: str) -> None:
    objects = by_kind(text)
    pod, made = objects["Deployment"]["spec"]["template"]["spec"], settings_of(objects)
    before = container_of(objects)["lifecycle"]["preStop"]["exec"]["command"]
    assert before[0] == "sleep"
    grace = float(made.get("shutdown_grace_seconds") or RuntimeConfig.model_fields["shutdown_grace_seconds"].default)
    assert pod["terminationGracePeriodSeconds"] > int(before[1]) + round(grace) + CONNECTIONS_GRACE_SECONDS


def test_selectors_find_the_pods_and_names_lead_to_what_is_there(text: str) -> None:
    objects = by_kind(text)
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    selectors = [
        objects["Deployment"]["spec"]["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    if "PodDisruptionBudget" in objects:
        selectors.append(objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"])
    if "ServiceMonitor" in objects:
        selectors.append(objects["ServiceMonitor"]["spec"]["selector"]["matchLabels"])
        assert selectors[-1].items() <= objects["Service"]["metadata"]["labels"].items()
    for selector in selectors:
        assert selector
        assert selector.items() <= labels.items()
    sources = container_of(objects)["envFrom"]
    assert [one["configMapRef"]["name"] for one in sources if "configMapRef" in one] == [
        objects["ConfigMap"]["metadata"]["name"]
    ]
    assert pod["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"]
    if "HorizontalPodAutoscaler" in objects:
        target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
        assert target["name"] == objects["Deployment"]["metadata"]["name"]
        assert "replicas" not in objects["Deployment"]["spec"]
    if "Ingress" in objects:
        [path] = objects["Ingress"]["spec"]["rules"][0]["http"]["paths"]
        assert path["path"] == settings_of(objects).get(
            "graphql_path", RuntimeConfig.model_fields["graphql_path"].default
        )
        assert path["backend"]["service"]["name"] == objects["Service"]["metadata"]["name"]


def test_the_pod_fits_the_image(text: str) -> None:
    objects = by_kind(text)
    pod, container = objects["Deployment"]["spec"]["template"]["spec"], container_of(objects)
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    [user] = re.findall(r"^USER (\d+)$", dockerfile, re.MULTILINE)
    [port] = re.findall(r"^EXPOSE (\d+)$", dockerfile, re.MULTILINE)
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == int(user)
    assert container["ports"] == [{"name": "http", "containerPort": int(port)}]
    assert "port" not in settings_of(objects)
    assert container["securityContext"]["readOnlyRootFilesystem"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"/tmp", *re.findall(r"^VOLUME (\S+)$", dockerfile, re.MULTILINE)}


def test_the_probes_answer_on_a_server_with_these_settings(tmp_path: Path) -> None:
    for kind, one in manifests().items():
        objects = by_kind(one)
        container, made = container_of(objects), {**settings_of(objects), "workers": "1"}
        folder = tmp_path / re.sub(r"\W", "-", kind)
        folder.mkdir()
        with running(folder, **made, api_keys="me:my-key", env="production") as server:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = container[probe]["httpGet"]
                assert asked["port"] == "http"
                assert httpx.get(f"{server.origin}{asked['path']}").status_code == 200
            metrics = httpx.get(f"{server.origin}/metrics", headers={"authorization": "Bearer my-key"})
            assert metrics.status_code == 200


def test_the_chart_is_sound_and_its_versions_are_those_of_the_package() -> None:
    run(program("helm"), "lint", "--strict", CHART)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert chart["appVersion"] == version
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"


@pytest.mark.parametrize(
    "flags",
    [
        ["--set", "setings.metrics=true"],
        ["--set-string", "settings.port=9000"],
        ["--set", "preStopSeconds=soon"],
        ["--set", "ingress.enabled=true"],
        ["--set", "existingSecret="],
    ],
    ids=lambda flags: flags[1],
)
def test_values_that_cannot_work_are_refused(flags: list[str]) -> None:
    command = [program("helm"), "template", "chat", str(CHART), *flags]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_a_changed_setting_restarts_the_pods() -> None:
    def checksum(*flags: str) -> str:
        objects = by_kind(run(program("helm"), "template", "chat", CHART, *flags))
        annotations: dict[str, str] = objects["Deployment"]["spec"]["template"]["metadata"]["annotations"]
        return annotations["checksum/settings"]

    assert checksum() == checksum()
    assert checksum() != checksum("--set-string", "settings.on_crash=resume")

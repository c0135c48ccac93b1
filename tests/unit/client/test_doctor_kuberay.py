"""What KubeRay was set up with, and whether that is what the runtime says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from raygen.client.doctor.inside import DEPLOYMENTS
from raygen.client.doctor.kuberay import CONFIG_MAPS
from raygen.kube import RUNTIMES
from tests.unit.client.stub import TEAM, Cluster
from tests.unit.operator.attempts.world import runtime

Object = dict[str, Any]

SYSTEM = "kuberay-system"
MOUNTED = {
    "args": ["--config", "/etc/kuberay/config.yaml", "--batch-scheduler=yunikorn"],
    "volumeMounts": [{"name": "operator-config", "mountPath": "/etc/kuberay"}],
}
QUEUES = {"queueNames": ["*"]}


@pytest.fixture
def kuberay(cluster: Cluster) -> Object:
    """The container of a KubeRay that works."""
    container: Object = {"name": "kuberay-operator", "image": "registry.example.org:5000/kuberay:v1.6.2"}
    volumes = [{"name": "operator-config", "configMap": {"name": "kuberay-operator-config"}}]
    # A mesh's, before it.
    pod = {"containers": [{"name": "proxy", "image": "proxy:1.0"}, container], "volumes": volumes}
    labels = {"app.kubernetes.io/name": "kuberay-operator", "app.kubernetes.io/instance": "rays"}
    deployment = {
        "metadata": {"name": "kuberay-operator", "namespace": SYSTEM, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"spec": pod}},
        "status": {"readyReplicas": 1},
    }
    cluster.objects["/apis/ray.io/v1"] = {"resources": []}
    cluster.objects[DEPLOYMENTS.path()] = {"items": [deployment]}
    return container


def found(
    cluster: Cluster, folder: Path, capsys: pytest.CaptureFixture[str], scheduler: Object | None, **spec: Any
) -> list[Object]:
    """What the check says but that KubeRay runs."""
    granted = runtime(**spec) if scheduler is None else runtime(scheduler=scheduler, **spec)
    cluster.objects[RUNTIMES.path(name="default")] = {
        "apiVersion": "raygen.io/v1alpha1",
        "kind": "RaygenRuntime",
        **granted,
    }
    main(["doctor", "--only=kuberay", "--json", "--kubeconfig", cluster.kubeconfig(folder)])
    findings: list[Object] = json.loads(capsys.readouterr().out)["findings"]
    return [one for one in findings if "pods ready" not in one["said"]]


@pytest.mark.parametrize(
    "args",
    [
        ["--batch-scheduler=volcano"],
        ["-batch-scheduler=volcano"],
        ["--batch-scheduler", "volcano", "--feature-gates=A=true,B=false"],
        ["--enable-batch-scheduler"],
        ["--enable-batch-scheduler=true", "--enable-leader-election=true"],
        ["--batch-scheduler=yunikorn", "--batch-scheduler=volcano"],
        ["--watch-namespace", f"other,{TEAM}", "--batch-scheduler=volcano"],
    ],
)
def test_every_way_to_name_the_scheduler_is_read(
    cluster: Cluster, kuberay: Object, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    kuberay["args"] = args
    (one,) = found(cluster, tmp_path, capsys, {"type": "Volcano"})
    assert (one["state"], one["remedy"]) == ("ok", "")
    assert "is set up for Volcano, as the RaygenRuntime default wants" in one["said"]
    (one,) = found(cluster, tmp_path, capsys, {"type": "YuniKorn"})
    assert one["state"] == "fault"
    assert (
        "has the scheduler YuniKorn, and kuberay-system/kuberay-operator is set up for volcano" in one["said"]
    )
    command = (
        "helm upgrade rays kuberay/kuberay-operator --namespace kuberay-system --reuse-values"
        " --set batchScheduler.enabled=false --set batchScheduler.name=yunikorn"
    )
    assert one["remedy"].startswith(command)


@pytest.mark.parametrize("args", [[], ["--enable-batch-scheduler=false"], ["--batch-scheduler="]])
def test_a_kuberay_without_a_scheduler_is_told_of(
    cluster: Cluster, kuberay: Object, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    kuberay["args"] = args
    (one,) = found(cluster, tmp_path, capsys, {"type": "KAI", **QUEUES})
    assert one["state"] == "fault"
    assert "set up for no batch scheduler" in one["said"]
    assert "--reuse-values --set batchScheduler.name=kai-scheduler" in one["remedy"]
    assert found(cluster, tmp_path, capsys, None) == []
    assert found(cluster, tmp_path, capsys, {"type": "Kueue"}) == []


@pytest.mark.parametrize(
    "text",
    [
        'kind: Configuration\nbatchScheduler: "volcano"\n',
        "batchScheduler: volcano # once\nheadSidecarContainers:\n- env: [{name: batchScheduler, value: x}]\n",
        "enableBatchScheduler: true\n",
        json.dumps({"kind": "Configuration", "batchScheduler": "volcano"}),
        json.dumps({"enableBatchScheduler": True}),
    ],
)
def test_a_configuration_file_is_read_and_flags_beside_it_are_not(
    cluster: Cluster, kuberay: Object, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    kuberay |= MOUNTED
    path = CONFIG_MAPS.path(SYSTEM, "kuberay-operator-config")
    cluster.objects[path] = {"data": {"config.yaml": text}}
    (one,) = found(cluster, tmp_path, capsys, {"type": "Volcano"})
    assert one["state"] == "ok"
    (one,) = found(cluster, tmp_path, capsys, {"type": "YuniKorn"})
    assert one["state"] == "fault"


def test_what_cannot_be_read_is_unknown(
    cluster: Cluster, kuberay: Object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kuberay |= MOUNTED
    (one,) = found(cluster, tmp_path, capsys, {"type": "Volcano"})
    assert (one["state"], one["remedy"]) == (
        "unknown",
        "See that its batch scheduler is volcano: docs/scheduling.md",
    )
    path = CONFIG_MAPS.path(SYSTEM, "kuberay-operator-config")
    cluster.forbidden[path] = (
        'cannot get resource "configmaps" in API group "" in the namespace "kuberay-system"'
    )
    (one,) = found(cluster, tmp_path, capsys, {"type": "Volcano"})
    assert one["state"] == "unknown"
    assert "the right to get configmaps in the namespace kuberay-system" in one["said"]
    kuberay["args"] = ["--batch-scheduler=$(SCHEDULER)"]
    (one,) = found(cluster, tmp_path, capsys, {"type": "Volcano"})
    assert one["state"] == "unknown"


@pytest.mark.parametrize(
    ("name", "scheduler", "state", "remedy"),
    [
        ("kai-scheduler", None, "fault", "Name KAI in the RaygenRuntime default"),
        ("kai-scheduler", {"type": "Kueue"}, "fault", "batchScheduler.name="),
        ("volcano", {"type": "Kubernetes"}, "warning", "Name Volcano in the RaygenRuntime default"),
        ("scheduler-plugins", None, "warning", "Have KubeRay do without: helm upgrade rays"),
    ],
)
def test_a_scheduler_of_which_the_runtime_says_nothing(
    cluster: Cluster,
    kuberay: Object,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    scheduler: Object | None,
    state: str,
    remedy: str,
) -> None:
    kuberay["args"] = [f"--batch-scheduler={name}"]
    (one,) = found(cluster, tmp_path, capsys, scheduler)
    assert one["state"] == state
    assert f"hands the pods of all its RayJobs to {name}" in one["said"]
    assert remedy in one["remedy"]


def test_another_namespace_s_kuberay_is_not_asked(
    cluster: Cluster, kuberay: Object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kuberay["args"] = ["--watch-namespace", "other", "--batch-scheduler=yunikorn"]
    (one,) = found(cluster, tmp_path, capsys, {"type": "Volcano"})
    assert one["said"].startswith(f"KubeRay looks after other alone, not after {TEAM}")
    beside = json.loads(json.dumps(cluster.objects[DEPLOYMENTS.path()]["items"][0]))
    beside["metadata"]["name"] = "kuberay-operator-2"
    beside["spec"]["template"]["spec"]["containers"][1]["args"] = ["--batch-scheduler=volcano"]
    cluster.objects[DEPLOYMENTS.path()]["items"].append(beside)
    (one,) = found(cluster, tmp_path, capsys, {"type": "Volcano"})
    assert one["said"].startswith(f"{SYSTEM}/kuberay-operator-2 is set up for Volcano")
    cluster.objects[DEPLOYMENTS.path()]["items"].pop()
    kuberay["args"] = ["--batch-scheduler=kai-scheduler"]
    assert found(cluster, tmp_path, capsys, None, sharedCluster="shared") == []


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.example.org:5000/kuberay:v1.5.1", "1.5.1"),
        ("kuberay:1.5", "1.5"),
        ("kuberay:v0.9.0-rc.1@sha256:" + "0" * 64, "0.9.0"),
        ("kuberay:v1.6.0", None),
        ("kuberay:v2.0.0", None),
        ("kuberay:nightly", None),
        ("kuberay:1", None),
        ("registry.example.org:1.2/kuberay", None),
        ("kuberay@sha256:" + "0" * 64, None),
        ("kuberay:5f1a.2b", None),
    ],
)
def test_an_old_kuberay_is_told_by_its_tag(
    cluster: Cluster,
    kuberay: Object,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    image: str,
    version: str | None,
) -> None:
    kuberay["image"] = image
    said = found(cluster, tmp_path, capsys, None)
    if version is None:
        assert said == []
        return
    (one,) = said
    assert one["state"] == "fault"
    assert f"is KubeRay {version}, and raygen needs 1.6 or newer" in one["said"]
    assert "helm upgrade rays" in one["remedy"]
    assert "helm show crds kuberay/kuberay-operator" in one["remedy"]


def test_a_check_that_does_not_concern_the_runtime_is_no_fault(
    cluster: Cluster, kuberay: Object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert found(cluster, tmp_path, capsys, None) == []
    assert main(["doctor", "--only=cluster", "--kubeconfig", cluster.kubeconfig(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("nothing to check: ")

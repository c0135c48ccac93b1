"""Mistakes in how KubeRay was set up, in the manner of planted.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from raygen.client.doctor.kuberay import CONFIG_MAPS
from raygen.client.doctor.placing import NODES
from raygen.kube import PODS, RUNTIMES, Connection
from tests.cluster.installing.planted import DEPLOYMENTS, TEAM, Object, Plant, change, changed, kuberay

SYSTEM = "kuberay-system"
DRIVES = ('ray start --head --resources="{\\"raygen_driver\\": 2}"',)
"""What KubeRay makes of the rayStartParams of a head that takes jobs."""
UPGRADE = "helm upgrade kuberay-operator kuberay/kuberay-operator --namespace kuberay-system --reuse-values "


@contextmanager
def started(admin: Connection, scheduler: Object, **container: Any) -> Iterator[None]:
    """KubeRay with this in its container, and a runtime with this scheduler."""
    before = kuberay()["spec"]
    (own,) = before["template"]["spec"]["containers"]
    volumes = [{"name": "config", "configMap": {"name": "kuberay-operator-config"}}]
    pod = {"containers": [own | container], "volumes": volumes if "volumeMounts" in container else None}
    back = {"spec": {"template": {"spec": {"containers": [own], "volumes": None}}}}
    with (
        changed(admin, DEPLOYMENTS, SYSTEM, "kuberay-operator", {"spec": {"template": {"spec": pod}}}, back),
        changed(
            admin,
            RUNTIMES,
            "",
            "default",
            {"spec": {"scheduler": scheduler}},
            {"spec": {"scheduler": None}},
        ),
    ):
        yield


@contextmanager
def configured(admin: Connection) -> Iterator[None]:
    """As the chart does with configuration.enabled: what counts is in a ConfigMap, and no flag."""
    text = 'apiVersion: config.ray.io/v1alpha1\nkind: Configuration\nbatchScheduler: "yunikorn"\n'
    metadata = {"name": "kuberay-operator-config"}
    made = admin.create(CONFIG_MAPS, SYSTEM, {"metadata": metadata, "data": {"config.yaml": text}})
    mounts = [{"name": "config", "mountPath": "/etc/kuberay"}]
    args = ["--config", "/etc/kuberay/config.yaml", "--batch-scheduler=volcano"]
    try:
        with started(admin, {"type": "Volcano"}, args=args, volumeMounts=mounts):
            yield
    finally:
        admin.delete(CONFIG_MAPS, SYSTEM, metadata["name"], uid=made["metadata"]["uid"])


@contextmanager
def sends_jobs(
    admin: Connection, labels: Object | None, args: Sequence[str] = DRIVES, *, works: bool = False
) -> Iterator[None]:
    """A runtime that sends jobs to a cluster of this name; labels: of its head pod, if there is one."""
    made = None
    if labels is not None:
        metadata = {
            "name": "gone-head",
            "labels": {"ray.io/cluster": "gone", "ray.io/node-type": "head"} | labels,
        }
        container = {"name": "ray", "image": "a", "args": list(args)}
        made = admin.create(PODS, TEAM, {"metadata": metadata, "spec": {"containers": [container]}})
        status = {"conditions": [{"type": "Ready", "status": str(works)}]}
        change(admin, PODS, TEAM, "gone-head", {"status": status}, "status")
    before = admin.get(RUNTIMES, "", "default")["spec"].get("environmentSecrets")
    wanted = {"spec": {"sharedCluster": "gone", "environmentSecrets": None}}
    back = {"spec": {"sharedCluster": None, "environmentSecrets": before}}
    try:
        with changed(admin, RUNTIMES, "", "default", wanted, back):
            yield
    finally:
        if made is not None:
            admin.delete(PODS, TEAM, "gone-head", uid=made["metadata"]["uid"])


@contextmanager
def with_gpus(admin: Connection) -> Iterator[None]:
    """A node with GPUs, and the taint that clouds give such nodes."""
    taints = [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    made = admin.create(NODES, "", {"metadata": {"name": "gpu-1"}, "spec": {"taints": taints}})
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"nvidia.com/gpu": "8"}}
    change(admin, NODES, "", "gpu-1", {"status": status}, "status")
    # Without the taint of a new node, which a controller takes back.
    change(admin, NODES, "", "gpu-1", {"spec": {"taints": taints}})
    try:
        yield
    finally:
        admin.delete(NODES, "", "gpu-1", uid=made["metadata"]["uid"])


PLANTED: dict[str, tuple[Plant, str, str, str, str]] = {
    "a shared cluster that is not there": (
        lambda admin: sends_jobs(admin, None),
        "cluster",
        "fault",
        "research has no RayCluster gone with a head pod",
        "cluster.takesJobs",
    ),
    "a shared cluster that takes no jobs": (
        lambda admin: sends_jobs(admin, {}),
        "cluster",
        "fault",
        "does not say that it takes jobs",
        'the label raygen.io/job: ""',
    ),
    "a shared cluster without places for drivers": (
        lambda admin: sends_jobs(admin, {"raygen.io/job": ""}, args=[]),
        "cluster",
        "fault",
        "the head of the RayCluster gone has no places for drivers",
        'resources: \'"{\\"raygen_driver\\": 2}"\'',
    ),
    "a shared cluster whose head is not ready": (
        lambda admin: sends_jobs(admin, {"raygen.io/job": ""}),
        "cluster",
        "fault",
        "the head pod gone-head of the RayCluster gone is not ready",
        "describe pod gone-head",
    ),
    "a shared cluster whose drivers may write nothing": (
        lambda admin: sends_jobs(admin, {"raygen.io/job": ""}, works=True),
        "cluster",
        "fault",
        "the service account default of the RayCluster gone may not patch the status of jobs in research",
        "bind that account",
    ),
    "KubeRay looks elsewhere": (
        lambda admin: started(admin, {"type": "Kueue"}, args=["--watch-namespace=other"]),
        "kuberay",
        "fault",
        "KubeRay looks after other alone, not after research",
        "watchNamespace",
    ),
    "nodes with GPUs have a taint": (
        with_gpus,
        "nodes",
        "warning",
        "none with nvidia.com/gpu: gpu-1, which has, has the taint nvidia.com/gpu",
        "Add it to tolerations of the RaygenRuntime default",
    ),
    "a resource that no node has": (
        lambda admin: changed(
            admin,
            RUNTIMES,
            "",
            "default",
            {"spec": {"extendedResources": {"rdma/ib": "1"}}},
            {"spec": {"extendedResources": None}},
        ),
        "nodes",
        "fault",
        "no node that takes pods offers rdma/ib",
        "device plugin",
    ),
    "KubeRay has no scheduler, and the runtime one": (
        lambda admin: started(admin, {"type": "Volcano"}),
        "kuberay",
        "fault",
        "has the scheduler Volcano, and kuberay-system/kuberay-operator is set up for no batch scheduler",
        f"{UPGRADE}--set batchScheduler.name=volcano",
    ),
    "KubeRay has another scheduler": (
        lambda admin: started(admin, {"type": "YuniKorn"}, args=["--enable-batch-scheduler"]),
        "kuberay",
        "fault",
        "has the scheduler YuniKorn, and kuberay-system/kuberay-operator is set up for volcano",
        f"{UPGRADE}--set batchScheduler.enabled=false --set batchScheduler.name=yunikorn",
    ),
    "KubeRay has another scheduler in its file": (
        configured,
        "kuberay",
        "fault",
        "is set up for yunikorn",
        "--set batchScheduler.name=volcano",
    ),
    "KubeRay has a scheduler that the runtime does not know of": (
        lambda admin: started(admin, {"type": "Kueue"}, args=["--batch-scheduler=kai-scheduler"]),
        "kuberay",
        "fault",
        "hands the pods of all its RayJobs to kai-scheduler, which places none without a queue",
        "Name KAI in the RaygenRuntime default",
    ),
    "KubeRay is old beside new definitions": (
        lambda admin: started(admin, {"type": "Kubernetes"}, image="registry.example.org/kuberay:v1.5.1"),
        "kuberay",
        "fault",
        "is KubeRay 1.5.1, and raygen needs 1.6 or newer",
        "helm upgrade kuberay-operator",
    ),
}
"""As planted.PLANTED."""

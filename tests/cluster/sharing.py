"""The chart's long-lived cluster on the test cluster, and a runtime that sends jobs to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from testcluster import images

from tests.cluster.api import until
from tests.cluster.installing.helm import CHART
from tests.cluster.trainingjob import NAMESPACE, Raygen

NAME = "shared"
"""Of the cluster, and of the runtime."""
Object = dict[str, Any]


@contextmanager
def shared_cluster(
    raygen: Raygen, *, jobs: int = 1, workers: int = 2, cpu: str = "500m", head_memory: str = "3584Mi"
) -> Iterator[Object]:
    """The cluster, without workers at first; gives the values that the chart has with it."""
    head = {"requests": {"cpu": "100m", "memory": head_memory}, "limits": {"memory": head_memory}}
    worker = {"requests": {"cpu": cpu, "memory": "2Gi"}, "limits": {"memory": "2Gi"}}
    cluster = {
        "enabled": True,
        "takesJobs": True,
        "maxJobs": jobs,
        "name": NAME,
        "namespace": NAMESPACE,
        "image": images.by_digest(images.TRAIN),
        "environmentSecrets": ["storage"],
        "sharedMemory": "512Mi",
        "head": {"resources": head},
        "workers": {"min": 0, "max": workers, "resources": worker},
        "idleSeconds": 15,
    }
    values = raygen.values | {"cluster": cluster}
    raygen.helm("upgrade", "raygen", str(CHART), "--wait", values=values)
    default = raygen.cluster.get("raygenruntime", "default")
    spec = {key: value for key, value in default["spec"].items() if key != "environmentSecrets"}
    body = {"apiVersion": default["apiVersion"], "kind": default["kind"], "metadata": {"name": NAME}}
    raygen.cluster.apply(body | {"spec": spec | {"sharedCluster": NAME}})
    try:
        yield values
    finally:
        raygen.cluster.kubectl("--namespace", NAMESPACE, "delete", "trainingjobs", "--all", "--wait=true")
        raygen.cluster.kubectl("delete", "raygenruntime", NAME)
        # Helm makes it once, and leaves it.
        raygen.cluster.kubectl("--namespace", NAMESPACE, "delete", "raycluster", NAME)
        raygen.helm("upgrade", "raygen", str(CHART), "--wait", values=raygen.values)
        until("the cluster to go", 120, lambda: not raygen.cluster.get("pod", namespace=NAMESPACE))

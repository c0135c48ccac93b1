"""Kueue on the test cluster: a queue for each of two teams, two priorities, and a runtime whose jobs have to name a queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from testcluster import parts

from tests.cluster.api import until
from tests.cluster.trainingjob import NAMESPACE, Raygen

VERSION = {"apiVersion": "kueue.x-k8s.io/v1beta2"}
TEAMS = ("alpha", "beta")
RUNTIME = "queued"
Object = dict[str, Any]


@contextmanager
def queues(raygen: Raygen, cpu: str, **spec: Any) -> Iterator[None]:
    """Kueue with a quota of `cpu` for each team; `spec` goes into their ClusterQueues."""
    parts.add([parts.KUEUE.name])
    cluster = raygen.cluster
    for name, value in (("high", 1000), ("low", 10)):
        cluster.apply(VERSION | {"kind": "WorkloadPriorityClass", "metadata": {"name": name}, "value": value})
    cluster.apply(VERSION | {"kind": "ResourceFlavor", "metadata": {"name": "any"}})
    for team in TEAMS:
        cluster.apply(*_queue(team, cpu, spec))
    default = cluster.get("raygenruntime", "default")
    grants = default["spec"] | {"scheduler": {"type": "Kueue", "priorityClassNames": ["high", "low"]}}
    body = {"apiVersion": default["apiVersion"], "kind": default["kind"], "metadata": {"name": RUNTIME}}
    cluster.apply(body | {"spec": grants})
    try:
        yield
    finally:
        cluster.kubectl("--namespace", NAMESPACE, "delete", "trainingjobs", "--all", "--wait=true")
        cluster.kubectl("delete", "raygenruntime", RUNTIME)
        # Kueue keeps a queue while something is admitted by it.
        until("Kueue to let go of all jobs", 120, lambda: not workloads(raygen))
        cluster.kubectl("delete", "clusterqueue", *TEAMS, "--wait=true", "--timeout=60s")
        cluster.kubectl("delete", "resourceflavor", "any", "--wait=true", "--timeout=60s")


def _queue(team: str, cpu: str, more: Object) -> tuple[Object, Object]:
    resources = [{"name": "cpu", "nominalQuota": cpu}, {"name": "memory", "nominalQuota": "8Gi"}]
    group = {"coveredResources": ["cpu", "memory"], "flavors": [{"name": "any", "resources": resources}]}
    home = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
    spec = {"namespaceSelector": home, "resourceGroups": [group]} | more
    metadata = {"name": team, "namespace": NAMESPACE}
    return (
        VERSION | {"kind": "ClusterQueue", "metadata": {"name": team}, "spec": spec},
        VERSION | {"kind": "LocalQueue", "metadata": metadata, "spec": {"clusterQueue": team}},
    )


def workloads(raygen: Raygen) -> list[Object]:
    """What Kueue knows of the jobs."""
    found: list[Object] = raygen.cluster.get("workload", namespace=NAMESPACE)
    return found


def workload_of(raygen: Raygen, ray_job: str) -> Object:
    """What Kueue knows of a RayJob; empty if nothing."""
    owned = (one for one in workloads(raygen) if one["metadata"]["ownerReferences"][0]["name"] == ray_job)
    return next(owned, {})

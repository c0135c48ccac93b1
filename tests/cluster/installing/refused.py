"""Values that the chart refuses, each with what it says."""

from __future__ import annotations

from typing import Any

from tests.cluster.installing.helm import IMAGE, RUNTIME, TRAIN

Object = dict[str, Any]

taking = {"enabled": True, "image": TRAIN, "takesJobs": True, "namespace": "research"}


def sent(**changes: Any) -> Object:
    """A runtime that sends jobs to the cluster of the same release."""
    return {"enabled": True, "spec": RUNTIME | {"sharedCluster": "shared", "image": TRAIN} | changes}


REFUSED: dict[str, tuple[Object, str]] = {
    "no image": ({"image": ""}, "image is missing: name the operator's image in your registry by its digest"),
    "a tag": (
        {"image": "registry.example.org/raygen-operator:latest"},
        "image is registry.example.org/raygen-operator:latest, and must be registry/name@sha256: with the 64 digits of its digest",
    ),
    "an unknown key": ({"operater": {}}, "additional properties 'operater' not allowed"),
    "an unknown key below": ({"operator": {"replica": 3}}, "additional properties 'replica' not allowed"),
    "no replica": ({"operator": {"replicas": 0}}, "minimum: got 0, want 1"),
    "text for a number": ({"operator": {"replicas": "two"}}, "got string, want integer"),
    "no namespace": ({"scope": {"type": "Namespaced", "namespaces": []}}, "name at least one namespace"),
    "namespaces without need": ({"scope": {"namespaces": ["research"]}}, "set scope.type=Namespaced"),
    "jobs where nobody looks": (
        {"scope": {"type": "Namespaced", "namespaces": ["research"]}, "jobNamespaces": ["other"]},
        "no operator would look after jobs there",
    ),
    "a bad namespace": ({"jobNamespaces": ["No_Name"]}, "does not match pattern"),
    "a namespace twice": (
        {"jobNamespaces": ["research", "other", "research"]},
        "jobNamespaces has a name twice (research, other, research): remove one of the two",
    ),
    "a runtime of nothing": ({"runtime": {"enabled": True}}, "runtime.spec is missing: say what jobs get"),
    "a runtime without an image": (
        {"runtime": {"enabled": True, "spec": {"storage": {"allowedUriPrefixes": ["s3://a/"]}}}},
        "missing property 'image'",
    ),
    "a runtime with a tag": (
        {"runtime": {"enabled": True, "spec": RUNTIME | {"image": "registry.example.org/train:1"}}},
        "runtime.spec.image is registry.example.org/train:1, and must be registry/name@sha256:",
    ),
    "a cluster with a tag": (
        {"cluster": {"enabled": True, "image": TRAIN + "0"}},
        "cluster.image is registry.example.org/",
    ),
    "a runtime with the operator's rights": (
        {"runtime": {"enabled": True, "spec": RUNTIME | {"serviceAccountName": "raygen-operator"}}},
        "whose rights are not those of drivers: remove it",
    ),
    "more reserved than allowed": (
        {"operator": {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1000Mi"}}}},
        "operator.resources.requests.memory (1Gi) is above its limit (1000Mi): lower the one, or raise the other",
    ),
    "more cores reserved than allowed": (
        {
            "cluster": {
                "enabled": True,
                "image": TRAIN,
                "workers": {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "900m"}}},
            }
        },
        "cluster.workers.resources.requests.cpu (1) is above its limit (900m)",
    ),
    "shared memory that is no less than all": (
        {"cluster": {"enabled": True, "image": TRAIN, "sharedMemory": "4Gi"}},
        "counts as memory of a pod, and cluster.workers.resources.limits.memory is 4Gi",
    ),
    "a runtime that lets nobody in": (
        {
            "runtime": {"enabled": True, "spec": RUNTIME | {"allowedNamespaces": ["other"]}},
            "jobNamespaces": ["research"],
        },
        "no job there could use the runtime",
    ),
    "groups without a place": (
        {"runtime": {"enabled": True, "spec": RUNTIME, "groups": ["researchers"]}},
        "name the namespaces in which they may use the runtime",
    ),
    "a cluster without an image": ({"cluster": {"enabled": True}}, "cluster.image is missing"),
    "a cluster for jobs where none are": (
        {"cluster": {"enabled": True, "image": TRAIN, "takesJobs": True}, "jobNamespaces": ["research"]},
        "set cluster.namespace to one of jobNamespaces",
    ),
    "jobs for a cluster that is not made": (
        {"cluster": {"takesJobs": True}, "jobNamespaces": ["research"]},
        "set cluster.enabled=true, or cluster.takesJobs=false",
    ),
    "a cluster by the name of an account": (
        {"cluster": {"enabled": True, "image": TRAIN, "name": "default"}},
        "which would get the rights of Ray's autoscaler",
    ),
    "a shared cluster with secrets of the job's own": (
        {
            "runtime": {
                "enabled": True,
                "spec": RUNTIME | {"sharedCluster": "shared", "environmentSecrets": ["s"]},
            }
        },
        "jobs have what that cluster's pods have",
    ),
    "KAI without queues": (
        {"runtime": {"enabled": True, "spec": RUNTIME | {"scheduler": {"type": "KAI"}}}},
        "KAI places no pods without a queue",
    ),
    "more drivers than memory": (
        {
            "cluster": {
                "enabled": True,
                "image": TRAIN,
                "takesJobs": True,
                "maxJobs": 3,
                "namespace": "research",
            },
            "jobNamespaces": ["research"],
        },
        "cluster.maxJobs is 3, whose drivers need 6.5Gi in the head, and cluster.head.resources.limits.memory is 5Gi",
    ),
    "jobs for a cluster that takes none": (
        {"runtime": sent(), "cluster": {"enabled": True, "image": TRAIN}},
        "set cluster.takesJobs=true, or remove sharedCluster",
    ),
    "another image than the cluster's": (
        {"runtime": sent(image=IMAGE), "cluster": taking, "jobNamespaces": ["research"]},
        "runtime.spec.image is not cluster.image",
    ),
    "another Ray than the cluster's": (
        {"runtime": sent(rayVersion="2.59.0"), "cluster": taking, "jobNamespaces": ["research"]},
        "runtime.spec.rayVersion is not cluster.rayVersion",
    ),
    "jobs where the cluster is not": (
        {"runtime": sent(), "cluster": taking, "jobNamespaces": ["research", "other"]},
        "jobNamespaces has other, and runtime.spec.sharedCluster is in research alone",
    ),
    "a cluster by the name of the operator's account": (
        {"cluster": {"enabled": True, "image": TRAIN, "name": "raygen-operator"}},
        "cluster.name is raygen-operator",
    ),
    "a cluster by the name of the drivers' account": (
        {
            "runtime": {"enabled": True, "spec": RUNTIME | {"serviceAccountName": "drivers"}},
            "cluster": {"enabled": True, "image": TRAIN, "name": "drivers"},
        },
        "cluster.name is drivers",
    ),
    "a device that is reserved and not limited": (
        {
            "cluster": {
                "enabled": True,
                "image": TRAIN,
                "workers": {"resources": {"requests": {"nvidia.com/gpu": "1"}, "limits": {}}},
            }
        },
        "put it under limits",
    ),
    "shared memory of jobs that is no less than all": (
        {"runtime": {"enabled": True, "spec": RUNTIME | {"sharedMemory": "8Gi"}}},
        "runtime.spec.sharedMemory (8Gi) counts as memory of a pod, and runtime.spec.defaults.memoryPerWorker is 4Gi",
    ),
    "bounds the wrong way round": (
        {"cluster": {"enabled": True, "image": TRAIN, "workers": {"min": 3, "max": 2}}},
        "lower the one, or raise the other",
    ),
}

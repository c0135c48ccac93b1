"""What the operator keeps of RayJobs, pods and runtimes: enough to plan with, and little enough for thousands of them."""

from __future__ import annotations

from typing import cast

from raygen.kube.bodies import Body, Fields, Metadata
from raygen.spec.names import RAY_CLUSTER_LABEL

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
)
_RAY_CLUSTER = ("conditions", "state", "reason")


def ray_job(item: Fields) -> Body:
    """A RayJob without its pod templates."""
    status = dict(item.get("status") or {})
    cluster = status.get("rayClusterStatus") or {}
    status["rayClusterStatus"] = {key: cluster[key] for key in _RAY_CLUSTER if key in cluster}
    metadata, spec = metadata_of(item), item.get("spec") or {}
    for name in ("annotations", "ownerReferences"):
        metadata[name] = item["metadata"].get(name) or ({} if name == "annotations" else [])
    return {
        "metadata": metadata,
        "spec": {
            "suspend": bool(spec.get("suspend")),
            "clusterSelector": spec.get("clusterSelector") or {},
            "workers": _workers(spec, "replicas"),
            "mostWorkers": _workers(spec, "maxReplicas"),
        },
        "status": status,
    }


def _workers(spec: Fields, name: str) -> int:
    """Workers of a RayJob's own cluster, by a field of its groups; 0 if it shares one."""
    groups = (spec.get("rayClusterSpec") or {}).get("workerGroupSpecs") or ()
    return sum(int(group.get(name) or 0) for group in groups)


def pod(item: Fields) -> Body:
    """A pod's place, state and limits."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    metadata = metadata_of(item) | {"ownerReferences": item["metadata"].get("ownerReferences") or []}
    return {
        "metadata": metadata,
        "spec": {
            "nodeName": spec.get("nodeName"),
            "containers": [
                {
                    "name": one.get("name", ""),
                    "resources": {"limits": (one.get("resources") or {}).get("limits") or {}},
                }
                for one in spec.get("containers", ())
            ],
        },
        "status": {
            key: status[key]
            for key in (
                "phase",
                "reason",
                "message",
                "conditions",
                "containerStatuses",
                "initContainerStatuses",
            )
            if key in status
        },
    }


def runtime(item: Fields) -> Body:
    """A RaygenRuntime without its bookkeeping."""
    metadata = {
        key: value
        for key, value in item["metadata"].items()
        if key in ("name", "uid", "resourceVersion", "generation")
    }
    return {"metadata": cast("Metadata", metadata), "spec": item.get("spec") or {}}


def cluster_of(item: Body) -> str:
    """The RayCluster that a pod belongs to."""
    owners = item["metadata"]["ownerReferences"]
    return next((str(owner["name"]) for owner in owners if owner["kind"] == "RayCluster"), "")


def shared_cluster(ray_job: Body) -> str:
    """The RayCluster that a RayJob shares with others; "" if it has its own."""
    return str(ray_job["spec"].get("clusterSelector", {}).get(RAY_CLUSTER_LABEL, ""))


def metadata_of(item: Fields) -> Metadata:
    """The metadata that is kept of an object."""
    metadata = {key: item["metadata"][key] for key in _METADATA if key in item["metadata"]}
    return cast("Metadata", metadata)

"""Why pods do not run, in words that say what to do: from their own status and that of their RayJob."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from raygen.operator.conditions import moment
from raygen.spec.names import RAY_NODE_TYPE

Object = dict[str, Any]

LONG_SECONDS = 20
"""After which a pod that has not started is asked about."""
PATIENCE_SECONDS = 5
"""For which a pod may be without a node before that is worth telling: it always is, for a moment."""
MAX_TEXT = 600
_IMAGE_REASONS = {
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RegistryUnavailable",
}
_CONFIG_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_DISRUPTIONS = {
    "DeletionByPodGC": "NodeLost",
    "DeletionByTaintManager": "NodeLost",
    "EvictionByEvictionAPI": "Drained",
    "PreemptionByScheduler": "Preempted",
    "TerminationByKubelet": "Evicted",
}


@dataclass(frozen=True)
class Trouble:
    """Something that keeps a job from running, or ended it.

    Attributes:
        reason: One CamelCase word.
        message: What happened and what to do.
    """

    reason: str
    message: str


def troubles(
    pods: Sequence[Object], ray_job: Object | None, now: datetime, warnings: Mapping[str, str]
) -> list[Trouble]:
    """All that is wrong, the worst first.

    Args:
        pods: Of one RayJob.
        ray_job: The RayJob.
        now: The time.
        warnings: What Events say of pods, by their names; they count where a pod's own status says nothing.
    """
    order = [*_ORDER]
    found = [one for pod in pods for one in _pod(pod, now)]
    found += _refused(ray_job or {})
    if not found:
        found = [
            Trouble("PodWaits", _sentence(f"pod {name} waits: {text}"))
            for name, text in sorted(warnings.items())
            if any(pod["metadata"]["name"] == name for pod in pods)
        ]
    return sorted(dict.fromkeys(found), key=lambda one: order.index(one.reason))


_ORDER = (
    "OutOfMemory",
    "NodeLost",
    "Preempted",
    "Drained",
    "Evicted",
    "ImagePull",
    "Configuration",
    "QuotaExceeded",
    "PodsRefused",
    "Unschedulable",
    "PodWaits",
)
DISRUPTIONS = frozenset({"NodeLost", "Preempted", "Drained", "Evicted"})
"""What befalls a job without its fault."""


def waits_long(pod: Object, now: datetime) -> bool:
    """Whether a pod has not started for longer than usual."""
    created = moment(pod["metadata"]["creationTimestamp"])
    return pod.get("status", {}).get("phase") == "Pending" and (now - created).total_seconds() > LONG_SECONDS


def _pod(pod: Object, now: datetime) -> Iterator[Trouble]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    who = (
        f"{'head' if pod['metadata'].get('labels', {}).get(RAY_NODE_TYPE) == 'head' else 'worker'} pod {name}"
    )
    for container in status.get("containerStatuses", ()):
        yield from _container(pod, who, container)
    for condition in status.get("conditions", ()):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            reason = _DISRUPTIONS.get(condition.get("reason", ""), "Evicted")
            yield Trouble(reason, _sentence(f"{who}: {condition.get('message') or 'it has to go'}"))
    if status.get("reason") == "Evicted":
        yield Trouble("Evicted", _sentence(f"{who}: {status.get('message', 'evicted')}"))
    if status.get("reason") == "NodeLost":
        yield Trouble("NodeLost", f"{who}: its node was lost.")
    yield from _unscheduled(who, pod, now)


def _container(pod: Object, who: str, container: Object) -> Iterator[Trouble]:
    for state in (container.get("state", {}), container.get("lastState", {})):
        ended, waiting = state.get("terminated", {}), state.get("waiting", {})
        if ended.get("reason") == "OOMKilled":
            yield Trouble("OutOfMemory", _out_of_memory(pod, who))
        reason, text = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _IMAGE_REASONS:
            yield Trouble(
                "ImagePull",
                _sentence(f"{who}: the image {container.get('image', '')} cannot be had: {text or reason}")
                + " Check spec.image and spec.imagePullSecrets of the runtime.",
            )
        elif reason in _CONFIG_REASONS:
            yield Trouble(
                "Configuration",
                _sentence(f"{who}: {text or reason}")
                + " Make what is missing in this namespace; spec.environmentSecrets of the runtime names the Secrets.",
            )


def _out_of_memory(pod: Object, who: str) -> str:
    limits = (c.get("resources", {}).get("limits", {}) for c in pod.get("spec", {}).get("containers", ()))
    limit = next((one["memory"] for one in limits if "memory" in one), "unknown")
    remedy = (
        "Raise spec.head.memory of the runtime."
        if who.startswith("head")
        else "Raise scale.memoryPerWorker, or lower training.microBatchSize."
    )
    return f"{who} was killed for memory at its limit of {limit}. {remedy}"


def _unscheduled(who: str, pod: Object, now: datetime) -> Iterator[Trouble]:
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") != "Pending":
        return
    for condition in status.get("conditions", ()):
        if condition["type"] != "PodScheduled" or condition["status"] != "False":
            continue
        since = condition.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
        if (now - moment(since)).total_seconds() < PATIENCE_SECONDS:
            continue
        yield Trouble(
            "Unschedulable",
            _sentence(f"no node has room for {who}: {condition.get('message', '')}")
            + " Lower scale.workers, gpusPerWorker, cpusPerWorker or memoryPerWorker, or add nodes; it waits meanwhile.",
        )


def _refused(ray_job: Object) -> Iterator[Trouble]:
    """Pods that KubeRay could not make."""
    cluster = ray_job.get("status", {}).get("rayClusterStatus", {})
    for condition in cluster.get("conditions", ()):
        if condition.get("type") != "ReplicaFailure" or condition.get("status") != "True":
            continue
        text = condition.get("message", "")
        if "exceeded quota" in text:
            yield Trouble(
                "QuotaExceeded",
                _sentence(f"the namespace's quota is used up: {text}")
                + " Wait for other jobs, lower the job's scale, or have the ResourceQuota raised.",
            )
        else:
            yield Trouble(
                "PodsRefused",
                _sentence(f"its pods cannot be made: {text}")
                + " Make what is missing, or have the administrator look at the runtime.",
            )


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    text = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return text if text.endswith(".") else text + "."

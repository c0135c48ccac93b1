"""The wait for a scheduler that places all pods of a job or none: Volcano, KAI, YuniKorn.

Under Kueue a job that waits has no pods, since its RayJob is suspended. Under these it has all of them, and none has a
node; like a wait for quota, that is nobody's fault and no time of activity.
"""

from __future__ import annotations

from collections.abc import Sequence

from raygen.controller import conditions
from raygen.controller.conditions import SUCCEEDED
from raygen.controller.events import Note
from raygen.kube.bodies import Body
from raygen.operator.attempts.draft import Draft
from raygen.operator.rayjob.scheduling import GANG
from raygen.operator.rayjob.trouble import Trouble
from raygen.spec.names import (
    KAI_QUEUE_LABEL,
    KUBERAY_NAMES,
    RAY_PRIORITY_LABEL,
    VOLCANO_QUEUE_LABEL,
    YUNIKORN_APPLICATION_LABEL,
    YUNIKORN_POD_LABEL,
)

_PASSED_ON = {
    "Volcano": {VOLCANO_QUEUE_LABEL: VOLCANO_QUEUE_LABEL, RAY_PRIORITY_LABEL: RAY_PRIORITY_LABEL},
    "KAI": {KAI_QUEUE_LABEL: KAI_QUEUE_LABEL},
    "YuniKorn": {YUNIKORN_APPLICATION_LABEL: YUNIKORN_POD_LABEL},
}
"""Labels of a RayJob, and those of its pods that KubeRay makes of them if it is set up for the scheduler."""


def is_waiting(draft: Draft, ray_job: str) -> bool:
    """Whether the pods of a RayJob are there and none of them has a node yet, nor has had one in this attempt."""
    pods = draft.pods(ray_job)
    placed = any(pod.get("spec", {}).get("nodeName") for pod in pods)
    return _kind(draft) in GANG and bool(pods) and not placed and "driver" not in draft.status


def explains(found: Sequence[Trouble]) -> bool:
    """Whether the wait is all that is wrong."""
    return all(one.reason in ("Unschedulable", "PodWaits") for one in found)


def told(draft: Draft, ray_job: str) -> str:
    """What a job waits for, and what the scheduler says of it."""
    pods = draft.pods(ray_job)
    queue = (draft.spec.get("scheduling") or {}).get("queueName")
    said = next(
        (
            " ".join(condition["message"].split())
            for pod in pods
            for condition in pod.get("status", {}).get("conditions", ())
            if condition["type"] == "PodScheduled" and condition.get("message")
        ),
        "",
    )
    where = f" in the queue {queue}" if queue else ""
    return f"waits{where} for {_kind(draft)} to have room for all its {len(pods)} pods at once." + (
        f" It says: {said[:600].rstrip('.')}." if said else ""
    )


def is_passed_over(draft: Draft, ray_job: Body) -> bool:
    """Whether KubeRay has made the pods without a word to the scheduler, so that they are neither queued nor a gang.

    Unknown of Volcano for a job that names neither queue nor priority, whose pods have no label by which to tell.
    """
    pods, labels = draft.pods(ray_job["metadata"]["name"]), ray_job["metadata"].get("labels") or {}
    wanted = [of_pod for of_job, of_pod in _PASSED_ON.get(_kind(draft), {}).items() if of_job in labels]
    return bool(pods and wanted) and not any(
        label in (pod["metadata"].get("labels") or {}) for pod in pods for label in wanted
    )


def tell_passed_over(draft: Draft) -> None:
    """Says that KubeRay is not set up for the scheduler, by an Event too when that is new."""
    kind = _kind(draft)
    said = (
        f"The runtime has the scheduler {kind}, and KubeRay has handed it none of the pods: they get no queue, and are"
        " not placed together. Have KubeRay installed with batchScheduler.name=" + f"{KUBERAY_NAMES[kind]}."
    )
    before = conditions.find(draft.conditions, SUCCEEDED)
    if before is None or before["reason"] != "SchedulerMissing":
        draft.result.notes.append(Note("SchedulerMissing", said, warning=True))
    draft.tell(None, "SchedulerMissing", said)


def _kind(draft: Draft) -> str:
    return str((draft.grants.get("scheduler") or {}).get("type", ""))

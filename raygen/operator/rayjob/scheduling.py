"""What each scheduler is told of a job, and which jobs it cannot take.

Everything is said by labels of the RayJob. KubeRay 1.6.2 copies them to the RayCluster (constructRayClusterForRayJob in
rayjob_controller.go), and what was set up as its one batch scheduler makes of them what the pods or their group need
(AddMetadataToChildResource and DoBatchSchedulingOnSubmission in controllers/ray/batchscheduler/):

- Volcano: a PodGroup of all replicas and the head, with queue and priority class from the labels.
- KAI: the scheduler's name and the queue on the pods. KAI itself groups them by their RayJob, head and minReplicas
  (ray_grouper.go), and takes the priority from the RayJob's label. K8sJobMode is refused; raygen uses HTTPMode.
- YuniKorn: application and queue on the pods, and task groups of the head and minReplicas where the gang label is.

So a gang is whole where minReplicas is replicas, as it is here. Nothing that lets a scheduler start fewer workers is
ever written: a step needs all of them, since they share the global batch. Kueue has partial admission for no RayJob
(rayjob_controller.go of 0.19.2 sets no MinCount), and elastic jobs only with Ray's autoscaler.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from raygen.spec import Fault
from raygen.spec.job.cluster import Scheduling
from raygen.spec.job.training_job import TrainingJobSpec
from raygen.spec.names import (
    GANG_LABEL,
    KAI_QUEUE_LABEL,
    KUBERAY_NAMES,
    KUEUE_PRIORITY_LABEL,
    QUEUE_LABEL,
    RAY_PRIORITY_LABEL,
    VOLCANO_QUEUE_LABEL,
    YUNIKORN_APPLICATION_LABEL,
    YUNIKORN_QUEUE_LABEL,
)
from raygen.spec.runtime import RaygenRuntime, RaygenRuntimeSpec, Scheduler
from raygen.spec.schema.faults import fault

GANG = frozenset(KUBERAY_NAMES)
"""Schedulers that place all pods of a job or none, and whose queues belong to the whole cluster."""

_QUEUE = {
    None: QUEUE_LABEL,
    "Kueue": QUEUE_LABEL,
    "Volcano": VOLCANO_QUEUE_LABEL,
    "KAI": KAI_QUEUE_LABEL,
    "YuniKorn": YUNIKORN_QUEUE_LABEL,
}
_PRIORITY = {"Kueue": KUEUE_PRIORITY_LABEL, "Volcano": RAY_PRIORITY_LABEL, "KAI": RAY_PRIORITY_LABEL}
_NO_QUEUE = {
    "Kueue": "which starts at once what names no queue, past all quotas",
    "KAI": "which places no pods without a queue",
}
"""Schedulers that want a queue, and why. Kueue: docs/tasks/run/rayjobs.md, unless manageJobsWithoutQueueName is on. KAI:
kai_scheduler.go of KubeRay ("child will remain pending")."""
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""Names of objects (DNS-1123 subdomains), as queues are of Kueue, which refuses other labels (ValidateQueueName in
jobframework/validation.go), and of Volcano and KAI. YuniKorn's are entries of a configuration."""


def labels(job: TrainingJobSpec, runtime: RaygenRuntimeSpec, name: str, uid: str) -> dict[str, str]:
    """Labels of a RayJob by which a scheduler knows what to do with it.

    Args:
        job: The job's spec.
        runtime: The runtime's spec.
        name: The RayJob's.
        uid: The TrainingJob's.
    """
    wanted, kind = _wanted(job), _kind(runtime)
    found = {}
    if wanted.queue_name is not None and kind in _QUEUE:
        found[_QUEUE[kind]] = wanted.queue_name
    if wanted.priority_class_name is not None and kind in _PRIORITY:
        found[_PRIORITY[kind]] = wanted.priority_class_name
    if kind == "YuniKorn":
        # Applications are one to a cluster: another namespace may have a RayJob of this name. At most 54 characters.
        found |= {GANG_LABEL: "true", YUNIKORN_APPLICATION_LABEL: f"{name}-{uid[:8].rstrip('-')}"}
    return found


def pods(job: TrainingJobSpec, runtime: RaygenRuntimeSpec) -> dict[str, str]:
    """What a scheduler reads from the specs of pods: their priority. Kueue's classes are not those of pods."""
    chosen = _wanted(job).priority_class_name
    return {} if chosen is None or _kind(runtime) in (None, "Kueue") else {"priorityClassName": chosen}


def refusals(job: TrainingJobSpec, runtime: RaygenRuntime, namespace: str) -> Iterator[Fault]:
    """What the runtime's scheduler cannot do, or the runtime does not grant.

    Args:
        job: The job's spec.
        runtime: What it names.
        namespace: The job's.
    """
    wanted, scheduler, name = _wanted(job), runtime.spec.scheduler, runtime.metadata.name
    place = ("spec", "scheduling", "queueName")
    if scheduler is not None and wanted.queue_name is not None:
        yield from _queue_refusals(wanted.queue_name, scheduler, name, namespace)
    elif scheduler is not None and scheduler.type in _NO_QUEUE:
        yield fault(
            place,
            None,
            f"must be given, since the runtime {name} has the scheduler {scheduler.type}, {_NO_QUEUE[scheduler.type]}",
            "Give spec.scheduling.queueName" + _allowed(scheduler.queue_names, namespace),
        )
    allowed = scheduler.priority_class_names if scheduler is not None else ()
    chosen = wanted.priority_class_name
    if chosen is not None and chosen not in allowed:
        yield fault(
            ("spec", "scheduling", "priorityClassName"),
            chosen,
            f"must be one of the priorityClassNames that the runtime {name} allows for its scheduler",
            "Remove it, or have it added to the runtime's scheduler.priorityClassNames"
            + _allowed(allowed, namespace),
        )


def _queue_refusals(queue: str, scheduler: Scheduler, name: str, namespace: str) -> Iterator[Fault]:
    place = ("spec", "scheduling", "queueName")
    if scheduler.type == "Kubernetes":
        yield fault(
            place,
            queue,
            f"must be left out, since the runtime {name} has Kubernetes' own scheduler, which has no queues",
            "Remove it, or name a runtime with another scheduler.",
        )
        return
    if scheduler.type != "YuniKorn" and _OBJECT.fullmatch(queue) is None:
        yield fault(
            place,
            queue,
            f"must be the name of a queue of {scheduler.type}: lower-case letters, digits, '-' and '.'",
            "Give the queue's name as the cluster has it.",
        )
    if scheduler.type in GANG and not scheduler.allows_queue(queue, namespace):
        yield fault(
            place,
            queue,
            f"must be one of the queueNames that the runtime {name} allows for its scheduler",
            "Name another queue, or have it added to the runtime's scheduler.queueNames"
            + _allowed(scheduler.queue_names, namespace),
        )


def _allowed(names: tuple[str, ...] | None, namespace: str) -> str:
    """The end of a remedy: what there is to choose from."""
    listed = ", ".join(one.replace("{namespace}", namespace) for one in names or ())
    return f" (now {listed})." if listed else "."


def _kind(runtime: RaygenRuntimeSpec) -> str | None:
    return runtime.scheduler.type if runtime.scheduler is not None else None


def _wanted(job: TrainingJobSpec) -> Scheduling:
    return job.scheduling if job.scheduling is not None else Scheduling.model_construct()

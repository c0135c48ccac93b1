"""Why pods do not run, in words that say what to do: from their own status and that of their RayJob."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from raygen.controller.conditions import moment
from raygen.kube.bodies import Body, Fields
from raygen.operator.rayjob import refusals
from raygen.operator.rayjob.trouble import Trouble, sentence
from raygen.operator.stored import shared_cluster
from raygen.spec.names import JOB_LABEL, PREPARATION_GROUP, RAY_GROUP_LABEL, RAY_NODE_TYPE, READING_GROUP

LONG_SECONDS = 20
"""After which a pod that has not started is asked about."""
PATIENCE_SECONDS = 5
"""For which a pod may be without a node before that is worth telling: it always is, for a moment."""
UNTAKEN_SECONDS = 30
"""After which KubeRay should have looked at a RayJob: it does within one."""
INITIAL_SECONDS = 60
"""In which a worker finds a head that is ready."""
CHECK_KUBERAY = (
    "check that KubeRay runs and watches this namespace"
    " (kubectl get pods --all-namespaces --selector=app.kubernetes.io/name=kuberay-operator)."
)
_NEXT = " (that counts for the next attempt: suspend the job, and resume it)"
_OWN = {
    "image": f" Check spec.image and spec.imagePullSecrets of the runtime{_NEXT}.",
    "configuration": " Make what is missing in this namespace; spec.environmentSecrets of the runtime names the Secrets.",
    "user": f" Have spec.runAs.user of the runtime set, or its image made with a USER that is a number above 0{_NEXT}.",
    "head room": f" Have spec.head of the runtime lowered{_NEXT}",
    "head memory": f"Raise spec.head.memory of the runtime{_NEXT}.",
    "autoscaler": "Have its limit raised.",
}
"""What to do about pods of a job's own."""
AUTOSCALER = "autoscaler"
"""Name of the container that KubeRay adds to the heads of clusters that grow (pod.go)."""
TRAINING_MEMORY = "Raise scale.memoryPerWorker, or lower training.microBatchSize."
PREPARATION_MEMORY = "Raise preparation.memoryPerWorker."
READING_MEMORY = "Lower preparation.shardMegabytes and prepare the data again, or have spec.defaults.memoryPerWorker of the runtime raised."
_LESS = " Lower scale.workers, gpusPerWorker, cpusPerWorker or memoryPerWorker"
_LESS_TO_PREPARE = " Lower preparation.workers, cpusPerWorker or memoryPerWorker"
_LESS_TO_READ = " Lower data.reading.workers or cpusPerWorker"
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


def _of_shared(cluster: str) -> dict[str, str]:
    """What to do about the head of a cluster that jobs share."""
    place = f"the RayCluster {cluster}"
    return {
        "image": f" Check image and imagePullSecrets of {place}.",
        "configuration": f" Make what is missing in this namespace, or fix {place}, whose head names it.",
        "user": f" Have its pods given a runAsUser, or {place} an image with a USER that is a number above 0.",
        "head room": f" Have the head of {place} ask for less",
        "head memory": f"Give the head of {place} more memory, or send fewer jobs there at once.",
        "autoscaler": f"Give {place} more in spec.autoscalerOptions.resources.",
    }


def troubles(
    pods: Sequence[Body], ray_job: Body | None, now: datetime, warnings: Mapping[str, str]
) -> list[Trouble]:
    """All that is wrong, the worst first.

    Args:
        pods: Of one RayJob.
        ray_job: The RayJob.
        now: The time.
        warnings: What Events say of pods, by their names; they count where a pod's own status says nothing.
    """
    order = [*_ORDER]
    cluster = shared_cluster(ray_job) if ray_job is not None else ""
    remedies = _of_shared(cluster) if cluster else _OWN
    found = [one for pod in pods for one in _pod(pod, now, remedies)]
    found += refusals.troubles(ray_job, cluster) if ray_job is not None else ()
    found += _untaken(ray_job, now)
    found += _homeless(pods, ray_job, cluster, now)
    if _has_head(pods, now):
        found += [one for pod in pods for one in _initial(pod, now)]
    if not found:
        found = [
            Trouble("PodWaits", sentence(f"pod {name} waits: {text}"))
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
    "PodCrashes",
    "KubeRayMissing",
    "SharedClusterMissing",
    "QuotaExceeded",
    "LimitsMissing",
    "OutsideLimitRange",
    "SecurityRefused",
    "PodsRefused",
    "PodsNotDeleted",
    "Unschedulable",
    "PodWaits",
)
DISRUPTIONS = frozenset({"NodeLost", "Preempted", "Drained", "Evicted"})
"""Causes outside of the job."""


def waits_long(pod: Body, now: datetime) -> bool:
    """Whether a pod has not started for longer than usual."""
    created = moment(pod["metadata"]["creationTimestamp"])
    return pod.get("status", {}).get("phase") == "Pending" and (now - created).total_seconds() > LONG_SECONDS


def _pod(pod: Body, now: datetime, remedies: Mapping[str, str]) -> Iterator[Trouble]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    who = f"{'head' if _is_head(pod) else 'worker'} pod {name}"
    for container in status.get("containerStatuses", ()):
        yield from _container(pod, who, container, remedies)
    for condition in status.get("conditions", ()):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            reason = _DISRUPTIONS.get(condition.get("reason", ""), "Evicted")
            yield Trouble(reason, sentence(f"{who}: {condition.get('message') or 'it has to go'}"))
    if status.get("reason") == "Evicted":
        yield Trouble("Evicted", sentence(f"{who}: {status.get('message', 'evicted')}"))
    if status.get("reason") == "NodeLost":
        yield Trouble("NodeLost", f"{who}: its node was lost.")
    yield from _unscheduled(who, pod, now, remedies)


def _container(pod: Body, who: str, container: Fields, remedies: Mapping[str, str]) -> Iterator[Trouble]:
    runs = "running" in container.get("state", {})
    for state in (container.get("state", {}), {} if runs else container.get("lastState", {})):
        ended, waiting = state.get("terminated", {}), state.get("waiting", {})
        if ended.get("reason") == "OOMKilled":
            yield Trouble("OutOfMemory", _out_of_memory(pod, who, container, remedies))
        reason, text = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _IMAGE_REASONS:
            yield Trouble(
                "ImagePull",
                sentence(f"{who}: the image {container.get('image', '')} cannot be pulled: {text or reason}")
                + remedies["image"],
            )
        elif reason == "CrashLoopBackOff":
            yield Trouble("PodCrashes", _crashes(pod, who, container))
        elif reason in _CONFIG_REASONS:
            remedy = remedies["user" if "runAsNonRoot" in text else "configuration"]
            yield Trouble("Configuration", sentence(f"{who}: {text or reason}") + remedy)


def _crashes(pod: Body, who: str, container: Fields) -> str:
    last = container.get("lastState", {}).get("terminated", {})
    code, text = last.get("exitCode", "unknown"), last.get("message") or last.get("reason") or ""
    metadata = pod["metadata"]
    return (
        sentence(f"{who} ends again and again, with exit code {code}{f': {text}' if text else ''}")
        + f" Read why: kubectl logs --namespace {metadata['namespace']} {metadata['name']} --previous."
    )


def _out_of_memory(pod: Body, who: str, container: Fields, remedies: Mapping[str, str]) -> str:
    name = container.get("name", "")
    all_limits = {
        one.get("name", ""): one.get("resources", {}).get("limits", {})
        for one in pod.get("spec", {}).get("containers", ())
    }
    known = [all_limits[name]] if name in all_limits else list(all_limits.values())
    limit = next((one["memory"] for one in known if "memory" in one), "unknown")
    if name == AUTOSCALER:
        who = f"Ray's autoscaler in {who}"
        return f"{who} was killed for memory at its limit of {limit}. {remedies['autoscaler']}"
    if _is_head(pod):
        remedy = remedies["head memory"]
    else:
        others = {PREPARATION_GROUP: PREPARATION_MEMORY, READING_GROUP: READING_MEMORY}
        remedy = others.get(_group_of(pod), TRAINING_MEMORY)
    return f"{who} was killed for memory at its limit of {limit}. {remedy}"


def _unscheduled(who: str, pod: Body, now: datetime, remedies: Mapping[str, str]) -> Iterator[Trouble]:
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") != "Pending":
        return
    for condition in status.get("conditions", ()):
        if condition["type"] != "PodScheduled" or condition["status"] != "False":
            continue
        since = condition.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
        if (now - moment(since)).total_seconds() < PATIENCE_SECONDS:
            continue
        less = {PREPARATION_GROUP: _LESS_TO_PREPARE, READING_GROUP: _LESS_TO_READ}.get(_group_of(pod), _LESS)
        yield Trouble(
            "Unschedulable",
            sentence(f"no node has room for {who}: {condition.get('message', '')}")
            + (remedies["head room"] if _is_head(pod) else less)
            + ", or add nodes; it waits meanwhile.",
        )


def _untaken(ray_job: Body | None, now: datetime) -> Iterator[Trouble]:
    """A RayJob that KubeRay has not looked at."""
    if ray_job is None or ray_job.get("status", {}).get("jobDeploymentStatus"):
        return
    metadata = ray_job["metadata"]
    held = ray_job.get("spec", {}).get("suspend") or metadata.get("deletionTimestamp")
    if not held and (now - moment(metadata["creationTimestamp"])).total_seconds() > UNTAKEN_SECONDS:
        said = f"KubeRay has not taken the RayJob {metadata['name']} of {metadata['creationTimestamp']}: "
        yield Trouble("KubeRayMissing", said + CHECK_KUBERAY)


def _homeless(pods: Sequence[Body], ray_job: Body | None, cluster: str, now: datetime) -> Iterator[Trouble]:
    """A RayJob for a shared cluster that is not there, or has no head that takes jobs."""
    if ray_job is None or not cluster or pods:
        return
    metadata = ray_job["metadata"]
    if (now - moment(metadata["creationTimestamp"])).total_seconds() > UNTAKEN_SECONDS:
        namespace = metadata["namespace"]
        yield Trouble(
            "SharedClusterMissing",
            f"the namespace {namespace} has no head pod of a RayCluster {cluster} that takes jobs. Make it, as by the"
            f' chart\'s cluster.takesJobs, or give its head pods the label {JOB_LABEL}: "", or name another runtime.',
        )


def _initial(pod: Body, now: datetime) -> Iterator[Trouble]:
    """A worker that still waits for a head that is there."""
    for container in pod.get("status", {}).get("initContainerStatuses", ()):
        since = container.get("state", {}).get("running", {}).get("startedAt")
        if since is not None and (now - moment(since)).total_seconds() > INITIAL_SECONDS:
            name = pod["metadata"]["name"]
            said = (
                f"worker pod {name} has not reached its head since {since} (container {container['name']}). "
            )
            yield Trouble(
                "PodWaits", said + "Check that pods of this namespace reach each other (NetworkPolicy)."
            )


def _has_head(pods: Sequence[Body], now: datetime) -> bool:
    """Whether a head has been ready for a while."""
    ready = [
        moment(one["lastTransitionTime"])
        for pod in pods
        if _is_head(pod)
        for one in pod.get("status", {}).get("conditions", ())
        if one["type"] == "Ready" and one["status"] == "True" and one.get("lastTransitionTime")
    ]
    return any((now - since).total_seconds() > INITIAL_SECONDS for since in ready)


def _group_of(pod: Body) -> str:
    """The group of workers that a pod is of."""
    return str(pod["metadata"].get("labels", {}).get(RAY_GROUP_LABEL, ""))


def _is_head(pod: Body) -> bool:
    return bool(pod["metadata"].get("labels", {}).get(RAY_NODE_TYPE) == "head")

"""Pods that the API server does not let KubeRay make, or delete, in words that say what to do.

KubeRay tells of both by one condition, ReplicaFailure, whose message is the marker of the failure and the API server's error, a
line each (ErrFailedCreateHeadPod and others in controllers/ray/utils/constant.go of 1.6.2). The texts of the API server are
those of its admission plug-ins (resourcequota, limitranger, podsecurity) and of OpenShift's (securitycontextconstraints).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from raygen.kube.bodies import Body
from raygen.operator.rayjob.trouble import Trouble, sentence

_MARKER = re.compile(r"Failed(Create|Delete)\w*")
_MISSING = re.compile(
    r"failed quota: \S+: must specify|usage per (?:Container|Pod) is \S+ +No (?:limit|request) is specified"
)
_LIMIT_RANGE = re.compile(
    r"(?:maximum|minimum) \S+ usage per (?:Container|Pod) is|max limit to request ratio per"
)
_SECURITY = re.compile(r"unable to validate against any security context constraint|violates PodSecurity")
_GONE = re.compile(r'pods "[^"]*" not found')
_IDS = re.compile(r"runAsUser|runAsGroup|fsGroup")


def troubles(ray_job: Body, cluster: str) -> Iterator[Trouble]:
    """What KubeRay says of pods that it could not make or delete.

    Args:
        ray_job: The RayJob.
        cluster: The RayCluster that it shares with others; "" if it has its own.
    """
    for condition in ray_job.get("status", {}).get("rayClusterStatus", {}).get("conditions", ()):
        if condition.get("type") != "ReplicaFailure" or condition.get("status") != "True":
            continue
        marker, _, text = condition.get("message", "").partition("\n")
        if _MARKER.fullmatch(marker) is None:
            marker, text = condition.get("reason", ""), condition.get("message", "")
        if not marker.startswith("FailedDelete"):
            yield _refused(text, cluster)
        elif not _GONE.search(text):
            # One that is gone already was to go.
            yield Trouble(
                "PodsNotDeleted",
                sentence(f"KubeRay cannot delete pods: {text}")
                + " It tries again; if this stays, have the administrator look at KubeRay's rights and at what refuses deletions.",
            )


def _refused(text: str, cluster: str) -> Trouble:
    """A pod that could not be made."""
    if "exceeded quota" in text:
        return Trouble(
            "QuotaExceeded",
            sentence(f"the namespace's quota is used up: {text}")
            + " Wait for other jobs, lower the job's scale, or have the ResourceQuota raised.",
        )
    place = f"the RayCluster {cluster}" if cluster else "the runtime"
    if _MISSING.search(text):
        return Trouble("LimitsMissing", _limits_missing(text, cluster))
    if _LIMIT_RANGE.search(text):
        asked = "scale.cpusPerWorker and memoryPerWorker where they are for workers, else "
        return Trouble(
            "OutsideLimitRange",
            sentence(f"a LimitRange of the namespace refuses its pods: {text}")
            + f" Change {'' if cluster else asked}head, defaults or cpuLimitRatio of {place}, or have the LimitRange changed.",
        )
    if _SECURITY.search(text):
        if "violates PodSecurity" in text:
            remedy = "Have the namespace's Pod Security level looked at, and what else changes pods there, as sidecars do."
        elif _IDS.search(text):
            remedy = f"Have runAs removed from {place}, so that the cluster assigns the IDs, or have an SCC granted that allows them."
        else:
            remedy = "Have its service account granted an SCC that allows what restricted-v2 does."
        return Trouble(
            "SecurityRefused",
            sentence(f"the cluster's security rules refuse its pods: {text}") + f" {remedy}",
        )
    return Trouble(
        "PodsRefused",
        sentence(f"its pods cannot be made: {text}")
        + f" Make what is missing, or have the administrator look at {place}.",
    )


def _limits_missing(text: str, cluster: str) -> str:
    default = "have a LimitRange give the namespace's containers one"
    if ".cpu" in text or "cpu usage" in text:
        remedy = (
            f"Have the containers of the RayCluster {cluster} given limits.cpu"
            if cluster
            else "Have cpuLimitRatio of the runtime set (1: as much as pods reserve)"
        )
        remedy += f", or {default}."
    else:
        remedy = default[0].upper() + default[1:] + "."
    return (
        sentence(f"the namespace wants requests or limits that its pods do not have: {text}") + f" {remedy}"
    )

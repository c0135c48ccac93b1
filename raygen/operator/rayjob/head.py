"""The head pod, in which the driver runs: which one it is, and when an attempt ends because it is gone.

KubeRay makes a new head pod, and hands the job over again under the same id; it has no limit on how long that may
take while the head is not there at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from raygen.controller.conditions import moment, stamp
from raygen.kube.bodies import Body, Fields
from raygen.spec.names import RAY_NODE_TYPE


def head_pod(pods: Sequence[Body]) -> Body | None:
    """Of the pods of a RayJob the newest head pod that has a node and is not about to go."""
    heads = [
        pod
        for pod in pods
        if pod["metadata"]["labels"].get(RAY_NODE_TYPE) == "head"
        and not pod["metadata"].get("deletionTimestamp")
        and pod.get("spec", {}).get("nodeName")
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]
    return max(heads, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def driver_of(before: Fields | None, pod: Body | None, *, started: bool, now: datetime) -> Fields | None:
    """What the status says of the driver.

    Args:
        before: What it said.
        pod: The head pod.
        started: Whether KubeRay has seen the job run; before that a head that is not ready is only starting.
        now: The time.
    """
    if pod is None:
        return before and {**before, "notReadySince": before.get("notReadySince") or stamp(now)}
    metadata = pod["metadata"]
    fresh = {"podName": metadata["name"], "podUid": metadata["uid"], "nodeName": pod["spec"]["nodeName"]}
    ready = next((one for one in pod["status"].get("conditions", ()) if one["type"] == "Ready"), None)
    if not started or (ready is not None and ready["status"] == "True"):
        return fresh
    same = before is not None and before["podUid"] == fresh["podUid"]
    known = before.get("notReadySince") if before is not None else None
    since = known or (ready or {}).get("lastTransitionTime") or stamp(now)
    # A head that takes the place of one that was lost does not begin the wait anew.
    return fresh | {"notReadySince": since} if same or known else fresh | {"notReadySince": stamp(now)}


def seconds_until_lost(driver: Fields | None, limit: int, now: datetime) -> float | None:
    """How long a head that is not ready may still take; None if it is ready, at most 0 if it is lost."""
    since = (driver or {}).get("notReadySince")
    return None if since is None else limit - (now - moment(since)).total_seconds()

"""An attempt that has trained and does no steps, since it lost workers or its head: which, why, and since when.

KubeRay makes lost pods again, and the driver starts all workers from the newest checkpoint. Pods show a loss at once. The
driver notices some seconds later (`progress.recovery`), and tells when its workers begin again (`progress.firstStep`). In
between the newest progress is of workers that are no more, and older than a container that took the place of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from raygen.controller import conditions
from raygen.controller.conditions import RUNNING, moment, stamp
from raygen.kube.bodies import Body, Fields
from raygen.operator.attempts import stored_job
from raygen.operator.attempts.draft import Draft
from raygen.operator.rayjob import head
from raygen.spec.names import RAY_NODE_TYPE

NOT_READY_SECONDS = 30.0
"""For which a pod may fail its readiness probe without being taken for lost, as it does on a busy node."""
STALE_SECONDS = 300.0
"""After which it is said since when a driver has been silent; most steps, evaluations and checkpoints take less."""
OVER = ("SUCCEEDED", "FAILED", "STOPPED")
"""States of Ray's job from which nothing follows, and pods go."""
LOST = "WorkersLost"
"""Of a loss that no disruption explains."""


@dataclass(frozen=True)
class Absence:
    """Pods of an attempt that do no steps.

    Attributes:
        head: What happened to the head, as a sentence without a full stop; "" if nothing did.
        causes: What happened to workers, likewise, the first one to be told.
        workers: Number of workers that are missing or have only started.
        wanted: Number of workers; 0 if that is unknown.
    """

    head: str = ""
    causes: tuple[str, ...] = ()
    workers: int = 0
    wanted: int = 0

    def __bool__(self) -> bool:
        return bool(self.head or self.workers)


def absent(draft: Draft, attempt: Fields, ray_job: Body) -> Absence:
    """Pods of an attempt that trained and do no steps; none of one that has yet to begin, stops, is held, or is about to end."""
    progress = _progress(draft, attempt)
    if "firstStep" not in attempt or progress is None or _rests(draft, attempt, ray_job):
        return Absence()
    since, now = moment(progress["time"]), draft.seen.now
    # Of a sweep each worker has trials of its own, and the others go on.
    wanted = 0 if draft.work.is_independent else int(ray_job.get("spec", {}).get("workers") or 0)
    pods = [
        pod
        for pod in draft.pods(attempt["rayJob"])
        if pod["metadata"]["labels"].get(RAY_NODE_TYPE) == "worker"
    ]
    lost = [(pod, _loss(pod, since, now)) for pod in pods] if wanted else []
    if any(not loss and _unready_since(pod) for pod, loss in lost):
        draft.result.look_again(NOT_READY_SECONDS)
    starts = [pod for pod, loss in lost if not loss and _started(pod) > since]
    causes = [loss for _, loss in lost if loss]
    at_work = len(pods) - len(causes) - len(starts)
    if starts and not causes:
        causes = [f"a worker was lost, and pod {starts[0]['metadata']['name']} takes its place"]
    elif wanted > len(pods) and not causes:
        causes = [f"{wanted - len(pods)} of {wanted} worker pods are gone"]
    return Absence(_lost_head(draft, attempt, since), tuple(causes), max(wanted - at_work, 0), wanted)


def _rests(draft: Draft, attempt: Fields, ray_job: Body) -> bool:
    """Whether pods may be missing without being lost: they are to go, or come with a head whose driver has yet to begin."""
    ends = "cause" in attempt or (draft.outcome or {}).get("rayJob") == attempt["rayJob"]
    over = ray_job.get("status", {}).get("jobStatus") in OVER or ray_job["metadata"].get("deletionTimestamp")
    held = ray_job["spec"].get("suspend") or "driver" not in draft.status
    return bool(ends or over or held or has_new_head(draft, attempt))


def has_new_head(draft: Draft, attempt: Fields) -> bool:
    """Whether the newest progress is of an earlier head than the one that is there."""
    progress, pod = _progress(draft, attempt), head.head_pod(draft.pods(attempt["rayJob"]))
    return (
        progress is not None
        and pod is not None
        and moment(progress["time"]) < moment(pod["metadata"]["creationTimestamp"])
    )


def does_steps(draft: Draft, attempt: Fields) -> bool:
    """Whether the attempt did steps when its progress was told."""
    progress = _progress(draft, attempt)
    return progress is not None and not progress.get("recovery") and stored_job.has_begun(progress)


def is_recovering(draft: Draft, attempt: Fields, away: Absence) -> bool:
    """Whether an attempt that has trained has yet to do steps again, by its pods or by what its driver says."""
    if "firstStep" not in attempt or _progress(draft, attempt) is None:
        return False
    return bool(away) or not does_steps(draft, attempt)


def remember(draft: Draft, attempt: Fields, away: Absence) -> None:
    """Keeps what was lost, unless something that explains it is kept already: the pod is soon gone."""
    if away.causes and "trouble" not in attempt:
        trouble = {"reason": LOST, "message": f"{away.causes[0]}."[:1024], "time": stamp(draft.seen.now)}
        attempt["trouble"] = trouble


def message(draft: Draft, attempt: Fields, away: Absence) -> str:
    """What an attempt that recovers waits for, and why; the same words until something changes."""
    progress, running = _progress(draft, attempt) or {}, conditions.find(draft.conditions, RUNNING)
    known = attempt.get("trouble") or progress.get("recovery") or {}
    cause = (
        f"{away.head}."
        if away.head
        else known.get("message") or (f"{away.causes[0]}." if away.causes else "its workers start again.")
    )
    since = f" since {running['lastTransitionTime']}" if running is not None else ""
    said = f"Attempt {attempt['number']} has stood still{since}: {cause}"
    if away.workers:
        said += f" {away.wanted - away.workers} of {away.wanted} workers are there, and KubeRay makes the others again."
    return f"{said} {last_step(draft, attempt)}"


def last_step(draft: Draft, attempt: Fields) -> str:
    """How far an attempt had come that does no steps, and from where it goes on; "" if it has done none."""
    progress = _progress(draft, attempt)
    if progress is None or "firstStep" not in attempt:
        return ""
    if draft.work.is_independent:
        return f"It told of its trials last at {progress['time']}; they go on from {draft.work.continues}."
    if progress["step"] < progress["firstStep"]:
        return f"Its workers go on after step {progress['step']}."
    saved = (
        f" step {progress['checkpoint']}, its newest checkpoint"
        if "checkpoint" in progress
        else " its beginning"
    )
    return f"Its last step was {progress['step']}, at {progress['time']}; it goes on from{saved}."


def silent_since(draft: Draft, attempt: Fields) -> tuple[str, float]:
    """Since when the driver has told nothing, if that is long; and when to look again, in seconds."""
    progress = _progress(draft, attempt)
    if progress is None:
        return "", STALE_SECONDS
    left = STALE_SECONDS - (draft.seen.now - moment(progress["time"])).total_seconds()
    return ("", left) if left > 0 else (str(progress["time"]), NOT_READY_SECONDS)


def _progress(draft: Draft, attempt: Fields) -> Fields | None:
    """The attempt's progress."""
    return draft.progress if draft.progress.get("rayJob") == attempt["rayJob"] else None


def _loss(pod: Body, since: datetime, now: datetime) -> str:
    """What happened to a worker pod; "" if nothing did.

    Args:
        pod: The pod.
        since: When progress was told last.
        now: The time.
    """
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return f"worker pod {name} was deleted"
    if status.get("phase") in ("Succeeded", "Failed"):
        detail = status.get("message") or status.get("reason") or ""
        return f"worker pod {name} ended" + (f": {detail.rstrip('.')}" if detail else "")
    for container in _ray(status):
        ended = container.get("state", {}).get("terminated") or (
            container.get("lastState", {}).get("terminated")
            if "waiting" in container.get("state", {})
            else None
        )
        if ended:
            reason = f" ({ended['reason']})" if ended.get("reason") else ""
            return f"worker pod {name} ended with exit code {ended.get('exitCode', 'unknown')}{reason}"
    unready = _unready_since(pod)
    if unready and since <= moment(unready) and (now - moment(unready)).total_seconds() >= NOT_READY_SECONDS:
        node = pod.get("spec", {}).get("nodeName") or "unknown"
        return f"worker pod {name} on node {node} has not been ready since {unready}"
    return ""


def _unready_since(pod: Body) -> str:
    """Since when a pod that runs has not been ready; "" if it is."""
    status = pod.get("status", {})
    ready: Fields = next((one for one in status.get("conditions", ()) if one["type"] == "Ready"), {})
    runs = status.get("phase") == "Running" and ready.get("status") == "False"
    return str(ready.get("lastTransitionTime") or "") if runs else ""


def _started(pod: Body) -> datetime:
    """When Ray's container of a pod started; of one that has yet to start, a time to come."""
    status = pod.get("status", {})
    if status.get("phase") != "Running":
        return datetime.max.replace(tzinfo=moment(pod["metadata"]["creationTimestamp"]).tzinfo)
    times = [one.get("state", {}).get("running", {}).get("startedAt") for one in _ray(status)]
    return max(moment(time or pod["metadata"]["creationTimestamp"]) for time in times or [None])


def _ray(status: Fields) -> list[Fields]:
    """Statuses of Ray's container, which others may stand beside."""
    every = list(status.get("containerStatuses", ()))
    return [one for one in every if one.get("name") == "ray"] or every


def _lost_head(draft: Draft, attempt: Fields, since: datetime) -> str:
    """What is known of a head that is gone, or silent and not ready for a while."""
    driver = draft.status.get("driver") or {}
    unready = driver.get("notReadySince")
    if unready is None or since > moment(unready):
        return ""
    place = f"head pod {driver['podName']} on node {driver.get('nodeName', 'unknown')}"
    pod = next(
        (one for one in draft.pods(attempt["rayJob"]) if one["metadata"]["uid"] == driver["podUid"]), None
    )
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return f"{place} is gone since {unready}"
    if (draft.seen.now - moment(unready)).total_seconds() < NOT_READY_SECONDS:
        draft.result.look_again(NOT_READY_SECONDS)
        return ""
    return f"{place} has not been ready since {unready}"

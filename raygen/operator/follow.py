"""The attempt that runs: how it goes, and whether it has to end."""

from __future__ import annotations

from typing import Any

from raygen.operator import attempts, deadline, head, suspend
from raygen.operator.attempts import Ending
from raygen.operator.conditions import RUNNING
from raygen.operator.draft import Draft
from raygen.operator.explain import DISRUPTIONS, Trouble, troubles
from raygen.operator.render import job_hash
from raygen.spec.names import HASH_ANNOTATION

Object = dict[str, Any]

WAITING_SECONDS = 15.0
"""After which pods that wait are looked at once more."""

_DELETED = Ending("RayJobDeleted", "Its RayJob was deleted by somebody else; the next attempt goes on.")


def follow(draft: Draft, attempt: Object) -> None:
    """Takes note of how an attempt goes; ends it if it is over, gone, or has to stop."""
    name = attempt["rayJob"]
    ray_job = next((one for one in draft.seen.ray_jobs if one["metadata"]["name"] == name), None)
    if ray_job is None:
        draft.end(attempt, _decided(attempt) or _DELETED)
        return
    found = troubles(draft.pods(name), ray_job, draft.seen.now, draft.seen.warnings)
    _remember(attempt, found)
    if attempts.is_over(ray_job):
        _conclude(draft, attempt, ray_job, found)
        return
    _note_progress(draft, attempt)
    _note_driver(draft, ray_job)
    if "cause" not in attempt:
        reason = _DELETED if ray_job["metadata"].get("deletionTimestamp") else _reason_to_stop(draft, ray_job)
        if reason is not None:
            attempt["cause"], attempt["message"] = reason.cause, reason.message
    if "cause" in attempt and not ray_job["metadata"].get("deletionTimestamp"):
        draft.delete(ray_job)
    _tell_stage(draft, attempt, ray_job, found)


def _remember(attempt: Object, found: list[Trouble]) -> None:
    """Keeps what ends attempts: the pods that show it may be gone when the end is seen."""
    for one in found:
        if one.reason in DISRUPTIONS | {"OutOfMemory"}:
            attempt["trouble"] = {"reason": one.reason, "message": one.message[:1024]}
            return


def _conclude(draft: Draft, attempt: Object, ray_job: Object, found: list[Trouble]) -> None:
    outcome = draft.outcome if (draft.outcome or {}).get("rayJob") == attempt["rayJob"] else None
    if outcome is None and not draft.is_fresh:
        draft.result.needs_outcome = True
        return
    remembered = [Trouble(**attempt["trouble"])] if "trouble" in attempt else []
    _note_progress(draft, attempt)
    draft.end(attempt, _decided(attempt) or attempts.conclude(ray_job, outcome, [*found, *remembered]))


def _decided(attempt: Object) -> Ending | None:
    """The end that was decided here, if it was."""
    if "cause" not in attempt:
        return None
    cause = attempt["cause"]
    return Ending(cause, attempt.get("message", ""), final=cause in attempts.FINAL)


def _note_progress(draft: Draft, attempt: Object) -> None:
    if draft.progress.get("rayJob") != attempt["rayJob"]:
        return
    if "firstStep" not in attempt and draft.progress.get("step", 0) >= draft.progress["firstStep"]:
        attempt["firstStep"] = draft.progress["firstStep"]
        earlier = draft.attempts[-2] if len(draft.attempts) > 1 else {}
        if "lastStep" in earlier:
            earlier["lostSteps"] = max(0, earlier["lastStep"] - attempt["firstStep"] + 1)


def _note_driver(draft: Draft, ray_job: Object) -> None:
    status = ray_job.get("status", {})
    name = ray_job["metadata"]["name"]
    driver = head.driver_of(
        draft.status.get("driver"),
        head.head_pod(draft.seen.pods, name),
        started=status.get("jobDeploymentStatus") == "Running",
        now=draft.seen.now,
    )
    if driver is not None:
        draft.status["driver"] = driver
        if status.get("dashboardURL"):
            draft.status["dashboardUrl"] = f"http://{status['dashboardURL']}"


def _reason_to_stop(draft: Draft, ray_job: Object) -> Ending | None:
    wanted = suspend.reason_to_stop(draft)
    if wanted is not None:
        return wanted
    left = deadline.seconds_left(
        draft.spec, draft.seen.runtime, draft.status.get("startTime"), draft.seen.now
    )
    if left is not None and left <= 0:
        return Ending(
            "DeadlineExceeded",
            "The job was active for as long as activeDeadlineSeconds or its runtime allows."
            " To go on from its newest checkpoint, make a job with the same output and a longer time.",
            final=True,
        )
    if left is not None:
        draft.result.look_again(left)
    limit = (((draft.seen.runtime or {}).get("spec")) or {}).get("headLostSeconds") or 300
    wait = head.seconds_until_lost(draft.status.get("driver"), limit, draft.seen.now)
    if wait is not None and wait <= 0:
        driver = draft.status["driver"]
        return Ending(
            "HeadLost",
            f"The head pod {driver['podName']} on node {driver.get('nodeName', 'unknown')} was not ready for"
            f" {limit} s. Look at that node; the next attempt goes on from the newest checkpoint.",
        )
    if wait is not None:
        draft.result.look_again(wait)
    if ray_job["metadata"].get("annotations", {}).get(HASH_ANNOTATION) != job_hash(draft.seen.job):
        return Ending("SpecChanged", "The job was changed; it goes on with the change.")
    return None


def _tell_stage(draft: Draft, attempt: Object, ray_job: Object, found: list[Trouble]) -> None:
    number = attempt["number"]
    if "cause" in attempt:
        said = f"Attempt {number} is stopping, with a checkpoint if it can: {attempt['message']}"
        draft.tell(None, "Stopping", said)
    elif ray_job.get("spec", {}).get("suspend"):
        queue = (draft.spec.get("scheduling") or {}).get("queueName", "")
        draft.tell(None, "Queued", f"Attempt {number} waits in the queue {queue} for quota.")
    elif found:
        draft.tell(None, found[0].reason, found[0].message)
        draft.result.look_again(WAITING_SECONDS)
    elif "firstStep" in attempt:
        draft.tell(None, "Training", f"Attempt {number} trains, from step {attempt['firstStep']}.")
    else:
        draft.tell(None, "Starting", f"Attempt {number} starts its pods and its driver.")
        if any(pod.get("status", {}).get("phase") == "Pending" for pod in draft.pods(attempt["rayJob"])):
            draft.result.look_again(WAITING_SECONDS)
    trains = "firstStep" in attempt and "cause" not in attempt
    draft.put(RUNNING, trains, "Training" if trains else "NotTraining", "")

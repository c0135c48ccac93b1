"""Decides what to do about a job, from what the cluster says now and nothing else.

    observed -> attempts as they are -> how the running one goes -> the next one -> status

An attempt is a RayJob. Its end is decided first (`cause` in the status), then the RayJob is deleted, and once it is gone or over
the attempt is `ended`; only then may another begin. So every step can be cut short, and is found as it was left.
"""

from __future__ import annotations

from raygen.kube.bodies import Fields
from raygen.operator.attempts import endings
from raygen.operator.attempts.draft import Draft
from raygen.operator.attempts.follow import follow
from raygen.operator.attempts.model import Observed, Plan
from raygen.operator.attempts.policies import ttl
from raygen.operator.attempts.start import begin
from raygen.operator.rayjob.trouble import Trouble
from raygen.spec.names import ATTEMPT_LABEL, STAGE_LABEL

KEPT_RAY_JOBS = 3
"""Of a job: the newest."""


def plan(observed: Observed, *, obstacle: Trouble | None = None, is_fresh: bool = False) -> Plan:
    """What to do now.

    Args:
        observed: The cluster's state around the job.
        obstacle: Why the RayJob that was to be made could not be.
        is_fresh: Whether the job and the RayJob of its attempt were read just now, so that what is missing will not come.
    """
    draft = Draft(observed, obstacle, is_fresh)
    if draft.metadata.get("deletionTimestamp"):
        # What the job owns goes with it.
        return Plan()
    if draft.is_finished() and not draft.reopen():
        return _clean_up(draft)
    # One after the other: what an attempt came to counts before the next one is looked at, which a crash may have
    # left made but not told of.
    while (current := draft.current() or _take_note(draft)) is not None:
        follow(draft, current)
        if draft.result.needs_reading:
            return draft.result
        if draft.current() is not None or draft.is_finished():
            break
    if draft.current() is None and not draft.is_finished():
        begin(draft)
    _delete_old(draft)
    draft.settle()
    return draft.result


def _clean_up(draft: Draft) -> Plan:
    for ray_job in draft.seen.ray_jobs:
        if not endings.is_over(ray_job) and not ray_job["metadata"].get("deletionTimestamp"):
            draft.delete(ray_job)
    _delete_old(draft)
    left = ttl.seconds_left(draft.spec, draft.status, draft.seen.now)
    if left is not None and left <= 0:
        draft.result.delete.append(draft.deletion(draft.work.resource, draft.metadata))
    elif left is not None:
        draft.result.look_again(left)
    draft.settle()
    return draft.result


def _delete_old(draft: Draft) -> None:
    """Has RayJobs deleted that are long over: each holds the whole job, and they count in quotas."""
    newest = draft.status.get("attemptCount", 0)
    for one in draft.seen.ray_jobs:
        metadata = one["metadata"]
        if (
            int(metadata["labels"][ATTEMPT_LABEL]) <= newest - KEPT_RAY_JOBS
            and endings.is_over(one)
            and not metadata.get("deletionTimestamp")
        ):
            draft.delete(one)


def _take_note(draft: Draft) -> Fields | None:
    """The first attempt whose RayJob is there and of which the status does not know yet."""
    known = draft.status.get("attemptCount", 0)
    there = {int(one["metadata"]["labels"][ATTEMPT_LABEL]): one for one in draft.seen.ray_jobs}
    number = min((number for number in there if number > known), default=None)
    if number is None:
        return None
    found = there[number]["metadata"]
    draft.add_attempt(number, found["creationTimestamp"], found["labels"].get(STAGE_LABEL, ""))
    return draft.current()

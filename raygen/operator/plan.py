"""Decides what to do about a job, from what the cluster says now and nothing else.

    observed -> attempts as they are -> how the running one goes -> the next one -> status

An attempt is a RayJob. Its end is decided first (`cause` in the status), then the RayJob is deleted, and once it is gone or over
the attempt is `ended`; only then may another begin. So every step can be cut short, and is found as it was left.
"""

from __future__ import annotations

from typing import Any

from raygen.kube.resources import TRAINING_JOBS
from raygen.operator import attempts, ttl
from raygen.operator.begin import begin
from raygen.operator.draft import Draft
from raygen.operator.explain import Trouble
from raygen.operator.follow import follow
from raygen.operator.model import Observed, Plan
from raygen.spec.names import ATTEMPT_LABEL

Object = dict[str, Any]


def plan(observed: Observed, *, obstacle: Trouble | None = None, is_fresh: bool = False) -> Plan:
    """What to do now.

    Args:
        observed: The cluster's state around the job.
        obstacle: Why the RayJob that was to be made could not be.
        is_fresh: Whether the job was read just now, so that an outcome that is missing will not come.
    """
    draft = Draft(observed, obstacle, is_fresh)
    if draft.metadata.get("deletionTimestamp"):
        # What the job owns goes with it.
        return Plan()
    if draft.is_finished():
        return _clean_up(draft)
    _take_note_of_attempts(draft)
    current = draft.current()
    if current is not None:
        follow(draft, current)
    if draft.result.needs_outcome:
        return draft.result
    if draft.current() is None and not draft.is_finished():
        begin(draft)
    draft.settle()
    return draft.result


def _clean_up(draft: Draft) -> Plan:
    for ray_job in draft.seen.ray_jobs:
        if not attempts.is_over(ray_job):
            draft.delete(ray_job)
    left = ttl.seconds_left(draft.spec, draft.status, draft.seen.now)
    if left is not None and left <= 0:
        draft.result.delete.append(draft.deletion(TRAINING_JOBS, draft.metadata))
    elif left is not None:
        draft.result.look_again(left)
    return draft.result


def _take_note_of_attempts(draft: Draft) -> None:
    known = {attempt["number"] for attempt in draft.attempts}
    for ray_job in draft.seen.ray_jobs:
        number = int(ray_job["metadata"]["labels"][ATTEMPT_LABEL])
        if number not in known and number > draft.status.get("attemptCount", 0):
            draft.add_attempt(number, ray_job["metadata"]["creationTimestamp"])
    draft.attempts.sort(key=lambda attempt: int(attempt["number"]))

"""The next attempt of a job: whether there may be one now, and if not, why."""

from __future__ import annotations

from raygen.controller import conditions
from raygen.controller.conditions import RUNNING, SUSPENDED, moment, stamp
from raygen.operator.attempts import endings
from raygen.operator.attempts.check import Refusal, examine, refuse
from raygen.operator.attempts.draft import Draft
from raygen.operator.attempts.endings import Ending
from raygen.operator.attempts.policies import preparation, suspend
from raygen.operator.rayjob.render import render
from raygen.spec.reasons import SUCCEEDED

OBSTACLE_SECONDS, WAITING_SECONDS = 15.0, 15.0


def begin(draft: Draft) -> None:
    """Begins the next attempt, or says what it waits for."""
    if draft.spec.get("suspend"):
        suspend.rest(draft)
        return
    if conditions.find(draft.conditions, SUSPENDED) is not None:
        draft.put(SUSPENDED, False, "Resumed", "")
    if draft.obstacle is not None:
        draft.tell(None, draft.obstacle.reason, draft.obstacle.message)
        draft.result.look_again(OBSTACLE_SECONDS)
        return
    read = examine(draft.seen)
    if isinstance(read, Refusal):
        refuse(draft, read)
        draft.tell(None, read.reason, read.message)
        return
    if any(not endings.is_over(one) for one in draft.seen.ray_jobs):
        draft.tell(None, "Stopping", "The RayJob of an earlier attempt is still there.")
        draft.result.look_again(WAITING_SECONDS)
        return
    number = draft.status.get("attemptCount", 0) + 1
    wait = _pause(draft)
    if wait > 0:
        draft.tell(
            None, "Restarting", f"Attempt {number} starts after a pause. {draft.attempts[-1]['message']}"
        )
        draft.result.look_again(wait)
        return
    stage = preparation.next_stage(draft)
    draft.result.create = render(draft.seen.job, *read, number, stage=stage)
    draft.add_attempt(number, stamp(draft.seen.now), stage)
    draft.tell(None, "Starting", draft.starting(number))
    draft.put(RUNNING, False, "NotTraining", "")


def _pause(draft: Draft) -> float:
    if not draft.attempts:
        return 0.0
    last = draft.attempts[-1]
    if last["cause"] in SUCCEEDED:
        # It goes on because somebody has asked for more.
        return 0.0
    failures = 0
    for attempt in reversed(draft.attempts):
        if not Ending(attempt["cause"], "").counts:
            break
        failures += 1
    wait = float(endings.pause(max(failures, endings.without_gain(draft.attempts))))
    life = (moment(last["ended"]) - moment(last["started"])).total_seconds()
    if (
        failures == 0
        and last["cause"] not in ("Suspended", preparation.PREPARED)
        and life < endings.FIRST_PAUSE
    ):
        wait = max(wait, float(endings.FIRST_PAUSE))
    return wait - (draft.seen.now - moment(last["ended"])).total_seconds()

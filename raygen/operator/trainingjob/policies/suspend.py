"""Suspended jobs: they leave a checkpoint, give back all they have, and go on as another attempt."""

from __future__ import annotations

from raygen.controller.conditions import RUNNING, SUSPENDED
from raygen.operator.trainingjob import attempts
from raygen.operator.trainingjob.attempts import Ending
from raygen.operator.trainingjob.draft import Draft


def reason_to_stop(draft: Draft) -> Ending | None:
    """Why a running attempt has to end, if the user wants the job suspended."""
    return Ending("Suspended", "spec.suspend is true.") if draft.spec.get("suspend") else None


def rest(draft: Draft) -> None:
    """Says that a job without an attempt rests; the time that it is suspended does not count as active."""
    draft.pause_clock()
    is_quiet = not draft.seen.pods and all(attempts.is_over(one) for one in draft.seen.ray_jobs)
    draft.put(SUSPENDED, is_quiet, "Suspended" if is_quiet else "Suspending", "spec.suspend is true.")
    draft.tell(
        None, "Suspended", "Set spec.suspend to false, and the job goes on from its newest checkpoint."
    )
    draft.put(RUNNING, False, "Suspended", "")

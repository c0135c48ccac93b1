"""Suspended jobs: they leave a checkpoint, give back all they have, and go on as another attempt."""

from __future__ import annotations

from raygen.controller.conditions import RUNNING, SUSPENDED
from raygen.operator.attempts import endings
from raygen.operator.attempts.draft import Draft
from raygen.operator.attempts.endings import Ending


def reason_to_stop(draft: Draft) -> Ending | None:
    """Why a running attempt has to end, if the user wants the job suspended."""
    return Ending("Suspended", "spec.suspend is true.") if draft.spec.get("suspend") else None


def rest(draft: Draft) -> None:
    """Says that a job without an attempt rests; the time that it is suspended does not count as active."""
    draft.pause_clock()
    is_quiet = not draft.seen.pods and all(endings.is_over(one) for one in draft.seen.ray_jobs)
    draft.put(SUSPENDED, is_quiet, "Suspended" if is_quiet else "Suspending", "spec.suspend is true.")
    draft.tell(
        None,
        "Suspended",
        f"Set spec.suspend to false, and the {draft.work.noun} goes on from {draft.work.continues}.",
    )
    draft.put(RUNNING, False, "Suspended", "")

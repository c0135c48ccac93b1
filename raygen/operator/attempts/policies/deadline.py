"""How long a job may be active: what it says itself, and the ceiling of its runtime."""

from __future__ import annotations

from datetime import datetime

from raygen.controller.conditions import moment
from raygen.kube.bodies import Body, Fields
from raygen.spec.runtime import Ceilings


def seconds_left(
    spec: Fields, runtime: Body | None, started: str | None, now: datetime, before: int = 0
) -> float | None:
    """How long the job may still be active; None without a limit.

    Time in which it was suspended, or waited in a queue, is none. What it was active before that counts: a limit that
    began anew with each suspension would be none.

    Args:
        spec: The job's.
        runtime: Its runtime, if it is there.
        started: When it became active; None if it is not.
        now: The time.
        before: How long it was active before that, in seconds.
    """
    grants = runtime["spec"] if runtime is not None else {}
    hours = (grants.get("ceilings") or {}).get("hours", None if runtime is None else Ceilings().hours)
    limits = [spec.get("activeDeadlineSeconds"), None if hours is None else hours * 3600]
    given = [limit for limit in limits if limit is not None]
    if started is None or not given:
        return None
    return float(min(given) - before - (now - moment(started)).total_seconds())

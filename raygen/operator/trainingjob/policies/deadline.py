"""How long a job may be active: what it says itself, and the ceiling of its runtime."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from raygen.controller.conditions import moment
from raygen.spec.runtime import Ceilings

Object = dict[str, Any]


def seconds_left(
    spec: Object, runtime: Object | None, started: str | None, now: datetime, before: int = 0
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
    hours = (((runtime or {}).get("spec") or {}).get("ceilings") or {}).get(
        "hours", Ceilings().hours if runtime else None
    )
    limits = [spec.get("activeDeadlineSeconds"), None if hours is None else hours * 3600]
    given = [limit for limit in limits if limit is not None]
    if started is None or not given:
        return None
    return float(min(given) - before - (now - moment(started)).total_seconds())

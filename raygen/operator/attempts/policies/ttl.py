"""When a job that has ended is deleted; its run directory stays."""

from __future__ import annotations

from datetime import datetime

from raygen.controller.conditions import moment
from raygen.kube.bodies import Fields


def seconds_left(spec: Fields, status: Fields, now: datetime) -> float | None:
    """How long a job that has ended stays; None: for good."""
    limit, ended = spec.get("ttlSecondsAfterFinished"), status.get("completionTime")
    if limit is None or ended is None:
        return None
    return float(limit - (now - moment(ended)).total_seconds())

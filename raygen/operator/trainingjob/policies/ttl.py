"""When a job that has ended is deleted; its run directory stays."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from raygen.controller.conditions import moment

Object = dict[str, Any]


def seconds_left(spec: Object, status: Object, now: datetime) -> float | None:
    """How long a job that has ended stays; None: for good."""
    limit, ended = spec.get("ttlSecondsAfterFinished"), status.get("completionTime")
    if limit is None or ended is None:
        return None
    return float(limit - (now - moment(ended)).total_seconds())

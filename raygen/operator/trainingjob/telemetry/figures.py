"""Figures of attempts: what a status says for the first time is counted when it has been written."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram

from raygen.controller.conditions import moment
from raygen.kube.bodies import Body, Fields
from raygen.operator.trainingjob.telemetry.fleet import OTHER
from raygen.spec.reasons import COUNTED, FINAL, SUCCEEDED, UNCOUNTED

START_BUCKETS = (5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200)
CAUSES = tuple(dict.fromkeys((*SUCCEEDED, *FINAL, *COUNTED, *UNCOUNTED)))
"""Why attempts end."""


class JobFigures:
    """Figures of attempts.

    Args:
        registry: Where they are found.

    Attributes:
        endings: Attempts that ended, by cause, once this operator has written so.
        first_steps: Seconds from the making of a job to the first steps of its first attempt.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.endings = Counter("raygen_attempts_ended", "Attempts that ended.", ["cause"], registry=registry)
        self.first_steps = Histogram(
            "raygen_job_first_step_seconds",
            "Time from the making of a job to the first steps of its first attempt, waiting for quota included.",
            buckets=START_BUCKETS,
            registry=registry,
        )
        # From zero on, or the first of a cause would be no increase.
        for cause in (*CAUSES, OTHER):
            self.endings.labels(cause)

    def told(self, item: Body, status: Fields, now: datetime) -> None:
        """Counts what a status that was just written says for the first time.

        Args:
            item: The job before.
            status: The operator's part of its status now.
            now: The time at which it was seen.
        """
        before = item.get("status") or {}
        known = {one["number"]: one for one in before.get("attempts") or ()}
        for one in status.get("attempts") or ():
            old = known.get(one["number"], {})
            if "ended" in one and "ended" not in old:
                cause = one.get("cause", OTHER)
                self.endings.labels(cause if cause in CAUSES else OTHER).inc()
            if one["number"] == 1 and "firstStep" in one and "firstStep" not in old:
                # The driver's own time: the operator may have been away.
                progress = before.get("progress") or {}
                trained = moment(progress["time"]) if "time" in progress else now
                since = trained - moment(item["metadata"]["creationTimestamp"])
                self.first_steps.observe(max(0.0, since.total_seconds()))

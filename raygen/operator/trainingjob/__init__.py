"""TrainingJobs: the plan for one, and one module for each policy in it."""

from __future__ import annotations

from raygen.kube.bodies import Body
from raygen.operator.kind import Kind
from raygen.operator.trainingjob.controller import Controller
from raygen.operator.trainingjob.draft import own_part
from raygen.operator.trainingjob.telemetry.figures import JobFigures
from raygen.operator.trainingjob.telemetry.fleet import Fleet
from raygen.operator.trainingjob.telemetry.trace import JobTrace
from raygen.operator.trainingjob.watches import JOBS, WATCHES

__all__ = ["KIND"]


def _attempt_of(job: Body) -> int | None:
    return job["status"].get("attemptCount")


KIND = Kind(
    own=JOBS,
    watches=WATCHES,
    reconciler=Controller,
    own_status=own_part,
    noun="job",
    attempt_of=_attempt_of,
    fleet=Fleet,
    figures=JobFigures,
    trace=JobTrace,
)

"""TrainingJobs: what sets them apart from other kinds that are done in attempts, and what is told of them."""

from __future__ import annotations

from functools import partial

from raygen.kube import TRAINING_JOBS
from raygen.kube.bodies import Fields
from raygen.operator.attempts.controller import Controller
from raygen.operator.attempts.draft import own_part
from raygen.operator.attempts.stored_job import attempt_of
from raygen.operator.attempts.watches import JOBS, around
from raygen.operator.attempts.work import Asked, Work
from raygen.operator.kind import Kind
from raygen.operator.rayjob.admission import refusals
from raygen.operator.trainingjob.telemetry.figures import JobFigures
from raygen.operator.trainingjob.telemetry.fleet import Fleet
from raygen.operator.trainingjob.telemetry.trace import JobTrace
from raygen.spec import parse

__all__ = ["KIND", "WORK"]


def _read(document: Fields) -> Asked:
    job = parse(document)
    return Asked(refusals=partial(refusals, job), job=lambda _: job)


def _directory(spec: Fields, name: str) -> str:
    output = spec.get("output") or {}
    return f"{(output.get('uri') or '').rstrip('/')}/{output.get('run') or name}"


WORK = Work(
    resource=TRAINING_JOBS,
    own=JOBS,
    noun="job",
    read=_read,
    directory=_directory,
    continues="its newest checkpoint",
)
KIND = Kind(
    own=JOBS,
    watches=around(JOBS),
    reconciler=partial(Controller, WORK),
    own_status=own_part,
    noun="job",
    attempt_of=attempt_of,
    fleet=Fleet,
    figures=JobFigures,
    trace=JobTrace,
)

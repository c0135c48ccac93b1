"""Sweeps: what sets them apart from other kinds that are done in attempts."""

from __future__ import annotations

from functools import partial

from raygen.kube import SWEEPS as RESOURCE
from raygen.kube.bodies import Fields
from raygen.operator.attempts.controller import Controller
from raygen.operator.attempts.draft import own_part
from raygen.operator.attempts.stored_job import attempt_of
from raygen.operator.attempts.watches import SWEEPS, around
from raygen.operator.attempts.work import Asked, Work
from raygen.operator.kind import Kind
from raygen.operator.sweep.asked import pods, refusals
from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import Sweep, SweepOutput

__all__ = ["KIND", "WORK"]


def _read(document: Fields) -> Asked:
    sweep = parse_kind(Sweep, document)
    # Parameters that do not fit the template are faults too.
    Space(sweep, tries=False)
    return Asked(refusals=partial(refusals, sweep), job=partial(pods, sweep))


def _directory(spec: Fields, name: str) -> str:
    output = spec.get("output") or {}
    return f"{(output.get('uri') or SweepOutput().uri).rstrip('/')}/{output.get('sweep') or name}"


WORK = Work(
    resource=RESOURCE,
    own=SWEEPS,
    noun="sweep",
    read=_read,
    directory=_directory,
    continues="its log, and trials from their newest checkpoints",
    is_independent=True,
    reopens=True,
)
KIND = Kind(
    own=SWEEPS,
    watches=around(SWEEPS),
    reconciler=partial(Controller, WORK),
    own_status=own_part,
    noun="sweep",
    attempt_of=attempt_of,
)

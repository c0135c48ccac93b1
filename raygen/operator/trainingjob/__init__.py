"""TrainingJobs: the plan for one, and one module for each policy in it."""

from __future__ import annotations

from raygen.operator.kind import Kind
from raygen.operator.trainingjob.controller import Controller
from raygen.operator.trainingjob.draft import own_part
from raygen.operator.trainingjob.fleet import Fleet
from raygen.operator.trainingjob.watches import JOBS, WATCHES

__all__ = ["KIND"]

KIND = Kind(own=JOBS, watches=WATCHES, reconciler=Controller, own_status=own_part, fleet=Fleet)

"""The kinds that the operator looks after: one line for each, beside its definition and its folder."""

from __future__ import annotations

from raygen.operator import sweep, trainingjob
from raygen.operator.kind import Kind

KINDS: tuple[Kind, ...] = (trainingjob.KIND, sweep.KIND)

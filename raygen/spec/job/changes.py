"""How two jobs differ, and what of that may differ between attempts of one run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from raygen.spec.job.training_job import TrainingJob

CHANGEABLE = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.namespace",
    "spec.activeDeadlineSeconds",
    "spec.attempts",
    "spec.checkpoint",
    "spec.data.reading",
    "spec.data.train.weightChanges",
    "spec.data.train.sources",
    "spec.data.validation",
    "spec.evaluation",
    "spec.output",
    "spec.preparation",
    "spec.runtimeRef",
    "spec.scale",
    "spec.scheduling",
    "spec.suspend",
    "spec.tracking",
    "spec.training.changes",
    "spec.training.compile",
    "spec.training.duration",
    "spec.training.earlyStopping",
    "spec.training.guards",
    "spec.training.microBatchSize",
    "spec.ttlSecondsAfterFinished",
)
"""What may differ between attempts of one run. Data may be elsewhere; that it is the same data is checked by
its fingerprint."""


def may_change(path: str) -> bool:
    """Whether a value may differ between attempts of one run."""
    return any(path == allowed or path.startswith((allowed + ".", allowed + "[")) for allowed in CHANGEABLE)


@dataclass(frozen=True)
class Change:
    """A value that differs between two jobs.

    Attributes:
        path: Where, as keys with dots.
        before: The value in the older job; None where there is none.
        after: The value in the newer one.
    """

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {json.dumps(self.before)} in the run, {json.dumps(self.after)} now"


def diff(before: TrainingJob, after: TrainingJob) -> list[Change]:
    """Every value that differs between two resolved jobs, in the order of the format; a list is one value."""
    old, new = (dict(_leaves(job.model_dump(mode="json"), "")) for job in (before, after))
    return [
        Change(path, old.get(path), new.get(path))
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in _leaves(v, f"{path}.{k}" if path else k)]
    return [(path, value)]

"""The kinds as the API server knows them: what the models leave open of each CustomResourceDefinition."""

from __future__ import annotations

from typing import Any

from raygen.spec.job.changes import may_change
from raygen.spec.job.training_job import TrainingJob
from raygen.spec.names import GROUP, VERSION
from raygen.spec.runtime import RaygenRuntime
from raygen.spec.schema.crd import Column, CustomResource, definition
from raygen.spec.status import TrainingJobStatus
from raygen.spec.sweep.changes import may_change as sweep_may_change
from raygen.spec.sweep.status import SweepStatus
from raygen.spec.sweep.sweep import Sweep

FROZEN = "spec.output"
"""What a run could have elsewhere in its next attempt, but an object cannot: the run would not be the same one."""
_CANNOT_CHANGE = (
    "cannot change, since a run goes on with what it began with."
    " Make another TrainingJob, with another name and output.run."
)

_WHILE_SUSPENDED = {
    "rule": "(has(oldSelf.suspend) && oldSelf.suspend)"
    " || (self.data.train.sources == oldSelf.data.train.sources"
    " && has(self.data.validation) == has(oldSelf.data.validation)"
    " && (!has(self.data.validation) || self.data.validation == oldSelf.data.validation))",
    "message": "sources and validation can change while the job is suspended, and then to the same data at another place:"
    " an attempt that finds other data ends the job. Suspend it first (raygen stop).",
    "fieldPath": ".data",
    "reason": "FieldValueForbidden",
}
"""What a typing error must not take from a job that trains."""
_WHILE_IT_LASTS = {
    "rule": "!has(oldSelf.status) || !has(oldSelf.status.completionTime) || self.spec == oldSelf.spec"
    " || has(self.spec.suspend) != has(oldSelf.spec.suspend)"
    " || (has(self.spec.suspend) && self.spec.suspend != oldSelf.spec.suspend)"
    " || has(self.spec.ttlSecondsAfterFinished) != has(oldSelf.spec.ttlSecondsAfterFinished)"
    " || (has(self.spec.ttlSecondsAfterFinished)"
    " && self.spec.ttlSecondsAfterFinished != oldSelf.spec.ttlSecondsAfterFinished)",
    "message": "cannot change, since the job has ended. Delete it, and apply it again: it goes on from its newest checkpoint.",
    "fieldPath": ".spec",
    "reason": "FieldValueForbidden",
}
"""A change of a job that has ended would look as if it did something."""

_SUMMARY = '.status.conditions[?(@.type=="Succeeded")]'
_JOB_COLUMNS = (
    Column("Status", "string", f"{_SUMMARY}.reason"),
    Column("Step", "integer", ".status.progress.step"),
    Column("Loss", "number", ".status.progress.loss"),
    Column("Throughput", "number", ".status.progress.throughput"),
    Column("ETA", "string", ".status.progress.eta"),
    Column("Attempts", "integer", ".status.attemptCount"),
    Column("Age", "date", ".metadata.creationTimestamp"),
    Column("Steps", "integer", ".status.progress.steps", priority=1),
    Column("Goodput", "number", ".status.progress.goodput", priority=1),
    Column("Checkpoint", "integer", ".status.progress.checkpoint", priority=1),
    Column("Reported", "date", ".status.progress.time", priority=1),
    Column("Preparation", "string", ".status.preparation.said", priority=1),
    Column("Workers", "integer", ".spec.scale.workers", priority=1),
    Column("Queue", "string", ".spec.scheduling.queueName", priority=1),
    Column("Runtime", "string", ".spec.runtimeRef.name", priority=1),
    Column("Run", "string", ".status.run", priority=1),
    Column("Message", "string", f"{_SUMMARY}.message", priority=1),
)
_SWEEP_COLUMNS = (
    Column("Status", "string", f"{_SUMMARY}.reason"),
    Column("Trials", "string", ".status.progress.said"),
    Column("Running", "integer", ".status.progress.running"),
    Column("Best", "number", ".status.progress.best.metrics[0].value"),
    Column("ETA", "string", ".status.progress.eta"),
    Column("Attempts", "integer", ".status.attemptCount"),
    Column("Age", "date", ".metadata.creationTimestamp"),
    Column("Failed", "integer", ".status.progress.failed", priority=1),
    Column("BestTrial", "integer", ".status.progress.best.trial", priority=1),
    Column("Used", "number", ".status.progress.used", priority=1),
    Column("Reported", "date", ".status.progress.time", priority=1),
    Column("Queue", "string", ".spec.scheduling.queueName", priority=1),
    Column("Runtime", "string", ".spec.runtimeRef.name", priority=1),
    Column("Directory", "string", ".status.run", priority=1),
    Column("Message", "string", f"{_SUMMARY}.message", priority=1),
)
_RUNTIME_COLUMNS = (
    Column("Image", "string", ".spec.image"),
    Column("Age", "date", ".metadata.creationTimestamp"),
    Column("Namespaces", "string", ".spec.allowedNamespaces", priority=1),
    Column("CustomCode", "boolean", ".spec.allowCustomCode", priority=1),
)


def _job_may_change(path: str) -> bool:
    """Whether a value of a TrainingJob may change while the object lives."""
    return may_change(path) and path != FROZEN and not path.startswith(f"{FROZEN}.")


JOBS = CustomResource(
    TrainingJob,
    plural="trainingjobs",
    short="rtj",
    scope="Namespaced",
    columns=_JOB_COLUMNS,
    status=TrainingJobStatus,
    may_change=_job_may_change,
    cannot_change=_CANNOT_CHANGE,
    spec_rules=(_WHILE_SUSPENDED,),
    rules=(_WHILE_IT_LASTS,),
)
RUNTIMES = CustomResource(
    RaygenRuntime, plural="raygenruntimes", short="rrt", scope="Cluster", columns=_RUNTIME_COLUMNS
)
SWEEPS = CustomResource(
    Sweep,
    plural="sweeps",
    short="rsw",
    scope="Namespaced",
    columns=_SWEEP_COLUMNS,
    status=SweepStatus,
    may_change=sweep_may_change,
    cannot_change="cannot change, since it decides what trials are and how they are judged."
    " Make another Sweep, with another name and output.sweep, and this one's directory in warmStart.",
)
KINDS = (JOBS, RUNTIMES, SWEEPS)
"""All kinds: their definitions, addresses, schemas and references follow."""


def definitions() -> dict[str, dict[str, Any]]:
    """Every CustomResourceDefinition by its name."""
    made = (definition(resource, GROUP, VERSION) for resource in KINDS)
    return {one["metadata"]["name"]: one for one in made}

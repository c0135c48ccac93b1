"""The numbers of a job that are in force at a step, where `training.changes` gives it others from some steps on."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from raygen.models.protocol import Family
from raygen.spec import ResolvedJob, in_force
from raygen.training.optimizers.updates import NetworkUpdate


class ChangingValues:
    """Has model and optimizers compute with the numbers that are in force at a step.

    Which these are follows from the job and the step alone, so that an attempt that resumes has those of one that never stopped.

    Args:
        job: The job.
        family: Its model, as it was built for the job's first step.
        updates: Its optimizers, likewise.
    """

    def __init__(self, job: ResolvedJob, family: Family, updates: Mapping[str, NetworkUpdate]) -> None:
        self._job, self._family, self._updates = job, family, updates
        self._now = job
        self._steps = sorted(change.at_step for change in job.spec.training.changes)
        self._made = 0

    def enter(self, step: int) -> None:
        """Takes over what is in force at a step, from 1."""
        made = bisect_left(self._steps, step)
        if made == self._made:
            return
        self._made = made
        before, job = self._now, in_force(self._job, step)
        self._now = job
        smoothing = (one.spec.training.label_smoothing for one in (before, job))
        if before.spec.model != job.spec.model or len({*smoothing}) > 1:
            self._family.change(job)
        for name, update in self._updates.items():
            update.change(
                job.spec.training,
                job.spec.training.optimizer_of(name),
                job.spec.training.optimizer_of(next(iter(self._family.networks))),
            )

    def end(self, step: int) -> bool:
        """Whether this step is the last one before a change."""
        return step in self._steps

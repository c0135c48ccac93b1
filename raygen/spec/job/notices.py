"""Notices about valid jobs: parts whose result depends on how its batches are spread, and evaluations of nothing."""

from __future__ import annotations

from raygen.spec.families.table import FIELDS
from raygen.spec.job.resolved import in_force, resolve
from raygen.spec.job.training_job import TrainingJob


def notices(job: TrainingJob) -> list[str]:
    """One sentence for each part that sees more than one sample, or draws without regard to the sample; everything else
    computes the same on any number of workers and with any micro-batch. Then one for evaluations without metrics.

    Args:
        job: With its defaults resolved.
    """
    return [*_spread(job), *_unmeasured(job)]


def _spread(job: TrainingJob) -> list[str]:
    """Nothing if each step is one forward pass on one worker."""
    training = job.spec.training
    micro = training.micro_batch_size or training.global_batch_size
    if job.spec.scale.workers == 1 and micro >= training.global_batch_size:
        return []
    model = job.spec.model
    starts = (change.at_step + 1 for change in training.changes)
    blocks = [model.block, *(in_force(resolve(job), step).spec.model.block for step in starts)]
    said = dict.fromkeys(notice for block in blocks for notice in block.notices())
    return [f"spec.model.{FIELDS[model.type]}.{notice}" for notice in said]


def _unmeasured(job: TrainingJob) -> list[str]:
    evaluation = job.spec.evaluation
    if evaluation.every_steps is None or evaluation.metrics:
        return []
    known = ", ".join(job.spec.model.family.metrics)
    return [
        (
            "spec.evaluation.everySteps: nothing is evaluated, since spec.evaluation.metrics names nothing to measure."
            f" Add metrics ({known}), or remove everySteps."
        )
    ]

"""Warnings about valid jobs: parts whose result depends on how its batches are spread."""

from __future__ import annotations

from raygen.spec.families.table import FIELDS
from raygen.spec.job.training_job import TrainingJob


def notices(job: TrainingJob) -> list[str]:
    """One sentence for each part that sees more than one sample, or draws without regard to the sample.

    Everything else computes the same on any number of workers and with any micro-batch.

    Args:
        job: With its defaults resolved.

    Returns:
        Nothing if each step is one forward pass on one worker.
    """
    training = job.spec.training
    micro = training.micro_batch_size or training.global_batch_size
    if job.spec.scale.workers == 1 and micro >= training.global_batch_size:
        return []
    model = job.spec.model
    return [f"spec.model.{FIELDS[model.type]}.{notice}" for notice in model.block.notices()]

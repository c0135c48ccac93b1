"""What a job is told that is no fault: parts whose result depends on how its batches are spread."""

from __future__ import annotations

from raygen.spec.job.training_job import TrainingJob


def notices(job: TrainingJob) -> list[str]:
    """One sentence for each part that sees more than one sample, or draws without regard to the sample.

    Everything else computes the same on any number of workers and with any micro-batch.

    Args:
        job: With its defaults resolved.

    Returns:
        Nothing if each step is one forward pass on one worker.
    """
    model, training = job.spec.model, job.spec.training
    found: list[str] = []
    micro = training.micro_batch_size or training.global_batch_size
    if job.spec.scale.workers == 1 and micro >= training.global_batch_size:
        return found
    if model.gan is not None and model.gan.normalisation == "Batch":
        found.append(
            "spec.model.gan.normalisation: Batch takes its statistics from one micro-batch of one worker, so losses"
            " depend on scale.workers and training.microBatchSize; with Group or Off they do not"
        )
    if model.transformer is not None and model.transformer.dropout > 0:
        found.append(
            "spec.model.transformer.dropout: masks are drawn for a micro-batch and not for a sample, so losses depend"
            " on scale.workers and training.microBatchSize; with 0 they do not"
        )
    return found
